"""What a run computes with, in a line: attention kernel, type, place of the weights, checkpointing; distilled bases."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from ....training.core.placement import GIB
from ....training.core.state import StepRecord
from ..session.session import Session

log = logging.getLogger(__name__)

# Words in the names of files whose model was distilled to few steps.
DISTILLED = re.compile(
    r"(?<![a-z0-9])(lightning|lightx2v|turbo|causvid|distill(ed)?|fastwan|lcm|hyper|dmd2?|accvid(eo)?|self.?forcing|"
    r"rcm|[1248][-_ ]?steps?)(?![a-z])",
    re.IGNORECASE,
)


def telling(
    session: Session, progress: Callable[[int, StepRecord], None], note: Callable[[str, str], None]
) -> Callable[[int, StepRecord], None]:
    """``progress`` that tells the line after the first step, when it is known which kernel has run."""
    told: list[str] = []

    def after_step(step: int, record: StepRecord) -> None:
        if not told:
            told.append(setup_line(session))
            log.info("%s", told[0])
            note("setup", told[0])
        progress(step, record)

    return after_step


def setup_line(session: Session) -> str:
    """The line."""
    placed = session.placed
    dtype = str(session.predict.base.get_dtype_inference()).removeprefix("torch.")
    weights = f"{placed.resident / GIB:.2f} GiB of weights on it"
    if placed.lent:
        weights += f" and {placed.lent / GIB:.2f} GiB lent"
    kernel = session.predict.kernel or "no attention of the host"
    blocks = f"; {session.blocks.words}" if session.blocks.words else ""
    again = f"checkpointing {session.checkpointing}{blocks}"
    return f"{placed.device.type} in {dtype}, {weights}; attention: {kernel}; {again}"


def distilled_word(model: Any) -> str | None:
    """The word in the name of a MODEL's file that tells a base distilled to few steps; None where there is none."""
    origin = getattr(model, "cached_patcher_init", None)
    paths = [value for value in (origin[1] if origin else ()) if isinstance(value, str)]
    found = (DISTILLED.search(PurePath(path.replace("\\", "/")).stem) for path in paths)
    return next((match.group(0) for match in found if match), None)


def distilled_warning(word: str) -> str:
    """What training on such a base costs, and what to do."""
    return (
        f"the base's name says {word}: training on a model that was distilled to few steps undoes that; train on the "
        "model it was made from and use the LoRA with both, or put an adapter for training under the Train node"
    )
