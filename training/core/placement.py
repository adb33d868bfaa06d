"""Which of a network's weights lie on a card beside a training step, in plain arithmetic; the host moves them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .config import CHECKPOINTING

OFF, KEEP_ATTENTION, BLOCKS, OFFLOADED = CHECKPOINTING
GIB = 2**30
CARDS = (8, 12, 16, 24, 32, 48, 80)  # GB, as cards are sold
KEPT_BACK = 1.0 * GIB  # of a card: the driver's own, a desktop, and what the host leaves to others
LITTLE = 0.25  # share of the weights below which the rest is lent, too


@dataclass(frozen=True)
class Weights:
    """A network's weights as they are stored, in bytes."""

    whole: float
    buffer: float = math.inf  # on the card, for those that are lent and under way; inf: the host cannot lend them

    def resident(self, step: float, free: float) -> float | None:
        """What of them stays on a card beside a step; None: the step itself finds no room.

        ``free`` is what the card has with no weights on it.
        """
        if step + self.whole <= free:
            return self.whole
        rest = free - step - self.buffer
        return None if rest < 0 else min(rest, self.whole)


@dataclass(frozen=True)
class Way:
    """How a run is fitted into memory."""

    checkpointing: str
    most: float = math.inf  # bytes of weights on the card
    kept: int = 0  # last blocks that keep everything, whatever the others do


def computed_again(checkpointing: str, kept: int, depth: int) -> str:
    """The way of checkpointing in words, in a network of ``depth`` blocks whose last ``kept`` ones keep everything."""
    if not kept:
        return checkpointing
    some = f"{max(0, depth - kept)} of {depth} blocks"
    return {BLOCKS: some, OFFLOADED: f"{some}, offloaded"}.get(checkpointing, f"{checkpointing} in {some}")


def first_way(steps: Mapping[str, float], weights: Weights, free: float, depth: int = 0) -> Way | None:
    """The fastest way that fits, ``steps`` being bytes of a step by checkpointing; None where there is none.

    All weights on the card come first, without checkpointing before with it, and as many of ``depth`` blocks without
    it as there is room for; then weights are lent, and the blocks' inputs offloaded at last.
    """
    whole = [mode for mode in (OFF, KEEP_ATTENTION, BLOCKS) if mode in steps and steps[mode] + weights.whole <= free]
    if whole:
        return Way(whole[0], weights.whole, most_kept(steps, whole[0], depth, free - weights.whole))
    for mode in (BLOCKS, OFFLOADED, KEEP_ATTENTION, OFF):
        resident = weights.resident(steps[mode], free) if mode in steps else None
        if resident is not None:
            return Way(mode, resident)
    return None


def step_keeping(steps: Mapping[str, float], checkpointing: str, kept: int, depth: int) -> float:
    """Bytes of a step in which the last blocks keep everything, by the straight line from none of them to all.

    Of blocks that are alike it is at most one block's too much: the line counts the block that is computed again.
    """
    return steps[checkpointing] + (steps[OFF] - steps[checkpointing]) * kept / depth


def most_kept(
    steps: Mapping[str, float],
    checkpointing: str,
    depth: int,
    room: float,
    counted: Callable[[int], float] | None = None,
) -> int:
    """The most of a network's last blocks that can keep everything while the others do not.

    The backward pass reaches the last ones first, and what they keep is gone before others are computed again.

    Args:
        steps: Bytes of a step by checkpointing; without ``OFF`` nothing is known of what blocks keep.
        checkpointing: That of the others.
        depth: Blocks of the network.
        room: Bytes for a step.
        counted: Bytes of a step by the number of these blocks, which makes sure of it; None: the line is trusted.
    """
    if checkpointing not in (KEEP_ATTENTION, BLOCKS) or not {OFF, checkpointing} <= set(steps):
        return 0
    lean, high, most = steps[checkpointing], steps[OFF], depth
    while most > 0 and lean <= room < high:
        most = min(most - 1, int((room - lean) / (high - lean) * most))
        high = counted(most) if counted and most else step_keeping(steps, checkpointing, most, depth)
        if high <= room:
            return most
    return 0


def leaner_way(way: Way, resident: float, lent: float, lendable: bool) -> Way | None:
    """What to try after a step ran out of memory, or None where nothing is left.

    All blocks are computed again first; then half of the weights on the card are lent, and half of the rest, and all;
    then the blocks' inputs are offloaded.

    Args:
        way: That of the step.
        resident: Bytes of weights that lay on the card.
        lent: Bytes that did not.
        lendable: Whether the host can lend weights to the device.
    """
    if way.kept:
        return replace(way, kept=0)
    if way.checkpointing in (OFF, KEEP_ATTENTION):
        return replace(way, checkpointing=BLOCKS)
    if lendable and resident > 0 and way.most > 0:
        half = resident / 2
        return replace(way, most=half if half >= LITTLE * (resident + lent) else 0.0)
    return replace(way, checkpointing=OFFLOADED) if way.checkpointing == BLOCKS else None
