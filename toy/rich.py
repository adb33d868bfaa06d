"""Scenes of the richer toy world: marked, lit objects in front of backdrops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .looks import BACKDROPS, MARKINGS
from .world import COLOURS, Scene

PLAIN = 0.25  # share of the objects without a marking


def enrich(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene lit, in front of a drawn backdrop, its object marked in another colour three times in four."""
    marking = "plain" if rng.random() < PLAIN else list(MARKINGS)[rng.integers(1, len(MARKINGS))]
    others = [name for name in COLOURS if name != scene.colour]
    colour = "" if marking == "plain" else others[rng.integers(len(others))]
    backdrop = BACKDROPS[rng.integers(len(BACKDROPS))]
    return replace(scene, marking=marking, mark_colour=colour, backdrop=backdrop, lit=True)
