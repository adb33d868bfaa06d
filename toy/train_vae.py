"""Train the toy VAE: ``python toy/train_vae.py --out runs/vae`` (resumable; host on PYTHONPATH)."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.utils.parametrize

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from toy.pretrain.host import use_host  # noqa: E402
from toy.pretrain.vae import build_vae, decode_clip, encode_clip, sample_clip  # noqa: E402


def batch_of(seed: int, step: int, size: int, frames: int) -> torch.Tensor:
    rng = np.random.default_rng((seed, step))
    clips = np.stack([sample_clip(rng, frames) for _ in range(size)])
    return torch.from_numpy(clips).permute(0, 4, 1, 2, 3).contiguous() * 2 - 1


class Unflatten(torch.nn.Module):
    """Parametrisation that keeps a convolution kernel as a matrix, the form Muon works on."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.view(self.shape)

    def right_inverse(self, w):
        return w.flatten(1)


def flatten_kernels(net):
    for m in net.modules():
        if isinstance(m, (torch.nn.Conv2d, torch.nn.Conv3d)):
            torch.nn.utils.parametrize.register_parametrization(m, "weight", Unflatten(m.weight.shape))


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--seconds", type=float, default=2400)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--kl", type=float, default=3e-4)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--noise", type=float, default=0.1)
    p.add_argument("--still", type=float, default=0.1)
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    use_host()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    net = build_vae()
    flatten_kernels(net)
    params = list(net.parameters())
    matrices = [q for q in params if q.ndim == 2 and min(q.shape) > 4]
    rest = [q for q in params if not any(q is m for m in matrices)]
    opts = [torch.optim.Muon(matrices, lr=a.lr, momentum=0.95, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=a.lr, betas=(0.9, 0.95), weight_decay=0.0)]
    ema = [q.detach().clone() for q in params]
    state, step, spent = a.out / "state.pt", 0, 0.0
    a.out.mkdir(parents=True, exist_ok=True)
    if state.exists():
        s = torch.load(state, weights_only=True)
        net.load_state_dict(s["net"]); [o.load_state_dict(d) for o, d in zip(opts, s["opt"])]; ema = s["ema"]
        step, spent = s["step"], s["spent"]
    val = batch_of(12345, 0, 12, 17)
    t0, last = time.time() - spent, time.time()
    log = []
    while (now := time.time() - t0) < a.seconds:
        done = now / a.seconds
        lr = a.lr * min(1, (step + 1) / 100) * (1 if done < 0.4 else max(0.02, (1 - done) / 0.6))
        for g in opts[0].param_groups + opts[1].param_groups:
            g["lr"] = lr
        size, frames = (16, 1) if done < a.still else ((6, 5) if step % 2 else (3, 13))
        x = batch_of(a.seed, step, size, frames)
        mean, _ = encode_clip(net, x)
        kl = mean.square().mean()
        y = decode_clip(net, mean + a.noise * torch.randn_like(mean))
        err = y - x
        mse = err.square().mean()
        loss = 4 * mse + 0.5 * err.abs().mean() + a.kl * kl
        net.zero_grad(); loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        [o.step() for o in opts]; step += 1
        decay = min(0.999, (1 + step) / (10 + step))
        torch._foreach_lerp_(ema, [q.detach() for q in params], 1 - decay)
        log.append((float(mse), float(kl)))
        if time.time() - last > 40:
            last = time.time()
            with torch.no_grad():
                keep = [q.detach().clone() for q in params]
                for q, e in zip(params, ema): q.copy_(e)
                m, lv = encode_clip(net, val)
                rec = decode_clip(net, m).clamp(-1, 1)
                per = ((rec - val) / 2).square().mean((1, 2, 3, 4))
                psnr = float((-10 * per.log10()).mean())
                act = int((m.transpose(0, 1).flatten(1).std(1) > 0.3).sum())
                for q, k in zip(params, keep): q.copy_(k)
            r = np.array(log); log = []
            print(f"{now:6.0f}s step {step} {60/len(r):.2f}s/step mse {r[:,0].mean():.4f} kl {r[:,1].mean():.2f} psnr {psnr:.1f} active {act} lr {lr:.1e}", flush=True)
            torch.save({"net": net.state_dict(), "opt": [o.state_dict() for o in opts], "ema": ema, "step": step, "spent": time.time() - t0}, str(state) + ".tmp")
            Path(str(state) + ".tmp").replace(state)
    torch.save({"net": net.state_dict(), "opt": [o.state_dict() for o in opts], "ema": ema, "step": step, "spent": time.time() - t0}, state)


main()
