"""Tune-A-Video once more, with the blocks of diffusers' UNet2DConditionModel and loops in place of reshapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

TEXT_DIM = 32
WIDTHS = {"SD15": (32, 64), "SD20": (64, 128)}  # of ``tiny_unet``, by the host's name of the kind
HEADS = {"SD15": (8, 8), "SD20": (1, 2)}  # eight, or of 64 channels each


class SparseCausal:
    """An attention processor: every frame attends to frame 0 and the frame before it."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle

    def __call__(self, attn: Attention, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        count, out = self.oracle.frames, torch.empty_like(hidden_states)
        for start in range(0, len(hidden_states), count):
            for i in range(count):
                own, first = hidden_states[start + i], hidden_states[start]
                seen = torch.cat([first, hidden_states[start + max(i - 1, 0)]])
                out[start + i] = manual_attention(attn, own, seen)
        return out


def manual_attention(attn: Attention, x: Tensor, seen: Tensor) -> Tensor:
    """Attention of ``x [N, D]`` to ``seen [M, D]`` with a layer's own projections, written out."""
    q, k, v = attn.to_q(x), attn.to_k(seen), attn.to_v(seen)
    heads = []
    for qh, kh, vh in zip(*(part.chunk(attn.heads, -1) for part in (q, k, v)), strict=True):
        heads.append((qh @ kh.T / qh.shape[-1] ** 0.5).softmax(-1) @ vh)
    return attn.to_out[0](torch.cat(heads, -1))


class PooledNorm(nn.Module):
    """A group norm over the frames of a clip together, on a tensor with an axis for them."""

    def __init__(self, norm: nn.Module, oracle: Oracle) -> None:
        super().__init__()
        self.norm, self.oracle = norm, [oracle]

    def forward(self, x: Tensor) -> Tensor:
        clips = x.view(-1, self.oracle[0].frames, *x.shape[1:]).transpose(1, 2)  # (p f) c h w -> p c f h w
        return self.norm(clips).transpose(1, 2).reshape(x.shape)


class Oracle:
    """The network with its frames; ``temporal`` are tensors in the pack's form, by the host's block names."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        names: Mapping[str, str],
        temporal: Mapping[str, Tensor] | None = None,
        pooled: bool = False,
        kind: str = "SD15",
    ) -> None:
        self.frames = 1
        self.temporal: dict[str, Attention] = {}  # by the host's name of the block
        self.blocks = {host: name for name, host in names.items()}
        self.heads = dict(zip(WIDTHS[kind], HEADS[kind], strict=True))
        self.network = UNet2DConditionModel(
            block_out_channels=WIDTHS[kind], layers_per_block=1, cross_attention_dim=TEXT_DIM,
            attention_head_dim=HEADS[kind],
            down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2,
            use_linear_projection=kind == "SD20",
        ).eval()  # fmt: skip
        self.network.load_state_dict({ours: weights[host] for ours, host in names.items() if host in weights})
        for name, module in self.network.named_modules():
            if name.endswith("attn1"):
                module.set_processor(SparseCausal(self))
        self._add_temporal(temporal or {}, names)
        if pooled:
            self._pool()

    def _add_temporal(self, tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
        ours = {host: name for name, host in names.items()}
        for host in sorted({key.rsplit(".", 1)[0] for key in tensors}):
            block = ours[f"{host}.norm1.weight"].removesuffix(".norm1.weight")
            parts = {key.rsplit(".", 1)[1]: value for key, value in tensors.items() if key.rsplit(".", 1)[0] == host}
            channels = parts["to_q"].shape[0]
            heads = self.heads[channels]
            layer = Attention(query_dim=channels, heads=heads, dim_head=channels // heads).eval()
            named = {"to_out": "to_out.0.weight", "to_out_bias": "to_out.0.bias"}
            layer.load_state_dict({named.get(key, f"{key}.weight"): value for key, value in parts.items()})
            self.temporal[host] = layer
            self.network.get_submodule(block).register_forward_hook(self._behind(layer, nn.LayerNorm(channels)))

    def _behind(self, layer: Attention, norm: nn.LayerNorm) -> Any:
        def add(_block: nn.Module, _inputs: Any, x: Tensor) -> Tensor:
            out = x.clone()
            for start in range(0, len(x), self.frames):
                part = slice(start, start + self.frames)
                for position in range(x.shape[1]):
                    line = norm(x[part, position])  # [F, D]
                    out[part, position] = x[part, position] + manual_attention(layer, line, line)
            return out

        return add

    def _pool(self) -> None:
        self.network.conv_norm_out = PooledNorm(self.network.conv_norm_out, self)
        for module in list(self.network.modules()):
            if type(module).__name__ == "ResnetBlock2D":
                module.norm1, module.norm2 = PooledNorm(module.norm1, self), PooledNorm(module.norm2, self)

    def __call__(self, x: Tensor, timestep: float, texts: list[Tensor]) -> Tensor:
        """Output for parts ``[P F, C, h, w]`` with one prompt ``[1, N, D]`` each; every part is run alone."""
        with torch.no_grad():
            return self.run(x, timestep, texts)

    def run(self, x: Tensor, timestep: float, texts: list[Tensor]) -> Tensor:
        """The same with gradients."""
        self.frames = x.shape[0] // len(texts)
        outputs = []
        for part, text in zip(x.split(self.frames), texts, strict=True):
            context = text.expand(self.frames, -1, -1)
            outputs.append(self.network(part, timestep, context, return_dict=False)[0])
        return torch.cat(outputs)

    def training_step(
        self, x0: Tensor, noise: Tensor, timestep: int, text: Tensor, prediction: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss on the frames ``x0 [F, C, h, w]`` at a timestep, and the gradients of all that is tuned.

        Returns:
            The loss, and gradients by the names of the pack's files.
        """
        scheduler = DDPMScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type=prediction
        )
        at = torch.tensor([timestep])
        target = noise if prediction == "epsilon" else scheduler.get_velocity(x0, noise, at)
        output = self.run(scheduler.add_noise(x0, noise, at), timestep, [text])
        loss = torch.nn.functional.mse_loss(output, target)
        loss.backward()
        return loss.detach(), self._gradients()

    def _gradients(self) -> dict[str, Tensor]:
        found = {}
        for host, layer in self.temporal.items():
            for name in ("to_q", "to_k", "to_v"):
                found[f"temporal.{host}.{name}"] = getattr(layer, name).weight.grad
            found[f"temporal.{host}.to_out"] = layer.to_out[0].weight.grad
            found[f"temporal.{host}.to_out_bias"] = layer.to_out[0].bias.grad
            ours = self.blocks[f"{host}.norm1.weight"].removesuffix(".norm1.weight")
            for name in ("attn1.to_q", "attn2.to_q"):
                found[f"queries.{host}.{name}"] = self.network.get_submodule(f"{ours}.{name}").weight.grad
        return found
