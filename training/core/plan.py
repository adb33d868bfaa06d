"""Will a run fit? From small measured steps to the asked one, in plain arithmetic; the host does the measuring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from .config import CHECKPOINTING
from .placement import Weights, computed_again, first_way, most_kept, step_keeping

OFF, KEEP_ATTENTION, *_ = CHECKPOINTING
MARGIN = 1.15  # on a step's memory, for what allocators cannot fill and kernels keep
MORE_HELP = "weights in fp8, a lower batch_size, fewer or smaller frames, or a lower rank"


@dataclass(frozen=True)
class Network:
    """What of a network decides how a step grows."""

    stored: float  # bytes of all its weights
    buffer: float  # bytes on a card for weights that are lent to it
    lendable: bool  # whether the host can lend weights to this device
    narrow: bool  # whether they have one byte each already
    used: int  # numbers in the linear layers of all blocks, each used once a token
    depth: int  # blocks
    width: int  # channels of a token

    @property
    def weights(self) -> Weights:
        """Its weights on this device."""
        return Weights(self.stored, self.buffer) if self.lendable else Weights(self.stored)

    def work(self, tokens: int, clips: int, checkpointing: str) -> float:
        """Multiply-adds of a step of ``clips`` sequences of n tokens.

        ``clips (n P (2 + r) + n^2 d D (7 + 2 r))``: P numbers used forward and for the gradient of their input;
        attention's two products forward and five backward, over D blocks of d channels; r = 1 where blocks are
        computed again, else 0, and 0 for the attention that is kept. The adapters are too thin to count.
        """
        again = checkpointing != OFF
        attention = tokens**2 * self.width * self.depth * (7 + 2 * (again and checkpointing != KEEP_ATTENTION))
        return clips * (tokens * self.used * (2 + again) + attention)


@dataclass(frozen=True)
class StepShape:
    """The step that is planned for: the largest clips, as many of them as a batch has."""

    clips: int
    frames: int  # latent frames of the sequence
    prefix: int  # of these given, condition and buffers; they cannot be left out
    per_frame: int  # tokens of a patch of ``time_patch`` latents
    time_patch: int = 1

    @property
    def tokens(self) -> int:
        """Tokens of one clip."""
        return self.per_frame * -(-self.frames // self.time_patch)


@dataclass(frozen=True)
class ProfiledStep:
    """What one small step took."""

    asked: StepShape
    memory: int  # bytes beside the weights, at the peak
    seconds: float


@dataclass(frozen=True)
class Row:
    """One line of the plan."""

    name: str
    checkpointing: str
    step: float  # bytes beside the weights, with the margin
    seconds: float
    weights: Weights
    by_settings: bool = True  # whether the settings alone make it so
    kept: int = 0  # last blocks that keep everything

    def fits(self, free: float) -> bool:
        """Whether a step finds room on a card with so many bytes, some of the weights lent if need be."""
        return self.weights.resident(self.step, free) is not None

    def fits_whole(self, free: float) -> bool:
        """Whether all weights find room beside the step."""
        return self.step + self.weights.whole <= free


def predict(
    measured: Sequence[ProfiledStep], network: Network, asked: StepShape, checkpointing: str
) -> tuple[float, float]:
    """Bytes and seconds of the asked step: straight lines through the smallest and the largest measured one.

    Memory grows with the tokens of the batch: attention is computed without its n x n matrix. Time grows with
    ``Network.work``. A line never falls, and starts at zero or above.

    Raises:
        ValueError: there are not two different sizes.
    """
    low, high = (pick(measured, key=lambda step: step.asked.tokens * step.asked.clips) for pick in (min, max))
    sizes = [step.asked.tokens * step.asked.clips for step in (low, high)]
    if sizes[0] == sizes[1]:
        raise ValueError(f"{len(measured)} measured steps of {sizes[0]} tokens were given; measure two sizes")
    works = [network.work(step.asked.tokens, step.asked.clips, checkpointing) for step in (low, high)]
    memory = _line(sizes, [low.memory, high.memory], asked.tokens * asked.clips)
    seconds = _line(works, [low.seconds, high.seconds], network.work(asked.tokens, asked.clips, checkpointing))
    return memory * MARGIN, seconds


def plan_rows(
    measured: Mapping[str, Sequence[ProfiledStep]],
    network: Network,
    asked: StepShape,
    free: float,
    counted: Mapping[str, float] | None = None,
) -> list[Row]:
    """What the settings can do, from fast to lean, then what else would help, leanest settings kept.

    Args:
        measured: Small steps, by checkpointing.
        network: What was measured on.
        asked: The step that is planned for.
        free: Bytes of the device with no weights on it.
        counted: Bytes of the asked step by checkpointing, where they are known; else lines through the small steps.
    """
    rows = [
        _row(f"checkpointing {mode}", mode, predict(steps, network, asked, mode), network, counted)
        for mode, steps in measured.items()
    ]
    lean = rows[-1]
    more = []
    if not network.narrow:
        half = replace(network.weights, whole=network.weights.whole / 2)
        more.append(replace(lean, name="and weights in fp8", weights=half))
    steps = measured[lean.checkpointing]
    # What a smaller step takes, in proportion to the asked one where that was counted.
    scale = lean.step / predict(steps, network, asked, lean.checkpointing)[0]
    if asked.clips > 1:
        more.append(_smaller("and batch_size 1", replace(asked, clips=1), steps, network, lean, scale))
    fewer = most_frames(steps, network, asked, lean.checkpointing, _room(network.weights, free) / scale)
    if fewer is not None and fewer.frames < asked.frames:
        name = f"and {fewer.frames - fewer.prefix} {'target ' * (fewer.prefix > 0)}latents at most"
        more.append(_smaller(name, fewer, steps, network, lean, scale))
    return rows + [replace(row, by_settings=False) for row in more]


def with_kept_blocks(
    rows: Sequence[Row], network: Network, free: float, counted: Callable[[str, int], float] | None = None
) -> list[Row]:
    """The rows of a plan, and one more where not all blocks need be computed again to have all weights on the card.

    Args:
        rows: Of ``plan_rows``.
        network: What was measured on.
        free: Bytes of the device with no weights on it.
        counted: Bytes of the asked step by checkpointing and number of the last blocks that keep everything; None:
            they lie on the line from none of the blocks to all.
    """
    own, depth = {row.checkpointing: row for row in rows if row.by_settings}, network.depth
    steps = {mode: row.step for mode, row in own.items()}
    way = first_way(steps, network.weights, free)
    if way is None:
        return list(rows)
    step = partial(step_keeping, steps, way.checkpointing, depth=depth)
    if counted is not None:
        step = cache(lambda kept: counted(way.checkpointing, kept) * MARGIN)
    kept = most_kept(steps, way.checkpointing, depth, free - network.stored, step)
    if not kept:
        return list(rows)
    row, off = own[way.checkpointing], own[OFF]
    seconds = row.seconds + (off.seconds - row.seconds) * kept / depth
    name = f"checkpointing {computed_again(row.checkpointing, kept, depth)}"
    some, place = replace(row, name=name, step=step(kept), seconds=seconds, kept=kept), rows.index(row)
    return [*rows[:place], some, *rows[place:]]


def _row(
    name: str, mode: str, predicted: tuple[float, float], network: Network, counted: Mapping[str, float] | None
) -> Row:
    step, seconds = predicted
    known = (counted or {}).get(mode)
    return Row(name, mode, step if known is None else known * MARGIN, seconds, network.weights)


def _smaller(
    name: str, asked: StepShape, steps: Sequence[ProfiledStep], network: Network, lean: Row, scale: float
) -> Row:
    step, seconds = predict(steps, network, asked, lean.checkpointing)
    return Row(name, lean.checkpointing, step * scale, seconds, network.weights)


def _room(weights: Weights, free: float) -> float:
    """What a step may take at most."""
    return free - min(weights.whole, weights.buffer)


def most_frames(
    measured: Sequence[ProfiledStep], network: Network, asked: StepShape, checkpointing: str, room: float
) -> StepShape | None:
    """The longest sequence up to the asked one that fits, or None where not even one target patch does."""
    for frames in range(asked.frames, asked.prefix, -asked.time_patch):
        shorter = replace(asked, frames=frames)
        if predict(measured, network, shorter, checkpointing)[0] <= room:
            return shorter
    return None


def first_that_fits(rows: Sequence[Row], free: float) -> Row | None:
    """The row that is chosen: that of ``first_way``, with some blocks kept where one has; else the first of the others
    that fits, or None.
    """
    own = {row.checkpointing: row for row in rows if row.by_settings and not row.kept}
    steps = {mode: row.step for mode, row in own.items()}
    way = first_way(steps, next(iter(own.values())).weights, free) if own else None
    if way is not None:
        some = (row for row in rows if row.kept and row.checkpointing == way.checkpointing and row.fits_whole(free))
        return next(some, own[way.checkpointing])
    return next((row for row in rows if not row.by_settings and row.fits(free)), None)


def _line(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """The straight line through two points at ``x``; not falling, and not below zero at 0."""
    slope = max(0.0, (ys[1] - ys[0]) / (xs[1] - xs[0]))
    start = ys[1] - slope * xs[1]
    if start < 0:
        return ys[1] * x / xs[1]
    return start + slope * x
