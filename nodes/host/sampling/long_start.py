"""Where a long video begins: at its first frame, or behind the LATENT of an earlier one."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ....training.tic_ft.windows import LongVideo
from ..model.video_model import VideoModel
from .context import ContextRequest
from .long_output import Reached
from .long_plan import LongRequest

MARK = "tic_ft_long"  # in a LATENT: how far its video is


def latent_of(reached: Reached) -> dict[str, Any]:
    """The LATENT from which a later run goes on exactly; a saved one keeps no more than the latents."""
    mark = {"frames": reached.done, "end": reached.end, "history": reached.history}
    return {"samples": reached.latents, MARK: mark}


def start_of(
    video: VideoModel, vae: Any, goes_on: dict[str, Any] | None, request: LongRequest, plan: LongVideo
) -> Reached:
    """How far the video is before this run.

    Raises:
        ValueError: nothing says it, or the LATENT does not fit.
    """
    if goes_on is None:
        if request.start_frame > 0:
            raise ValueError(
                f"start_frame is {request.start_frame} and there is no LATENT to go on from; connect goes_on_from, or "
                "set it to -1"
            )
        return Reached()
    latents, mark = goes_on["samples"], goes_on.get(MARK) or {}
    _check_shape(latents, video, vae, request.context)
    done = _frames_there(request.start_frame, mark)
    end = mark.get("end", plan.reach(done))
    number = plan.number_at(end)
    if done >= plan.frames:
        raise ValueError(f"the video has {plan.frames} frames and {done} of them are there; set `frames` higher")
    held = plan.window(min(number, plan.count - 1)).overlap  # between key frames it may be more than was asked for
    _check_count(latents.shape[2], plan, max(held, plan.overlap), cut=end > done and not mark)
    return Reached(done, end, latents[:1], mark.get("history"))


def _frames_there(start_frame: int, mark: dict[str, Any]) -> int:
    said = mark.get("frames", start_frame)
    if start_frame >= 0 and start_frame != said:
        raise ValueError(
            f"start_frame is {start_frame} and the LATENT to go on from is the end of a video of {said} frames; set "
            f"start_frame to -1, or to {said}"
        )
    if said < 1:
        raise ValueError(
            "this LATENT does not say how many frames the video has up to its end (a saved one does not keep that); "
            "set start_frame to the `frames` that its run has put out"
        )
    return said


def _check_shape(latents: Any, video: VideoModel, vae: Any, asked: ContextRequest) -> None:
    spatial = vae.spacial_compression_encode()
    channels, height, width = wanted = (video.channels, asked.height // spatial, asked.width // spatial)
    plain = isinstance(latents, Tensor)
    if plain and latents.ndim == 5 and (latents.shape[1], *latents.shape[3:]) == wanted:
        return
    found = " x ".join(map(str, latents.shape)) if plain else f"a {type(latents).__name__}"
    raise ValueError(
        f"the LATENT to go on from is {found}, and one of this video is 1 x {channels} x frames x {height} x {width}; "
        "connect that of a run with this kind of model, width and height"
    )


def _check_count(count: int, plan: LongVideo, held: int, cut: bool) -> None:
    """Where the video's end was ``cut`` off, the last window has to be there whole: the next frames are in it."""
    window = plan.layout.target
    if cut and count != window:
        raise ValueError(
            f"the LATENT to go on from has {count} latents, a window of this layout has {window}; set window_frames "
            "as it was, and take the LATENT of TIC-FT Long Video"
        )
    if count < max(1, held):
        raise ValueError(f"the LATENT to go on from has {count} latents, {held} are held; take that of a long video")
