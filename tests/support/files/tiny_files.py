"""Small random nets, LoRAs and clips under the names that the workflows of real models ask for."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from quantised_files import FP8, quantise
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_cogvideox import save_tiny_cogvideox
from tiny_hunyuan import LATER, save_tiny_hunyuan
from tiny_ltx import save_tiny_checkpoint
from tiny_vae import tiny_vae
from tiny_wan import save_tiny_wan
from torch import Tensor
from workflow_checks import ACTION_FOLDER, CLIP_FOLDER, INPUT_FILES, MODEL_FILES

from pack.methods.tic_ft import Layout
from pack.methods.tic_ft_tasks import TASKS
from pack.toy.text import WIDTH as TEXT_WIDTH  # the toy's text encoder stands in for those of the models
from pack.training.lora.file import LoraModel, save_lora
from pack.training.lora.metadata import to_metadata
from pack.training.tic_ft.layout import ticft_settings

SIZE = 64  # pixels
RATE = 16  # of what the LoRAs were trained on, frames a second
SOURCE_RATE = 32  # of the clip to make a video from
LTX_ROLES = ("to_q", "to_k", "to_v", "to_out.0")
LAYERS = {
    "wan": [f"blocks.{i}.{kind}_attn.{name}" for i in range(2) for kind in ("self", "cross") for name in "qkvo"],
    "ltx2": [f"transformer_blocks.{i}.attn{j}.{n}" for i in (0, 1) for j in (1, 2) for n in LTX_ROLES],
    "cogvideox": [
        f"transformer_blocks.{i}.attn1.{name}" for i in range(2) for name in ("to_q", "to_k", "to_v", "to_out.0")
    ],
}
RANK = 2
CHANNELS = {"wan2.2_vae.safetensors": 48, "hunyuanvideo15_vae_fp16.safetensors": 32}  # of latents; of others 16
_wan = partial(save_tiny_wan, text_dim=TEXT_WIDTH)


def _scaled_fp8(save: Callable[[Path], Path], path: Path) -> Path:
    """The file of a network, its linear layers scaled to fp8 as in the published files."""
    save(path)
    with safe_open(path, framework="pt") as file:
        metadata, state = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(quantise(state, FP8)[0], path, metadata=metadata)
    return path


NETWORKS: dict[str, Callable[[Path], Path]] = {
    "wan2.1_t2v_1.3B_fp16.safetensors": _wan,
    "wan2.2_ti2v_5B_fp16.safetensors": partial(_wan, channels=48),
    "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors": partial(_wan, seed=1),
    "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors": partial(_wan, seed=2),
    "wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors": partial(_scaled_fp8, partial(_wan, seed=1, more=20)),
    "wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors": partial(_scaled_fp8, partial(_wan, seed=2, more=20)),
    "wan2.2_bernini_r_high_noise_fp8_scaled.safetensors": partial(_scaled_fp8, partial(_wan, seed=3)),
    "wan2.2_bernini_r_low_noise_fp8_scaled.safetensors": partial(_scaled_fp8, partial(_wan, seed=4)),
    "hunyuanvideo1.5_720p_t2v_fp16.safetensors": partial(save_tiny_hunyuan, **{**LATER, "context_in_dim": TEXT_WIDTH}),
    "cogvideox_5b_bf16.safetensors": partial(save_tiny_cogvideox, text_embed_dim=TEXT_WIDTH),
    "ltx-2.3-22b-dev-fp8.safetensors": partial(save_tiny_checkpoint, change=lambda weights: quantise(weights, FP8)[0]),
}


def write_files(base: Path) -> None:
    """Fill ``models`` and ``input`` below a host's base folder; text encoders stay empty."""
    for name, folder in MODEL_FILES.items():
        path = base / "models" / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in NETWORKS:
            NETWORKS[name](path)
        elif folder == "vae":
            save_file(_video_vae(CHANNELS.get(name, 16)), path)
        elif folder == "loras":
            _save_lora(path)
        else:
            path.touch()
    _write_clips(base / "input")


def _video_vae(channels: int) -> dict[str, Tensor]:
    """Wan 2.1's own class, which also stands in for CogVideoX's; for more channels the host's small video decoder.

    The host builds the VAEs of CogVideoX, of Wan 2.2 and of HunyuanVideo 1.5 at full size only.
    """
    if channels == 16:
        return {key: value.clone() for key, value in tiny_vae().first_stage_model.state_dict().items()}
    from comfy.latent_formats import HunyuanVideo15
    from comfy.taesd.taehv import TAEHV

    generator = torch.Generator().manual_seed(0)
    state = TAEHV(latent_channels=channels, latent_format=HunyuanVideo15 if channels == 32 else None).state_dict()
    return {
        key: torch.randn(value.shape, generator=generator) * value[0].numel() ** -0.5 for key, value in state.items()
    }


def _save_lora(path: Path) -> None:
    """A LoRA in our format; the one for CogVideoX as the authors' scripts save theirs, without any metadata."""
    generator = torch.Generator().manual_seed(0)

    def pair(side: int) -> tuple[Tensor, Tensor]:
        return tuple(torch.randn(*shape, generator=generator) * 0.1 for shape in ((RANK, side), (side, RANK)))

    if "cogvideox" in path.name:
        names, prefix, side = ("lora_A", "lora_B"), "transformer.", 64
        layers, metadata = LAYERS["cogvideox"], None
    else:
        ltx = "ltx2" in path.name
        names, prefix, side = ("lora_down", "lora_up"), "diffusion_model.", 48
        layers, metadata = LAYERS["ltx2" if ltx else "wan"], _metadata(path.name)
    tensors = {
        f"{prefix}{layer}.{name}.weight": value
        for layer in layers
        for name, value in zip(names, pair(side), strict=True)
    }
    save_lora(LoraModel(tensors, metadata), path)


def _metadata(name: str) -> dict[str, str]:
    """What a LoRA of this name was trained for."""
    task = "video to video" if "long_video" in name else "image to video"
    layout = Layout.linear(TASKS[task].condition, TASKS[task].buffer, 6 if task == "video to video" else 9)
    form = SimpleNamespace(width=SIZE, height=SIZE, fps=RATE, buckets=lambda: ())
    other = {"wan22_5b": "Wan 2.2 5B", "ltx2": "LTX-2.3"}
    settings = {key: json.dumps(value) for key, value in ticft_settings(task, layout, dataset=form).items()}
    family = next((family for part, family in other.items() if part in name), "Wan 2.1")
    return to_metadata({**settings, "base_family": family})


def _write_clips(folder: Path) -> None:
    """An image and a clip to make videos from, and two pairs to train on."""
    pairs = folder / CLIP_FOLDER
    pairs.mkdir(parents=True)
    image, clip = INPUT_FILES
    _write_picture(folder / image, 0)
    _write_video(folder / clip, 7 * SOURCE_RATE, 0, SOURCE_RATE)  # at 8 frames a second still 49
    for i in range(2):
        _write_video(pairs / f"clip_{i}.mp4", 60, i, RATE)  # at 10 frames a second still 36
        _write_picture(pairs / f"clip_{i}.condition.png", i)
        (pairs / f"clip_{i}.txt").write_text("A square moves to the right.", encoding="utf-8")
        _write_action(folder / ACTION_FOLDER / f"action_{i}", i)


def _write_action(folder: Path, seed: int) -> None:
    """Two clips of an action."""
    folder.mkdir(parents=True)
    for i in range(2):
        _write_video(folder / f"clip_{i}.mp4", 80, seed + i, RATE)  # at 10 frames a second 50
        (folder / f"clip_{i}.txt").write_text("A square.", encoding="utf-8")


def _write_picture(path: Path, seed: int) -> None:
    from PIL import Image

    Image.fromarray(_square(0, seed)).save(path)


def _write_video(path: Path, frames: int, seed: int, rate: int) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for i in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_square(i, seed), format="rgb24")))
        container.mux(stream.encode())


def _square(frame: int, seed: int) -> np.ndarray:
    """A bright square on grey, one pixel further to the right a frame."""
    picture = np.full((SIZE, SIZE, 3), 60 + 40 * seed, np.uint8)
    picture[20:40, frame % 40 : frame % 40 + 20] = (230, 200, 30)
    return picture
