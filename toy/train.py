"""Train the toy model: VAE, then latents, then the video model. Resumable; run it again to go on.

    COMFYUI_PATH=... python toy/train.py latents --out runs --clips 3360
    COMFYUI_PATH=... python toy/train.py base --out runs --seconds 5400
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from toy.pretrain import base, latents, vae  # noqa: E402
from toy.pretrain.host import use_host  # noqa: E402


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stage", choices=["latents", "base"])
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--clips", type=int, default=3360)
    p.add_argument("--part", type=int, default=0)
    p.add_argument("--parts", type=int, default=1)
    p.add_argument("--seconds", type=float, default=5400)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    use_host()
    torch.set_num_threads(a.threads)
    a.out.mkdir(parents=True, exist_ok=True)
    if a.stage == "latents":
        net = vae.load_vae(a.out / "vae.safetensors")
        for n in range(a.part, a.clips // latents.SHARD, a.parts):
            t = time.time()
            latents.encode_shard(net, n, a.seed, a.out)
            print(f"shard {n} {time.time() - t:.0f}s", flush=True)
    else:
        train_base(a)


def train_base(a) -> None:
    import comfy.model_management

    comfy.model_management.in_training = True
    base.use_fast_attention()
    torch.manual_seed(a.seed)
    net = base.build_network()
    params = list(net.named_parameters())
    muon = [p for n, p in params if p.ndim == 2 and n.startswith("blocks.")]
    rest = [p for n, p in params if not (p.ndim == 2 and n.startswith("blocks."))]
    opts = [
        torch.optim.Muon(muon, lr=a.lr, momentum=0.95, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=a.lr / 2, betas=(0.9, 0.97), weight_decay=0.0),
    ]
    flat = [p for _, p in params]
    ema = [p.detach().clone() for p in flat]
    state, step, spent = a.out / "base_state.pt", 0, 0.0
    if state.exists():
        s = torch.load(state, weights_only=True)
        net.load_state_dict(s["net"])
        [o.load_state_dict(d) for o, d in zip(opts, s["opt"])]
        ema, step, spent = s["ema"], s["step"], s["spent"]
        for o, g in zip(opts, (1, 0.5)):
            pass
    captions = base.Captions()
    print(f"{sum(p.numel() for p in flat)/1e6:.2f} M parameters", flush=True)
    data, data_read = None, 0.0
    begun, last, log = time.time() - spent, time.time(), []
    while (now := time.time() - begun) < a.seconds:
        if data is None or (time.time() - data_read > 120 and len(data) < a.clips):
            data, data_read = latents.read_latents(a.out), time.time()
        done = now / a.seconds
        rate = min(1.0, (step + 1) / 100) * (1.0 if done < 0.35 else max(0.02, (1 - done) / 0.65))
        for o, scale in zip(opts, (1.0, 0.5)):
            for g in o.param_groups:
                g["lr"] = a.lr * scale * rate
        rng = np.random.default_rng((a.seed, 7, step))
        frames = int(rng.choice([1, 7, 10, 13], p=[0.04, 0.26, 0.20, 0.50]))
        pick = rng.integers(len(data), size=a.batch * (4 if frames == 1 else 1))
        at = int(rng.integers(13)) if frames == 1 else 0
        x0 = data[pick][:, :, at : at + frames].float()
        if frames == 1 and at > 0:
            x0 = data[pick][:, :, :1].float()
        ctx = captions([base.vary_caption(latents.scene_of(int(i), a.seed), rng) for i in pick])
        u = (torch.from_numpy(rng.permutation(len(pick))).float() + torch.from_numpy(rng.random(len(pick))).float()) / len(pick)
        shift = 5.0 if done < 0.7 else 3.0
        sigma = shift * u / (1 + (shift - 1) * u)
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(a.seed * 10**9 + step))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = base.flow_loss(net, x0, ctx, sigma, noise)
        net.zero_grad(set_to_none=True)
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(flat, 1.0)
        [o.step() for o in opts]
        step += 1
        torch._foreach_lerp_(ema, [p.detach() for p in flat], 1 - min(0.9985, (1 + step) / (10 + step)))
        log.append((float(loss.detach().mean()), frames))
        if time.time() - last > 60 or now + 2 > a.seconds:
            r = np.array(log)
            print(f"{now:6.0f}s step {step} {(time.time()-last)/len(r):.2f}s/step loss {r[:,0].mean():.4f} t13 {r[r[:,1]==13,0].mean():.4f} clips {len(data)} rate {rate:.2f}", flush=True)
            last, log = time.time(), []
            spent = time.time() - begun
            torch.save({"net": net.state_dict(), "opt": [o.state_dict() for o in opts], "ema": ema, "step": step, "spent": spent}, f"{state}.tmp")
            os.replace(f"{state}.tmp", state)
            from safetensors.torch import save_file
            save_file({n: e.to(torch.bfloat16) for (n, _), e in zip(params, ema)}, a.out / "base.tmp", metadata={"config": json.dumps({"transformer": {k: base.CONFIG[k] for k in ("num_heads", "text_dim", "patch_size")}}), "step": str(step), "seconds": f"{spent:.0f}"})
            os.replace(a.out / "base.tmp", a.out / "base.safetensors")


main()
