"""The host's network of each family beside diffusers' with the same weights, and what both answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import diffusers_ltx
import lora_files
import tiny_families
import tiny_hunyuan
import tiny_kandinsky
import tiny_ltx
import torch
from diffusers_networks import rope
from torch import Tensor, nn

TEXT = tiny_families.TEXT_DIM
TIME = torch.tensor([700.0])
RANK = 3
CONNECTOR = "_embeddings_connector."  # in the host's names
# Weights that no LoRA holds: the host's names -> diffusers' names.
NORMS = {
    **lora_files.NORMS,
    "LTXV": diffusers_ltx.NAMES[2:3] + diffusers_ltx.NAMES[-1:],
    "HunyuanVideo": (
        (r"^txt_in\.individual_token_refiner\.blocks", "context_embedder.token_refiner.refiner_blocks"),
        (r"img_attn\.norm\.query_norm", "attn.norm_q"), (r"img_attn\.norm\.key_norm", "attn.norm_k"),
        (r"txt_attn\.norm\.query_norm", "attn.norm_added_q"), (r"txt_attn\.norm\.key_norm", "attn.norm_added_k"),
        (r"^single_blocks\.(\d+)\.norm\.query_norm", r"single_transformer_blocks.\1.attn.norm_q"),
        (r"^single_blocks\.(\d+)\.norm\.key_norm", r"single_transformer_blocks.\1.attn.norm_k"),
        (r"^double_blocks", "transformer_blocks"),
    ),
    "Kandinsky 5": (),
}  # fmt: skip
NORMS["HunyuanVideo 1.5"] = (
    *NORMS["HunyuanVideo"],
    (r"^byt5_in\.layernorm", "context_embedder_2.norm"), (r"^cond_type_embedding", "cond_type_embed"),
    (r"^vision_in\.proj\.0", "image_embedder.norm_in"), (r"^vision_in\.proj\.4", "image_embedder.norm_out"),
)  # fmt: skip


@dataclass(frozen=True)
class Twin:
    """One model: the name of the host's tiny network, its table, diffusers' network, and how each is called."""

    model: str  # of tiny_families
    family: str
    diffusers: Callable[[], nn.Module]
    shape: tuple[int, ...]  # [B, C, T, H, W] of the latents
    ask_host: Callable[[nn.Module, Tensor, Tensor], Tensor]
    ask_diffusers: Callable[[nn.Module, Tensor, Tensor, nn.Module], Tensor]
    text: int = TEXT  # channels of a text token

    def table(self) -> Any:
        from pack.training.lora.keys import TABLES

        return next(table for table in TABLES if table.family == self.family)

    def inputs(self) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(7)
        return torch.randn(self.shape, generator=generator), torch.randn(1, 5, self.text, generator=generator)

    def layers(self) -> dict[str, torch.Size]:
        """Those of the host's network that diffusers has in this network, too: connectors have one of their own."""
        found = lora_files.layers_of(tiny_families.model_of(self.model).model.diffusion_model)
        return {name: shape for name, shape in found.items() if CONNECTOR not in name}

    def host_answer(self, model: Any) -> Tensor:
        """Of the host's network, with everything patched in, as the pack's nodes return it."""
        import comfy.model_management

        from pack.nodes.host.model.noise import repaired

        with torch.inference_mode():
            model = repaired(model)
            comfy.model_management.load_models_gpu([model])
            return self.ask_host(model.model.diffusion_model, *self.inputs())

    def diffusers_answer(self, network: nn.Module) -> Tensor:
        with torch.no_grad():
            return self.ask_diffusers(network.eval(), *self.inputs(), tiny_families.model_of(self.model).model)

    def diffusers_network(self) -> nn.Module:
        """Diffusers' network with the host's weights."""
        network = self.diffusers()
        network.load_state_dict(self._weights())
        return network

    def _weights(self) -> dict[str, Tensor]:
        table, moved = self.table(), {}
        for key, value in lora_files.weights_of(tiny_families.model_of(self.model)).items():
            layer, _, end = key.rpartition(".")
            if CONNECTOR in key:
                continue
            parts = table.parts(layer)
            if parts:
                width = value.shape[0] // sum(width for _, width in parts)
                rows = value.split([count * width for _, count in parts])
                moved |= {f"{name}.{end}": row for (name, _), row in zip(parts, rows, strict=True)}
            elif table.is_swapped(layer):
                moved[f"{table.to_diffusers(layer)}.{end}"] = torch.cat(value.chunk(2)[::-1])
            elif table.to_diffusers(layer):
                moved[f"{table.to_diffusers(layer)}.{end}"] = value
            else:
                for pattern, replacement in NORMS[self.family]:
                    key = re.sub(pattern, replacement, key)
                moved[key] = value
        return moved

    def lora(self, alpha: float | None = 6.0) -> dict[str, Tensor]:
        """A LoRA on every layer in the host's names and endings."""
        found: dict[str, Tensor] = {}
        for name, (a, b) in lora_files.matrices(self.layers(), RANK).items():
            key = f"diffusion_model.{name}"
            found |= {f"{key}.lora_up.weight": b, f"{key}.lora_down.weight": a}
            found |= {} if alpha is None else {f"{key}.alpha": torch.tensor(alpha)}
        return found


def _ltxv() -> nn.Module:
    from diffusers import LTXVideoTransformer3DModel

    return LTXVideoTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, cross_attention_dim=24, caption_channels=TEXT, num_layers=2
    )


def _hunyuan() -> nn.Module:
    from diffusers import HunyuanVideoTransformer3DModel

    return HunyuanVideoTransformer3DModel(
        in_channels=16, out_channels=16, num_attention_heads=1, attention_head_dim=128, num_layers=2,
        num_single_layers=2, num_refiner_layers=2, mlp_ratio=4.0, text_embed_dim=TEXT, pooled_projection_dim=768,
        rope_axes_dim=(16, 56, 56),
    )  # fmt: skip


def _hunyuan_15() -> nn.Module:
    from diffusers import HunyuanVideo15Transformer3DModel

    return HunyuanVideo15Transformer3DModel(
        num_attention_heads=1, attention_head_dim=tiny_hunyuan.HEAD, num_layers=2, text_embed_dim=TEXT
    )


def _kandinsky() -> nn.Module:
    from diffusers import Kandinsky5Transformer3DModel

    form = {"in_visual_dim": 16, "out_visual_dim": 16, "visual_cond": True}
    return Kandinsky5Transformer3DModel(**form, **tiny_kandinsky.CONFIG)


def _pooled() -> Tensor:
    return torch.randn(1, 768, generator=torch.Generator().manual_seed(8))


def _seen() -> Tensor:
    """SigLIP features of an image."""
    return torch.randn(1, 4, 1152, generator=torch.Generator().manual_seed(9))


def _ask_host(net: nn.Module, x: Tensor, text: Tensor) -> Tensor:
    return net(x, TIME, context=text, transformer_options={})


def _ask_wan(net: nn.Module, x: Tensor, text: Tensor, _host: nn.Module) -> Tensor:
    return net(x, TIME, text, return_dict=False)[0]


def _ask_cogvideox(net: nn.Module, x: Tensor, text: Tensor, host: Any) -> Tensor:
    turned = rope(host.diffusion_model.attention_head_dim, x.shape[2], x.shape[3] // 2, x.shape[4] // 2)
    return net(x.transpose(1, 2), text, TIME, image_rotary_emb=turned, return_dict=False)[0].transpose(1, 2)


def _ask_host_ltxv(net: nn.Module, x: Tensor, text: Tensor) -> Tensor:
    return net(x, TIME / 1000, text, torch.ones(1, 5, dtype=torch.long), transformer_options={})


def _ask_ltxv(net: nn.Module, x: Tensor, text: Tensor, _host: nn.Module) -> Tensor:
    tokens = x.flatten(2).transpose(1, 2)
    mask = torch.ones(1, 5)
    answer = net(tokens, text, TIME, mask, *x.shape[2:], (8 / 25, 32, 32), return_dict=False)[0]
    return answer.transpose(1, 2).reshape(x.shape)


def _ask_host_hunyuan(net: nn.Module, x: Tensor, text: Tensor) -> Tensor:
    return net(x, TIME, text, y=_pooled(), guidance=torch.tensor([6.0]), transformer_options={})


def _ask_hunyuan(net: nn.Module, x: Tensor, text: Tensor, _host: nn.Module) -> Tensor:
    return net(
        x, TIME.long(), text, torch.ones(1, 5), _pooled(), guidance=torch.tensor([6000.0]), return_dict=False
    )[0]  # fmt: skip


def _ask_host_ltx2(net: nn.Module, x: Tensor, text: Tensor) -> Tensor:
    both = torch.cat([text, text], dim=2)  # as it comes from the connectors
    return net([x], (TIME / 1000, TIME / 1000), both, torch.ones(1, 5, dtype=torch.long), transformer_options={})


def _ask_ltx2(net: nn.Module, x: Tensor, text: Tensor, _host: nn.Module) -> Tensor:
    frames = dict(zip(("num_frames", "height", "width"), x.shape[2:], strict=True))
    given = (diffusers_ltx.as_tokens(x), torch.zeros(1, 1, x.shape[1]), text, text, TIME)
    answer = net(
        *given, audio_timestep=TIME, sigma=TIME, fps=25.0, audio_num_frames=1, isolate_modalities=True,
        return_dict=False, **frames,
    )  # fmt: skip
    return diffusers_ltx.as_frames(answer[0], x)


def _ask_host_hunyuan_15(net: nn.Module, x: Tensor, text: Tensor) -> Tensor:
    more = {"txt_byt5": tiny_hunyuan.byt5_text(), "clip_fea": _seen()}
    return net(x, TIME, text, guidance=None, transformer_options={}, **more)


def _ask_hunyuan_15(net: nn.Module, x: Tensor, text: Tensor, _host: nn.Module) -> Tensor:
    given = (text, torch.ones(1, 5), None, tiny_hunyuan.byt5_text(), torch.ones(1, 3), _seen())
    return net(x, TIME, *given, return_dict=False)[0]


def _ask_host_kandinsky(net: nn.Module, x: Tensor, text: Tensor) -> Tensor:
    import comfy.ldm.kandinsky5.model as host

    turn = host.apply_rope1
    # diffusers rounds what RoPE has turned to bf16, whatever it computes in.
    with patch.object(host, "apply_rope1", lambda q, turned: turn(q, turned).to(torch.bfloat16).to(q)):
        return net(x, TIME, text, _pooled(), transformer_options={})


def _ask_kandinsky(net: nn.Module, x: Tensor, text: Tensor, _host: nn.Module) -> Tensor:
    places = tuple(torch.arange(count) for count in (x.shape[2], x.shape[3] // 2, x.shape[4] // 2))
    given = (x.movedim(1, -1), text, TIME, _pooled(), places, torch.arange(5))
    return net(*given, scale_factor=(1.0, 2.0, 2.0), return_dict=False).movedim(-1, 1)


TWINS = {
    twin.model.removesuffix(" 2.1").removesuffix(" 5B"): twin
    for twin in (
        Twin("Wan 2.1", "Wan", lora_files.PAIRS["Wan 2.1"].diffusers, (1, 16, 3, 4, 4), _ask_host, _ask_wan),
        Twin("CogVideoX 5B", "CogVideoX", lora_files.PAIRS["CogVideoX 1.0"].diffusers, (1, 16, 3, 4, 4), _ask_host,
             _ask_cogvideox),
        Twin("LTXV", "LTXV", _ltxv, (1, 128, 3, 2, 4), _ask_host_ltxv, _ask_ltxv),
        Twin("LTX-2", "LTXV", lambda: diffusers_ltx.ltx2_network(tiny_ltx.LTX_2), (1, 128, 3, 2, 4), _ask_host_ltx2,
             _ask_ltx2),
        Twin("HunyuanVideo", "HunyuanVideo", _hunyuan, (1, 16, 3, 4, 4), _ask_host_hunyuan, _ask_hunyuan),
        Twin("HunyuanVideo 1.5", "HunyuanVideo 1.5", _hunyuan_15, (1, 65, 3, 4, 4), _ask_host_hunyuan_15,
             _ask_hunyuan_15),
        Twin("Kandinsky 5", "Kandinsky 5", _kandinsky, (1, 33, 3, 4, 4), _ask_host_kandinsky, _ask_kandinsky,
             tiny_kandinsky.TEXT_DIM),
    )
}  # fmt: skip
