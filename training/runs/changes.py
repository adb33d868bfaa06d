"""What differs between the run on the disk and the one that is asked for, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.config import BOOKKEEPING, SCHEDULE_SHAPES, TrainConfig

REFUSE, ACCEPT, START_OVER = "refuse", "accept", "start over"
ON_CHANGE = (REFUSE, ACCEPT, START_OVER)
# What gives the trained tensors their shapes: of a LoRA, of AICL's adapter, of Tune-A-Video's queries.
SHAPES = ("rank", "target_modules", "size", "form", "query_rank")


def changed_settings(before: Mapping[str, Any], after: Mapping[str, Any], done: int) -> list[str]:
    """Settings that differ, as ``learning_rate 0.0001 → 5e-05``; those that do not change the LoRA do not count.

    Args:
        before: ``TrainConfig.to_dict`` of the run; what an older version did not have counts as the default.
        after: The same, as asked for.
        done: Steps that the run has done: another goal is no change while it is not passed already.
    """
    before = {**TrainConfig().to_dict(), **SCHEDULE_SHAPES, **before}
    unused = TrainConfig.from_dict(after).unused
    counted = [name for name in after if name not in (*BOOKKEEPING, *unused)]
    if after["steps"] >= done:
        counted.remove("steps")
    return [
        f"{name} {_shown(before.get(name))} → {_shown(after[name])}"
        for name in counted
        if before.get(name) != after[name]
    ]


def changed_identity(
    before: Mapping[str, Any], after: Mapping[str, Any], former: Mapping[str, str] | None = None
) -> list[str]:
    """Parts of a run's data, model and method that differ; a digest says only that it does.

    ``former`` are the digests that older versions gave to the same files.
    """
    names, former = dict.fromkeys([*after, *before]), former or {}
    return [
        f"{name} (the same files, which this version reads by another rule)"
        if before.get(name) == former.get(name) is not None
        else name if is_digest(before.get(name)) or is_digest(after.get(name))
        else f"{name} {_shown(before.get(name))} → {_shown(after.get(name))}"
        for name in names
        if before.get(name) != after.get(name)
    ]  # fmt: skip


def refuse_changes(name: str, done: int, changes: list[str]) -> None:
    """Say what has changed.

    Raises:
        ValueError: always.
    """
    shapes = [setting for setting in (change.split()[0] for change in changes) if setting in SHAPES]
    onwards = f'set on_change to "{ACCEPT}" to go on with the new ones or "{START_OVER}" to begin again'
    if shapes:
        onwards = (
            f'set on_change to "{START_OVER}" to begin again: weights of another {" and ".join(shapes)} cannot go on'
        )
    raise ValueError(
        f"the run {name} has done {done} steps with other settings: {', '.join(changes)}; set them as they were, "
        f"give another run_name, or {onwards}"
    )


def is_digest(value: Any) -> bool:
    """Whether a value stands for files: their SHA-256 in hexadecimal digits."""
    return isinstance(value, str) and len(value) == 64


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "(none)" if value is None or value == "" else str(value)
