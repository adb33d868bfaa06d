"""What the comparison of one-shot motion compares, as data."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PART = 0.6  # of the sampling, in which motion is decided


@dataclass(frozen=True)
class Arm:
    """One way to learn a motion from a clip; its rows differ in how long the LoRA acts."""

    name: str
    layers: str = "motion"  # a pattern of the family's table; "": nothing is trained
    appearance: bool = False  # whether the look is learned first
    terms: bool = True  # debiased and direction terms, and high noise levels; else the plain loss at all levels
    ends: tuple[float, ...] = (1.0,)  # of the sampling


ARMS = (
    Arm("base", layers=""),
    Arm("plain LoRA", layers="attention", terms=False, ends=(1.0, FIRST_PART)),
    Arm("two stages", appearance=True, ends=(1.0, FIRST_PART)),
    Arm("two stages, all attention", layers="attention", appearance=True, ends=(1.0, FIRST_PART)),
    Arm("one stage", ends=(1.0,)),
    Arm("classic", layers="classic", terms=False),
)


def row_name(arm: Arm, end: float) -> str:
    """Name of a row; those of a part of the sampling say so."""
    return arm.name if end >= 1.0 else f"{arm.name}, first {100 * end:.0f} %"
