"""From a decoded sequence to the frames to keep."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ....methods import tic_ft
from ..services.latent_origin import comes_without

CLEAN = "tic_ft_clean"  # in a LATENT: its condition latents, for TIC-FT Crop to see that the sampler had the context
COUNTS = ("condition", "buffer", "target", "compression", "target_frames")  # of a layout in a LATENT
FOREIGN = 0.6  # share by which those frames may be off after all before they are called another's; chance is above 1


def crop(images: Tensor, latent: dict[str, Any], keep: str) -> Tensor:
    """The part of a decoded sequence ``[T, H, W, C]`` (or batches of it, end to end) to keep.

    Raises:
        ValueError: the latent has no TIC-FT layout, or the frames do not match it.
    """
    place = latent.get("tic_ft")
    if not isinstance(place, dict) or not all(isinstance(place.get(name), int) for name in COUNTS):
        raise ValueError("this latent has no TIC-FT layout; wire the LATENT that went through TICFTContext")
    check_sampled(latent["samples"], latent.get(CLEAN))
    frames = place["condition"] + place["buffer"] + place["target"]
    every = _decoded_frames(len(images), len(latent["samples"]), frames, place["compression"])
    start = every - place["target_frames"]
    if keep == "condition and buffer" and frames == place["target"]:
        raise ValueError("the sequence has no condition and buffer frames; keep 'target' instead")
    parts = {
        "target": slice(start, every),
        "condition and buffer": slice(0, start),
        "everything": slice(0, every),
    }
    return images.unflatten(0, (-1, every))[:, parts[keep]].flatten(0, 1)


def check_origin(prompt: Any, node_id: str) -> None:
    """Refuse a graph whose LATENT has passed no TIC-FT Context, before anything is sampled.

    Args:
        prompt: The graph that is being run.
        node_id: The TIC-FT Crop's.

    Raises:
        ValueError: it is certain that no layout will arrive.
    """
    maker = comes_without(prompt, node_id, "latent", "TICFTContext")
    if maker:
        raise ValueError(
            f"the LATENT comes from {maker}, which has no TIC-FT layout; wire the LATENT of TIC-FT Context to the "
            "sampler, and the sampler's to TIC-FT Crop"
        )


def check_sampled(samples: Tensor, clean: Tensor | None) -> None:
    """Refuse a sequence that was sampled without its context: its condition frames are then the model's own.

    Raises:
        ValueError: they are not the ``clean`` ones of the context, given that their size still is.
    """
    if clean is None or not clean.numel() or samples.ndim != 5 or samples.shape[3:] != clean.shape[3:]:
        return
    first = samples[:, :, : clean.shape[2]].float()
    off = (first - clean.to(first)).abs().mean() / clean.float().abs().mean().clamp_min(1e-6)
    if first.shape[2] != clean.shape[2] or not float(off) < FOREIGN:
        raise ValueError(
            "this latent was sampled with a model that has not its TIC-FT context; wire the MODEL of the same TIC-FT "
            "Context to the sampler"
        )


def _decoded_frames(images: int, batch: int, frames: int, compression: int) -> int:
    """Pixel frames of each video among ``images`` decoded from latents of so many frames.

    Raises:
        ValueError: no number of videos is so long.
    """
    usual = tic_ft.pixel_frames(frames, compression)
    # CogVideoX's VAE makes a full share of frames of the first latent too where their number is even.
    lengths = [usual] if frames % 2 else [usual, compression * frames]
    whole = [length for length in lengths if images % length == 0]
    if not whole:
        raise ValueError(f"got {images} images, the sequence decodes to {usual}; wire the whole VAE Decode output")
    return min(whole, key=lambda length: length * batch != images)
