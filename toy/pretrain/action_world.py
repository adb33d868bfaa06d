"""The world of the toy adapter: many paths, each by several objects, and captions that do not tell the motion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..world import BACKGROUNDS, COLOURS, HELD_OUT_MOTIONS, MOTIONS, RADIUS, SHAPES, SIZE, Scene, varied

CLIPS_A_PATH = 4  # a target and up to three references
KINDS = {"named": 0.3, "straight": 0.15, "round": 0.15, "corner": 0.15, "wavy": 0.25}  # and how often
REACH = 20.0  # pixels; most that a path leaves the middle by
LAST = 48.0  # frame


@dataclass(frozen=True)
class PathScene(Scene):
    """A scene whose path has no name: x and y of the centre in pixels, frame by frame."""

    path: tuple[tuple[float, float], ...] = ()

    def pose(self, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Centre ``[T, 2]`` and radius ``[T]`` in pixels of each of ``frames`` frames."""
        return np.asarray(self.path[:frames]) + np.asarray(self.offset), np.full(frames, self.radius)


def scene_of(index: int, seed: int) -> Scene:
    """Clip number ``index`` of the adapter's training: ``CLIPS_A_PATH`` clips on end follow one path.

    None of the world's held-out motions is among them; their objects are of the half that the base was shown.
    """
    number, place = divmod(index, CLIPS_A_PATH)
    rng = np.random.default_rng((seed, 21, number))
    kind = rng.choice(list(KINDS), p=list(KINDS.values()))
    motion = str(rng.choice(MOTIONS)) if kind == "named" else ""
    path = () if kind == "named" else draw_path(kind, rng)
    return _scene(motion, path, number, place, seed, held_out=False)


def judge_scene_of(index: int, seed: int) -> Scene:
    """Clip number ``index`` of those the adapter is judged by: held-out motions first, then shown ones, in turn.

    All objects are of the half that it was not shown.
    """
    number, place = divmod(index, CLIPS_A_PATH)
    motions = (*HELD_OUT_MOTIONS, *MOTIONS)
    return _scene(motions[number % len(motions)], (), number, place, seed + 1, held_out=True)


def sized(scene: Callable[[int, int], Scene], size: float) -> Callable[[int, int], Scene]:
    """Scenes by index and seed with objects of another size, ``size`` times that of the world's."""

    def larger(index: int, seed: int) -> Scene:
        plain = scene(index, seed)
        return replace(plain, radius=size * plain.radius)

    return larger


def objects(held_out: bool) -> list[tuple[str, str]]:
    """Objects (shape, colour) that are shown in the adapter's training, or the one in three that are not."""
    pairs = [(i, j) for i in range(len(SHAPES)) for j in range(len(COLOURS))]
    chosen = [(i, j) for i, j in pairs if ((i + j) % 3 == 0) == held_out]
    return [(SHAPES[i], list(COLOURS)[j]) for i, j in chosen]


def caption_of(scene: Scene) -> str:
    """What a scene shows, but not how it moves."""
    return f"a {scene.colour} {scene.shape} on a {scene.background} background"


def draw_path(kind: str, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """A path of 49 frames within ``REACH`` of the middle.

    ``straight``: any direction and speed. ``round``: any radius, speed, turn and start. ``corner``: straight, then
    straight in another direction. ``wavy``: ``sum of a_k sin(k w t + p_k)`` for k = 1, 2 in each coordinate.
    """
    time = np.arange(LAST + 1)
    if kind == "straight":
        angle, speed = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.75)
        travel = speed * (time - LAST / 2)
        x, y = travel * math.cos(angle), travel * math.sin(angle)
    elif kind == "round":
        radius, turn = rng.uniform(7, 16), rng.choice((-1.0, 1.0)) * 2 * math.pi / rng.uniform(36, 80)
        angle = rng.uniform(0, 2 * math.pi) + turn * time
        x, y = radius * np.cos(angle), radius * np.sin(angle)
    elif kind == "corner":
        knots, when = rng.uniform(-17, 17, (3, 2)), (0.0, rng.uniform(16, 32), LAST)
        x, y = (np.interp(time, when, knots[:, axis]) for axis in (0, 1))
    else:
        turn = 2 * math.pi / rng.uniform(48, 96)
        size, start = rng.uniform(0, (12, 7), (2, 2)), rng.uniform(0, 2 * math.pi, (2, 2))
        x, y = ((size[axis, :, None] * np.sin(turn * np.outer((1, 2), time) + start[axis, :, None])).sum(0)
                for axis in (0, 1))  # fmt: skip
    path = np.clip(np.stack([x, y], 1), -REACH, REACH) + SIZE / 2
    return tuple(map(tuple, path.tolist()))


def _scene(motion: str, path: tuple, number: int, place: int, seed: int, held_out: bool) -> Scene:
    """An object of its own for each clip of a path, varied as all clips of the world are."""
    rng = np.random.default_rng((seed, 22, number))
    pool = objects(held_out)
    shape, colour = pool[rng.permutation(len(pool))[place]]
    background = list(BACKGROUNDS)[rng.permutation(CLIPS_A_PATH)[place] % len(BACKGROUNDS)]
    plain = varied(Scene(shape, colour, background, motion), np.random.default_rng((seed, 23, number, place)))
    if not path:
        return plain
    return PathScene(shape, colour, background, "", RADIUS, plain.offset, path=path)
