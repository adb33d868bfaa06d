"""What the frames of a long video depend on, as one digest: the same request goes on where it was stopped."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ....training.storage.tensor_file import checksum
from ..model.changes import UnnamedError, changes_on, digest_of, restore_modules, uncompiled
from ..model.fingerprint import model_fingerprint, weights_digest
from ..model.video_model import VideoModel
from ..model.vision import vision_encoder
from ..services.images import file_of, rate_of, window_of

if TYPE_CHECKING:
    from .long_output import Reached
    from .long_plan import LongRequest
    from .long_video import Solver

NODE = "TIC-FT Long Video"


def key_of(
    video: VideoModel, vae: Any, solver: Solver, source: Any, request: LongRequest, start: Reached,
    clip_vision: Any = None,
) -> str:  # fmt: skip
    """SHA-256 of models, prompts, solver, source and numbers; the name of the file is none of them.

    Raises:
        ValueError: something holds what cannot be told apart.
    """
    models = [video.model] if solver.model_2 is None else [video.model, solver.model_2]
    parts = {
        "request": asdict(request) | {"filename": "", "seed": solver.seed, "cfg": solver.cfg},
        "model": [_model(model) for model in models],
        "VAE": weights_digest(vae.patcher),
        "clip_vision": "" if clip_vision is None else vision_encoder(clip_vision).key,
        "sampler": solver.sampler,
        "sigmas": [solver.sigmas, solver.sigmas_2],
        "positive": solver.positive,
        "negative": solver.negative,
        "source": _source(source),
        "goes_on_from": vars(start),
    }
    return hashlib.sha256("".join(_named(*part) for part in parts.items()).encode()).hexdigest()


def _named(name: str, value: Any) -> str:
    try:
        return digest_of(value)
    except UnnamedError as unknown:
        raise ValueError(
            f"{name} holds a {unknown}: a run could not be told from one with another, so take the node that put it "
            f"there off in front of {NODE}"
        ) from unknown


def _model(model: Any) -> list[Any]:
    """Weights, and everything that other nodes have put on them; what is compiled is the same function."""
    restore_modules(model)
    hooks = [list(model.hook_patches.values()), getattr(model, "forced_hooks", None)]
    return [model_fingerprint(model), changes_on(uncompiled(model), NODE), hooks]


def _source(source: Any) -> Any:
    """A file by its name, size and time; images by their bytes, and those of a VIDEO by their rate, too."""
    if isinstance(source, Tensor):
        return checksum({"": source})
    file = file_of(source)
    if isinstance(file, Path):
        stat = file.stat()
        return [file.name, stat.st_size, stat.st_mtime_ns, repr(window_of(source))]
    if file is not None:
        return [hashlib.sha256(file.getvalue()).hexdigest(), repr(window_of(source))]
    return [checksum({"": source.get_components().images}), rate_of(source)]
