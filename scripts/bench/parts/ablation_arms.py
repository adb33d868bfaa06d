"""What the ablation of TIC-FT compares, as data."""

from __future__ import annotations

from dataclasses import dataclass

KIND = TASK = "image to video"
STEPS = 200  # of a few-shot arm, unless its name says otherwise
SWEEP = (50, 100, 200, 400, 800)  # steps of one run that are sampled
TARGET = 9  # latent frames
SHORT = 6  # of the arms with other numbers of buffers: the base was never shown more than 13 latents


@dataclass(frozen=True)
class Arm:
    """One row of the table."""

    name: str
    buffers: int = 3
    target: int = TARGET
    steps: tuple[int, ...] = (STEPS,)  # empty: zero-shot
    joint: bool = False  # condition and target through the VAE as one clip
    replace: bool = False  # the condition noised to the global level, the paper's baseline without TIC-FT
    levels: tuple[float, ...] = ()  # of the buffers; empty: evenly rising
    rank: int | None = None  # of the LoRA; None: the command line's
    per_frame: bool = False  # every frame's own level told to the network: 0 for a condition
    own_positions: bool = False  # the condition counts its frames from 0 like the target, as a reference of IC-LoRA


ARMS = (
    Arm("zero-shot, buffers", steps=()),
    Arm("zero-shot, no buffers", buffers=0, steps=()),
    Arm("zero-shot, replace", steps=(), replace=True),
    Arm("few-shot, buffers", steps=SWEEP),
    Arm("few-shot, no buffers", buffers=0),
    Arm("few-shot, replace", replace=True),
    Arm("few-shot, joint encoding", joint=True),
    Arm("few-shot, 1 buffer, short", buffers=1, target=SHORT),
    Arm("few-shot, 3 buffers, short", buffers=3, target=SHORT),
    Arm("few-shot, 6 buffers, short", buffers=6, target=SHORT),
)

# Why buffers do not help the LoRA: asked on the validation split.
CHECKS = (
    Arm("few-shot, high levels", levels=(0.7, 0.85, 0.95)),
    Arm("few-shot, low levels", levels=(0.05, 0.15, 0.3)),
    Arm("few-shot, rank 64", rank=64),
    Arm("few-shot, rank 64, no buffers", buffers=0, rank=64),
)


def row_name(arm: Arm, steps: int) -> str:
    """Name of an arm's row; those of a sweep tell their steps."""
    return f"{arm.name}, {steps} steps" if len(arm.steps) > 1 else arm.name


# TIC-FT, what it is without its buffers, and the way of IC-LoRA: clean reference tokens at timestep 0 that share the
# target's positions. The arms between tell which of the differences does it.
FEW_SHOT = (
    Arm("TIC-FT"),
    Arm("TIC-FT, timestep per frame", per_frame=True),
    Arm("no buffers", buffers=0),
    Arm("no buffers, timestep per frame", buffers=0, per_frame=True),
    Arm("reference tokens (IC-LoRA)", buffers=0, per_frame=True, own_positions=True),
)
