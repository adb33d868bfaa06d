"""A video of what a run has learned so far, sampled with the live adapters and shown on the node."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ....methods.tic_ft import pixel_frames
from ....training.core.preview import PreviewSettings, preview_latents
from ....training.storage.video_file import write_video
from ..model.encoders import is_image_vae, releaser
from ..services.progress import throw_if_cancelled
from ..session.memory_use import is_out_of_memory
from ..session.session import Session
from .events import executing_node, prompt_server
from .live_runs import view_of

log = logging.getLogger(__name__)

FOLDER = "samples"  # below the run's
SCALE = 8  # pixels a latent is drawn as without a VAE
SPARE = 1.2  # of the memory the host reckons with
PICTURES, WIDEST = 4, 512  # frames on the still, and its width and height in pixels at most

Sample = Callable[[int], "Path | None"]  # takes the steps done
Note = Callable[[str, str], None]  # a kind in one word, and a sentence


@dataclass(frozen=True)
class Preview:
    """What previews of a run need besides the session."""

    objective: Any  # a ``Previewed``, of the held-out clips where there are any
    folder: Path  # the run's
    fps: float
    compression: int = 4  # pixel frames a later latent stands for
    vae: Any = None  # host VAE; None: latents are drawn as colours
    settings: PreviewSettings = field(default_factory=PreviewSettings)
    per_frame: bool = False


def make_sample(session: Session, preview: Preview, note: Note) -> Sample:
    """A function ``sample(step)`` that makes a preview and returns its file, or None after saying why there is none.

    It draws no random numbers that the training uses and changes nothing that it reads. An error, also one of too
    little memory, costs the preview and not the run; the user's cancel passes through.
    """

    def sample(step: int) -> Path | None:
        try:
            latents = sampled_latents(session, preview)
            frames = decode(session, preview, latents, note)
            path = _write(frames, preview, step)
        except Exception as error:
            _release_memory()
            why = "there is not enough memory" if is_out_of_memory(error) else str(error)
            log.debug("no preview", exc_info=True)
            note("preview", f"the preview after {step} steps was skipped: {why}")
            return None
        show(frames, path)
        return path

    return sample


def sampled_latents(session: Session, preview: Preview) -> Tensor:
    """Latents ``[C, F, h, w]`` in the model's space, sampled with the network as it is trained now."""
    import comfy.samplers

    def on_step(_done: int, _total: int) -> None:
        throw_if_cancelled()

    sigmas = comfy.samplers.calculate_sigmas(session.predict.sampling, "simple", preview.settings.steps)
    return preview_latents(
        preview.objective, session.predict, sigmas, preview.settings, session.device, preview.per_frame, on_step
    )


def decode(session: Session, preview: Preview, latents: Tensor, note: Note) -> Tensor:
    """Target frames ``[T, H, W, 3]`` in [0, 1] of a sequence ``[C, F, h, w]`` in the model's space.

    With a VAE only where it fits beside the model: the host would otherwise move the model out in the middle of
    its training.

    Raises:
        ValueError: there is neither a VAE nor a table of colours.
    """
    model, prefix = session.predict.model.model, preview.objective.layout.prefix
    if preview.vae is not None:
        packed = model.process_latent_out(latents[None].clone())
        if is_image_vae(preview.vae):
            packed = packed[0].transpose(0, 1)  # 1 C T h w -> T C h w
        if fits_beside(preview.vae, packed):
            return _decoded(preview.vae, packed)[pixel_frames(prefix, preview.compression) :]
        note("preview", "the VAE does not fit beside the model, so the preview shows colours of the latents")
    return colours(latents[:, prefix:], model.latent_format)


def fits_beside(vae: Any, latents: Tensor) -> bool:
    """Whether the VAE can decode latents without the host having to unload anything for it."""
    import comfy.model_management as management

    need = vae.memory_used_decode(latents.shape, vae.vae_dtype) + vae.patcher.model_size()
    least = management.minimum_inference_memory() if vae.patcher.load_device.type != "cpu" else 0
    return need * SPARE + least < management.get_free_memory(vae.patcher.load_device)


def _decoded(vae: Any, latents: Tensor) -> Tensor:
    """Frames of latents; the VAE leaves the device afterwards."""
    try:
        with torch.inference_mode():  # the host may patch or move weights that were made in this mode
            frames = vae.decode(latents)
    finally:
        releaser(vae.patcher)()
    frames = frames.flatten(0, 1) if frames.ndim == 5 else frames  # 1 T H W C -> T H W C
    return frames.float().cpu()


def colours(latents: Tensor, latent_format: Any) -> Tensor:
    """Latents ``[C, T, h, w]`` as enlarged frames ``[T, H, W, 3]``, by the host's table of colours for the format.

    Raises:
        ValueError: the host has no table for it.
    """
    factors = getattr(latent_format, "latent_rgb_factors", None)
    if factors is None:
        raise ValueError(
            f"the host has no colours for {type(latent_format).__name__} latents; give the trainer a VAE for previews"
        )
    table = torch.tensor(factors, dtype=torch.float32)
    bias = getattr(latent_format, "latent_rgb_factors_bias", None)
    pixels = latents.float().cpu().movedim(0, -1) @ table  # C T h w -> T h w 3
    if bias is not None:
        pixels = pixels + torch.tensor(bias, dtype=torch.float32)
    pixels = ((pixels + 1.0) / 2.0).clamp(0.0, 1.0)
    return pixels.repeat_interleave(SCALE, dim=1).repeat_interleave(SCALE, dim=2)


def _write(frames: Tensor, preview: Preview, step: int) -> Path:
    """Save a preview in the run's folder, or in the host's temp folder where that fails."""
    import folder_paths

    name = f"{step:06d}.mp4"
    try:
        if not preview.folder.is_dir():
            raise FileNotFoundError("it is gone")
        return write_video(frames, preview.folder / FOLDER / name, preview.fps)
    except OSError as error:
        log.warning("the preview cannot be saved in the run's folder (%s), it goes to the temp folder", error)
        spare = Path(folder_paths.get_temp_directory()) / f"{preview.folder.name}_{name}"
        return write_video(frames, spare, preview.fps)


def show(frames: Tensor, path: Path) -> None:
    """Show a preview on the node that runs: a still at once, and the video as a result of the node.

    Both are what the host's own nodes send: the still as a sampler does, the video as a node that has ended does.
    """
    from comfy.utils import ProgressBar

    ProgressBar(1).update_absolute(0, 1, preview=("JPEG", still(frames), WIDEST))
    server, node = prompt_server(), executing_node()
    if server is None or not node:
        return
    message = {"node": node, "display_node": _display_node(node), "output": video_ui(path)}
    server.send_sync("executed", {**message, "prompt_id": server.last_prompt_id}, server.client_id)


def video_ui(path: Path | None) -> dict[str, Any]:
    """The ``ui`` of a node that shows a saved video with the host's own player; empty where there is none."""
    view = None if path is None else view_of(path)
    return {} if view is None else {"images": [view], "animated": (True,)}


def still(frames: Tensor) -> Any:
    """A picture of frames ``[T, H, W, 3]`` in [0, 1]: some of them, evenly spread, side by side."""
    from PIL import Image

    places = torch.linspace(0, len(frames) - 1, min(PICTURES, len(frames))).round().long()
    strip = torch.cat([frames[place] for place in places], dim=1)
    return Image.fromarray((strip.clamp(0.0, 1.0) * 255.0).round().byte().cpu().numpy())


def _display_node(node: str) -> str:
    """The node of the page that stands for an executing one; itself where the host does not say."""
    from comfy_execution.progress import get_progress_state

    dynprompt = getattr(get_progress_state(), "dynprompt", None)
    return node if dynprompt is None else str(dynprompt.get_display_node_id(node))


def _release_memory() -> None:
    import comfy.model_management as management

    management.soft_empty_cache()
