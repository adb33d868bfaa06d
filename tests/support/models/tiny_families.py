"""Every family the pack knows as a tiny network of the host's own class, loaded from a file by the host."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import clip_pairs
import tiny_cogvideox
import tiny_hunyuan
import tiny_kandinsky
import tiny_ltx
import tiny_vision
import tiny_wan
import torch
from torch import Tensor

TEXT_DIM = 32
TOKENS = 5


@dataclass(frozen=True)
class Tiny:
    """A family's small network."""

    name: str  # in the pack's table
    save: Callable[..., Path]  # (path, seed)
    flow: bool = True  # else velocity prediction on discrete timesteps
    size: int = 4  # latent pixels of a test scene
    time_patch: int = 1
    text_dim: int = TEXT_DIM  # channels of a text token
    extra: dict[str, Any] = field(default_factory=dict)  # what its conditioning must carry besides the text

    @property
    def kept(self) -> dict[str, Tensor]:
        """The same as training keeps it: tensors without a batch dimension."""
        tensors = {name: torch.as_tensor(value) for name, value in self.extra.items() if value is not None}
        return {name: value[0] if value.ndim > 1 else value for name, value in tensors.items()}

    def conditioning(self, seed: int) -> list[Any]:
        """A CONDITIONING of random tokens."""
        text = torch.randn(1, TOKENS, self.text_dim, generator=torch.Generator().manual_seed(seed))
        return [[text, {"pooled_output": None, **self.extra}]]


WAN = Tiny("Wan 2.1", tiny_wan.save_tiny_wan)
WAN_22_I2V = Tiny("Wan 2.2 I2V", partial(tiny_wan.save_tiny_wan, more=20))
WAN_21_I2V = Tiny("Wan 2.1 I2V", partial(tiny_wan.save_tiny_wan, more=20, kind="i2v"))
WAN_21_FLF2V = Tiny(
    "Wan 2.1 FLF2V",
    partial(tiny_wan.save_tiny_wan, more=20, kind="i2v", flf_pos_embed_token_number=2 * tiny_vision.TOKENS),
)
IMAGE_TO_VIDEO = (WAN_22_I2V, WAN_21_I2V, WAN_21_FLF2V)
WAN_5B = Tiny("Wan 2.2 5B", partial(tiny_wan.save_tiny_wan, channels=48))
COG_5B = Tiny("CogVideoX 5B", tiny_cogvideox.save_tiny_cogvideox, flow=False)
COG_2B = Tiny("CogVideoX 2B", partial(tiny_cogvideox.save_tiny_cogvideox, **tiny_cogvideox.POSITION_TABLE), flow=False)
COG_15 = Tiny(
    "CogVideoX 1.5",
    partial(tiny_cogvideox.save_tiny_cogvideox, **tiny_cogvideox.LATER),
    flow=False,
    time_patch=2,
)
LTXV = Tiny(
    "LTXV",
    tiny_ltx.save_tiny_ltx,
    extra={"attention_mask": torch.ones(1, TOKENS, dtype=torch.long), "frame_rate": 25.0},
)
HUNYUAN = Tiny(
    "HunyuanVideo", tiny_hunyuan.save_tiny_hunyuan, extra={"pooled_output": torch.zeros(1, tiny_hunyuan.POOLED)}
)
_UNCONNECTED = {"unprocessed_ltxav_embeds": True, "frame_rate": 25.0}  # a text that is to go through the connectors
LTX_2 = Tiny("LTX-2", partial(tiny_ltx.save_tiny_ltx, config=tiny_ltx.LTX_2), extra=_UNCONNECTED)
LTX_23 = Tiny("LTX-2.3", partial(tiny_ltx.save_tiny_ltx, config=tiny_ltx.LTX_23), extra=_UNCONNECTED)
LTX = (LTXV, LTX_2, LTX_23)
HUNYUAN_15 = Tiny(
    "HunyuanVideo 1.5",
    partial(tiny_hunyuan.save_tiny_hunyuan, **tiny_hunyuan.LATER),
    extra={"pooled_output": None, "conditioning_byt5small": tiny_hunyuan.byt5_text()},
)
HUNYUANS = (HUNYUAN, HUNYUAN_15)
KANDINSKY = Tiny(
    "Kandinsky 5",
    tiny_kandinsky.save_tiny_kandinsky,
    text_dim=tiny_kandinsky.TEXT_DIM,
    extra={"pooled_output": torch.zeros(1, tiny_kandinsky.POOLED)},
)
ALL = (WAN, *IMAGE_TO_VIDEO, WAN_5B, COG_5B, COG_2B, COG_15, *LTX, *HUNYUANS, KANDINSKY)
COGVIDEOX = tuple(tiny for tiny in ALL if not tiny.flow)


def text_of(family: Tiny) -> Callable[[str], dict[str, Tensor]]:
    """A text encoder that costs nothing, with what the family's own gives besides the tokens."""
    if "attention_mask" in family.extra:
        return clip_pairs.masked_text
    return partial(clip_pairs.fake_text, more=family.kept, width=family.text_dim)


@cache
def model_of(name: str, seed: int = 0) -> Any:
    """A host MODEL that all tests share; tests put what they need on clones."""
    return fresh_model_of(name, seed)


atexit.register(model_of.cache_clear)  # while the host can still unload it


def fresh_model_of(name: str, seed: int = 0) -> Any:
    """Another host MODEL of the same weights, loaded on its own."""
    import comfy.sd

    (tiny,) = (tiny for tiny in ALL if tiny.name == name)
    with TemporaryDirectory() as folder, torch.inference_mode():
        model = comfy.sd.load_diffusion_model(str(tiny.save(Path(folder) / "model.safetensors", seed)))
    return model if tiny.flow else tiny_cogvideox.with_its_scale(model)
