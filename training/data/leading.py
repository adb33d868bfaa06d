"""Targets that begin with their condition: where the one ends and the other starts.

TIC-FT's authors train on videos of 49 frames: 13 of the condition, held still (a latent and three of buffer), then 36
of the target. Learned as one, the still would be the start of every video.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .folder_files import TARGET, ClipFiles
from .media.known import known_still
from .media.options import ReadOptions
from .media.span import WHOLE, Span
from .media.timing import ClipInfo

AUTOMATIC, NOTHING = -1, 0  # of ``leading``
HELD = 13  # frames of the condition in TIC-FT's data, one latent and three of buffer; Source: its README and c1b3t9
LATENT = 4  # frames


@dataclass(frozen=True)
class Split:
    """Frames of a file that are the target, and those before it that are its condition."""

    target: Span
    condition: Span | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def split(entry: ClipFiles, info: ClipInfo, leading: int, options: ReadOptions) -> Split:
    """What of a target's file is its condition.

    Args:
        entry: The files of the clip; where a condition lies beside it nothing is split off.
        info: What its target holds.
        leading: Frames of the file that are its condition; ``AUTOMATIC``: those of TIC-FT's data, where a list of its
            code names the clip and they stand still.
        options: How it is read.

    Raises:
        ValueError: Nothing would be left, or a frame cannot be decoded.
    """
    path, span = entry.clip(TARGET), entry.span
    if span.start >= info.frames:
        raise ValueError(f"{path.name} has {info.frames} frames and is to start behind them, at frame {span.start + 1}")
    own = (str(span),) if span != WHOLE else ()
    if leading == NOTHING or len(entry.clips) > 1 or (leading == AUTOMATIC and not entry.leads):
        return Split(span, notes=own)
    still = known_still(path, info, options)
    count = (HELD if still >= HELD else 0) if leading == AUTOMATIC else leading
    if not count:
        return Split(span, notes=own)
    if count >= info.frames:
        raise ValueError(
            f"{path.name} has {info.frames} frames, {count} at its start are to be its condition and nothing is left; "
            "set leading_condition lower"
        )
    return _split_at(path, count, still, info, entry.leads)


def _split_at(path: Path, count: int, still: int, info: ClipInfo, one_for_one: bool) -> Split:
    """The condition is one picture where it is held still; a list of TIC-FT's code counts frames and not seconds."""
    stride = 1 if one_for_one else 0
    target = Span(count, None, stride)
    held = still >= count
    condition = Span(0, 1, 1) if held else Span(0, count, stride)
    what = "held still, so one picture" if held else "a clip"
    notes = (f"its first {count} frames are its condition, {what}", f"target: {target}")
    return Split(target, condition, notes, tuple(_doubts(path, count, still, info)))


def _doubts(path: Path, count: int, still: int, info: ClipInfo) -> list[str]:
    if still >= info.frames:
        return [
            f"{path.name} holds its condition still to the end, as TIC-FT's folders for inference do: take condition "
            "and caption with Dataset Item and sample from them, there is no target to train on"
        ]
    if still >= count + LATENT:
        return [
            f"{path.name} stands still for {still} frames and {count} are taken as its condition; set "
            f"leading_condition to {still} if all are"
        ]
    return []


def check_leading(leading: int) -> None:
    """Refuse what is no number of frames.

    Raises:
        ValueError: It is below -1.
    """
    if leading < AUTOMATIC:
        raise ValueError(f"leading_condition is {leading}; use -1 to find out, 0 for none, or a number of frames")
