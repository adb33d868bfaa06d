"""Image to video with the toy model as it is: a clean still in front, no buffers, no training."""

from __future__ import annotations

import argparse

from parts.ablation_arms import Arm
from parts.seed_tables import seed_table

ARMS = (
    Arm("one timestep for all frames", buffers=0, steps=()),
    Arm("a timestep per frame", buffers=0, steps=(), per_frame=True),
)
FIELDS = ("all_right", "colour", "shape", "background", "motion", "same", "every_frame", "path_error")
SETTINGS = {"split": "validation", "cfg": 1.0, "sampling_steps": 16, "sampling_batch": 8, "weights": None}


def zero_shot(options: argparse.Namespace) -> str:
    """A table of what becomes of ``options.stills`` held-out stills; contact sheets go to ``options.out``."""
    from parts.ablation_runs import Stage, figures, sample, write_sheet

    stage = Stage(argparse.Namespace(conditions=options.stills, **SETTINGS))
    rows = {}
    for arm in ARMS:
        videos = sample(stage, arm, None, options.seed)
        write_sheet(stage, videos, options.out / f"sheet_still_{'each' if arm.per_frame else 'one'}.png")
        rows[arm.name] = [figures(stage, videos)]
    note = f"{options.stills} held-out stills, euler, {SETTINGS['sampling_steps']} steps, no CFG"
    return f"\nimage to video, zero-shot ({note}):\n\n{seed_table(rows, FIELDS)}"
