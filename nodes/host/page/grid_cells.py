"""The videos of a grid: which there are, what each is made of, and which is best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ....methods.metrics import METRICS
from ....training.runs.checkpoints import Checkpoint

MOST_CELLS = 64
ONLY_BASE = "without"  # label of the row without a LoRA


@dataclass(frozen=True)
class Sampling:
    """How every cell is sampled, in the words of the host's KSampler."""

    seed: int
    steps: int
    cfg: float
    sampler: str
    scheduler: str


@dataclass(frozen=True)
class Compared:
    """What cells are scored by."""

    metric: str
    reference: Tensor | None = None  # [T, H, W, C]
    condition: Tensor | None = None


@dataclass(frozen=True)
class Cell:
    """One video of the grid."""

    prompt: int  # counted from 1
    checkpoint: Checkpoint | None  # None: the model alone
    strength: float
    frames: Tensor | None = None  # [T, H, W, 3] in [0, 1], as wide as they are drawn
    scores: dict[str, float] | None = None

    @property
    def row(self) -> tuple[int, int]:
        """Its row: by prompt, then by steps."""
        return self.prompt, self.checkpoint.steps if self.checkpoint else 0

    @property
    def key(self) -> tuple[int, int, float]:
        """What tells it from the others of its grid."""
        return *self.row, self.strength


def cells_of(
    checkpoints: Sequence[Checkpoint], strengths: Sequence[float], prompts: int, with_base: bool
) -> list[Cell]:
    """All cells in the order in which they are sampled: a prompt's model alone first, then by steps and strength.

    Raises:
        ValueError: there are more than 64.
    """
    found = []
    for prompt in range(1, prompts + 1):
        found += [Cell(prompt, None, 0.0)] if with_base else []
        found += [Cell(prompt, checkpoint, strength) for checkpoint in checkpoints for strength in strengths]
    if len(found) > MOST_CELLS:
        raise ValueError(
            f"the grid would have {len(found)} videos, {MOST_CELLS} at most; take fewer checkpoints or strengths"
        )
    return found


def best_of(cells: Sequence[Cell], metric: str) -> Cell:
    """The cell with a LoRA whose metric is best; of equals the first."""
    sign = 1 if METRICS[metric].better == "higher" else -1
    return max((cell for cell in cells if cell.checkpoint), key=lambda cell: sign * (cell.scores or {})[metric])


def told(cell: Cell) -> str:
    """Which one it is, for the node."""
    if cell.checkpoint is None:
        return f"prompt {cell.prompt} {ONLY_BASE} a LoRA"
    return f"prompt {cell.prompt}, {cell.checkpoint.steps} steps at strength {cell.strength:g}"
