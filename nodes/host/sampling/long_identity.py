"""What the frames of a long video depend on, as one digest: the same request goes on where it was stopped."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ....training.storage.tensor_file import checksum
from ..model.fingerprint import model_fingerprint, weights_digest
from ..model.video_model import VideoModel
from ..services.images import file_of, window_of

if TYPE_CHECKING:
    from .long_output import Reached
    from .long_plan import LongRequest
    from .long_video import Solver


def key_of(video: VideoModel, vae: Any, solver: Solver, source: Any, request: LongRequest, start: Reached) -> str:
    """SHA-256 of models, prompts, solver, source and numbers; the name of the file is none of them."""
    digest = hashlib.sha256()
    asked = asdict(request) | {"filename": "", "seed": solver.seed, "cfg": solver.cfg}
    models = [model_fingerprint(video.model), weights_digest(vae.patcher)]
    models += [] if solver.model_2 is None else [model_fingerprint(solver.model_2)]
    parts = [asked, models, _solver(solver), _source(source), vars(start)]
    for part in parts:
        _add(digest, part)
    return digest.hexdigest()


def _solver(solver: Solver) -> list[Any]:
    sampler = solver.sampler
    function = getattr(sampler, "sampler_function", None)
    name = getattr(function, "__name__", type(sampler).__name__)
    options = getattr(sampler, "extra_options", {})
    return [name, options, solver.sigmas, solver.sigmas_2, solver.positive, solver.negative]


def _source(source: Any) -> Any:
    """A file by its name, size and time; images by their bytes."""
    if isinstance(source, Tensor):
        return source
    file = file_of(source)
    if isinstance(file, Path):
        stat = file.stat()
        return [file.name, stat.st_size, stat.st_mtime_ns, repr(window_of(source))]
    if file is not None:
        return [hashlib.sha256(file.getvalue()).hexdigest(), repr(window_of(source))]
    return source.get_components().images


def _add(digest: Any, value: Any) -> None:
    """Feed a value, however nested; what is neither plain nor a tensor counts by its class."""
    if isinstance(value, Tensor):
        digest.update(checksum({"": value}).encode())
    elif isinstance(value, dict):
        for name in sorted(value, key=str):
            digest.update(f"{name}:".encode())
            _add(digest, value[name])
    elif isinstance(value, (list, tuple)):
        digest.update(f"[{len(value)}".encode())
        for part in value:
            _add(digest, part)
    elif isinstance(value, (str, int, float, bool, type(None))):
        digest.update(repr(value).encode())
    else:
        digest.update(type(value).__name__.encode())
