"""Will a run fit? From small measured steps to the asked one, in plain arithmetic; the host does the measuring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .config import CHECKPOINTING, TrainConfig

OFF, BLOCKS, OFFLOADED = CHECKPOINTING
GIB = 2**30
MARGIN = 1.15  # on predicted memory, for what allocators cannot fill; lines alone were off by 1 % in tests on the CPU
MORE_HELP = "weights in fp8, a lower batch_size, fewer or smaller frames, or a lower rank"


@dataclass(frozen=True)
class Network:
    """What of a network decides how a step grows."""

    weights: int  # bytes, on the device
    narrow: bool  # whether they have one byte each already
    used: int  # numbers in the linear layers of all blocks, each used once a token
    depth: int  # blocks
    width: int  # channels of a token

    def work(self, tokens: int, clips: int, checkpointing: str) -> float:
        """Multiply-adds of a step of ``clips`` sequences of n tokens.

        ``clips (n P (2 + r) + n^2 d D (7 + 2 r))``: P numbers used forward and for the gradient of their input;
        attention's two products forward and five backward, over D blocks of d channels; r = 1 where blocks are
        computed again, else 0. The adapters are too thin to count.
        """
        again = checkpointing != OFF
        attention = tokens**2 * self.width * self.depth * (7 + 2 * again)
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
    memory: float  # bytes beside the weights, with the margin
    seconds: float
    freed: float = 0.0  # bytes of weights that this way needs less
    by_settings: bool = True  # whether the settings alone make it so

    def fits(self, free: float) -> bool:
        """Whether a step finds room in so many bytes beside the weights as they are."""
        return self.memory <= free + self.freed


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
    measured: Mapping[str, Sequence[ProfiledStep]], network: Network, asked: StepShape, free: float
) -> list[Row]:
    """What the settings can do, from fast to lean, then what else would help, leanest settings kept."""
    rows = [
        Row(f"checkpointing {mode}", mode, *predict(steps, network, asked, mode)) for mode, steps in measured.items()
    ]
    lean = rows[-1]
    more = []
    if not network.narrow:
        more.append(replace(lean, name="and weights in fp8", freed=network.weights / 2))
    steps = measured[lean.checkpointing]
    if asked.clips > 1:
        one = replace(asked, clips=1)
        more.append(Row("and batch_size 1", lean.checkpointing, *predict(steps, network, one, lean.checkpointing)))
    fewer = most_frames(steps, network, asked, lean.checkpointing, free)
    if fewer is not None and fewer.frames < asked.frames:
        name = f"and {fewer.frames - fewer.prefix} {'target ' * (fewer.prefix > 0)}latents at most"
        more.append(Row(name, lean.checkpointing, *predict(steps, network, fewer, lean.checkpointing)))
    return rows + [replace(row, by_settings=False) for row in more]


def most_frames(
    measured: Sequence[ProfiledStep], network: Network, asked: StepShape, checkpointing: str, free: float
) -> StepShape | None:
    """The longest sequence up to the asked one that fits, or None where not even one target patch does."""
    for frames in range(asked.frames, asked.prefix, -asked.time_patch):
        shorter = replace(asked, frames=frames)
        if predict(measured, network, shorter, checkpointing)[0] <= free:
            return shorter
    return None


def first_that_fits(rows: Sequence[Row], free: float) -> Row | None:
    """The first row that fits, or None."""
    return next((row for row in rows if row.fits(free)), None)


def next_plan_row(config: TrainConfig) -> TrainConfig | None:
    """The next leaner settings after a step ran out of memory, or None where settings cannot do more."""
    place = CHECKPOINTING.index(config.checkpointing) + 1
    return replace(config, checkpointing=CHECKPOINTING[place]) if place < len(CHECKPOINTING) else None


def report(rows: Sequence[Row], network: Network, asked: StepShape, free: float) -> str:
    """The plan as text; memory in GiB."""
    chosen = first_that_fits(rows, free)
    lines = [
        f"A step of {asked.clips} x {asked.frames} latents, {asked.tokens} tokens each; the weights take "
        f"{network.weights / GIB:.2f} GiB, free beside them are {free / GIB:.2f} GiB. "
        "The table counts what comes on top of the weights.",
        f"{'way':42}{'GiB':>9}{'s/step':>9}",
    ]
    for row in rows:
        mark = "<- first that fits" if row is chosen else "" if row.fits(free) else "too large"
        name = row.name + f" ({row.freed / GIB:.2f} GiB less)" * (row.freed > 0)
        lines.append(f"{name:42}{row.memory / GIB:9.2f}{row.seconds:9.2f}  {mark}".rstrip())
    return "\n".join([*lines, _verdict(rows, chosen)])


def _verdict(rows: Sequence[Row], chosen: Row | None) -> str:
    if chosen is None:
        return f"None of these fits. What else helps: smaller frames or a lower rank; else {MORE_HELP}."
    if not chosen.by_settings:
        leanest = [row for row in rows if row.by_settings][-1]
        return f"The settings alone do not fit. Use {leanest.name} {chosen.name}."
    return f"The settings that come out have {chosen.name}."


def _line(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """The straight line through two points at ``x``; not falling, and not below zero at 0."""
    slope = max(0.0, (ys[1] - ys[0]) / (xs[1] - xs[0]))
    start = ys[1] - slope * xs[1]
    if start < 0:
        return ys[1] * x / xs[1]
    return start + slope * x
