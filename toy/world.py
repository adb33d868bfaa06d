"""The toy world: one coloured shape that moves on a background, with a caption in plain words.

Everything is generated from a ``Scene``; the same scene always gives the same clip. Coordinates are
pixels of a 64 x 64 picture, x to the right and y down, time in video frames.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from .looks import MARKINGS, SHADOW, light, marked, paper

SIZE = 64  # native width and height in pixels
FPS = 12.0  # a 49-frame clip lasts four seconds

SHAPES = ("disc", "square", "triangle", "ring")
EXTENTS = {"disc": 1.0, "square": 0.9, "triangle": 0.66}  # of a shape of radius 1, in its field
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (230, 40, 40),
    "green": (40, 190, 60),
    "blue": (50, 80, 235),
    "yellow": (240, 220, 40),
    "cyan": (40, 210, 225),
    "magenta": (225, 50, 210),
}
# Shown in pre-training and never named by a caption: what such an object is can only be told by the other frames.
UNNAMED_SHAPES = ("diamond", "cross", "bar")
UNNAMED_COLOURS: dict[str, tuple[int, int, int]] = {
    "orange": (240, 130, 30),
    "violet": (140, 60, 230),
    "pink": (250, 140, 180),
    "brown": (130, 80, 40),
    "lime": (150, 230, 40),
    "teal": (20, 120, 120),
    "navy": (30, 40, 140),
    "sky": (130, 190, 250),
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "black": (12, 12, 12),
    "grey": (120, 120, 120),
    "white": (244, 244, 244),
}
LOOKS = ("plain", "blueprint")  # "blueprint" is never shown in pre-training of the video model
BLUEPRINT_INK, BLUEPRINT_PAPER = (235, 240, 250), (24, 48, 120)

DIRECTIONS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
SPEEDS = {"slowly": 0.36, "quickly": 0.72}  # pixels a frame
TURNS = {"clockwise": 1.0, "anticlockwise": -1.0}
RADIUS = 10.0  # of the shapes, pixels
ORBIT = 13.0  # radius of circling, pixels
PERIOD = 48.0  # frames of one circle

# Two families are parametric: sliding by direction and speed, circling by the turn.
MOTIONS = (
    *(f"slides {d} {s}" for d, s in itertools.product(DIRECTIONS, SPEEDS)),
    *(f"circles {t}" for t in TURNS),
    "bounces",
    "grows",
    "shrinks",
    "stays still",
)
HELD_OUT_MOTIONS = ("zigzags", "loops in a figure eight", "swings")  # never shown in pre-training


@dataclass(frozen=True)
class Scene:
    """What a clip shows; a clip is a function of this alone."""

    shape: str
    colour: str
    background: str
    motion: str
    radius: float = RADIUS  # pixels
    offset: tuple[float, float] = (0.0, 0.0)  # shift of the whole path, pixels (x, y)
    look: str = "plain"
    marking: str = "plain"  # of toy.looks.MARKINGS
    mark_colour: str = ""
    backdrop: str = "plain"  # of toy.looks.BACKDROPS
    lit: bool = False  # shaded, with a shadow behind

    def caption(self) -> str:
        """The clip in plain words, e.g. ``a red disc slides left slowly on a grey background``."""
        if self.look != "plain":
            return f"a {self.look} of a {self.shape} that {self.motion}"
        words = ["a", self.colour, self.shape, MARKINGS[self.marking].format(self.mark_colour), self.motion]
        return " ".join(word for word in [*words, self.on()] if word)

    def on(self) -> str:
        """Its background in words."""
        return f"on a {self.background} {'' if self.backdrop == 'plain' else f'{self.backdrop} '}background"

    def pose(self, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Centre ``[T, 2]`` (x, y) and radius ``[T]`` in pixels of each of ``frames`` frames."""
        time = np.arange(frames, dtype=np.float64)
        centre, scale = motion_path(self.motion, time)
        return centre + np.asarray(self.offset), self.radius * scale


def motion_path(motion: str, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre ``[T, 2]`` in pixels and relative size ``[T]`` of a motion at ``time`` (frames).

    Raises:
        ValueError: the motion is not one of ``MOTIONS`` or ``HELD_OUT_MOTIONS``.
    """
    x, y = np.full_like(time, SIZE / 2), np.full_like(time, SIZE / 2)
    scale = np.ones_like(time)
    word, *rest = motion.split()
    phase = 2 * math.pi * time / PERIOD
    if word == "slides":
        (dx, dy), speed = DIRECTIONS[rest[0]], SPEEDS[rest[1]]
        travel = speed * (time - 24.0)  # 49 frames are centred in the picture
        x, y = x + dx * travel, y + dy * travel
    elif word == "circles":
        x, y = x + ORBIT * TURNS[rest[0]] * np.sin(phase), y - ORBIT * np.cos(phase)
    elif word == "bounces":
        y = SIZE - 18.0 - 20.0 * np.abs(np.sin(0.75 * phase))
    elif word == "grows":
        scale = 0.65 + 0.85 * time / 48.0
    elif word == "shrinks":
        scale = 1.5 - 0.85 * time / 48.0
    elif word == "zigzags":
        x = x + 0.72 * (time - 24.0)
        y = y + 10.0 * (2 / math.pi) * np.arcsin(np.sin(2 * phase))
    elif word == "loops":
        x, y = x + 16.0 * np.sin(phase), y + 9.0 * np.sin(2 * phase)
    elif word == "swings":
        angle = 0.8 * np.cos(phase)
        x, y = x + 24.0 * np.sin(angle), 20.0 + 24.0 * np.cos(angle)
    elif motion != "stays still":
        raise ValueError(f"motion {motion!r} is not of the toy world; use one of {MOTIONS + HELD_OUT_MOTIONS}")
    return np.stack([x, y], axis=1), scale


def field_of(shape: str, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """What the distance to one of ``SHAPES`` at the origin is made of, whatever its radius."""
    if shape in ("disc", "ring"):
        return np.hypot(dx, dy)
    if shape == "square":
        return np.maximum(np.abs(dx), np.abs(dy))
    return np.maximum(dy, 0.866 * np.abs(dx) - 0.5 * dy)  # an equilateral triangle, tip up, its centroid at the origin


def distance_in(shape: str, field: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Distance in pixels to the outline (negative inside) of one of ``SHAPES``, by ``field_of`` it."""
    if shape == "ring":
        return np.abs(field - 0.8 * radius) - 0.28 * radius
    return field - EXTENTS[shape] * radius


def signed_distance(shape: str, dx: np.ndarray, dy: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Distance in pixels to the outline (negative inside) of a shape of ``radius`` at the origin."""
    if shape in SHAPES:
        return distance_in(shape, field_of(shape, dx, dy), radius)
    if shape == "diamond":
        return (np.abs(dx) + np.abs(dy) - 1.2 * radius) * 0.7071
    if shape == "cross":
        across, along = np.maximum(np.abs(dx), np.abs(dy)), np.minimum(np.abs(dx), np.abs(dy))
        return np.maximum(across - radius, along - 0.36 * radius)
    if shape == "bar":
        return np.maximum(np.abs(dx) - 1.1 * radius, np.abs(dy) - 0.45 * radius)
    raise ValueError(f"shape {shape!r} is not of the toy world; use one of {SHAPES + UNNAMED_SHAPES}")


def render(scene: Scene, frames: int, size: int = SIZE) -> np.ndarray:
    """Draw a scene: float32 ``[T, H, W, 3]`` in [0, 1], ``frames`` frames of ``size`` pixels square."""
    centre, radius = scene.pose(frames)
    grid = (np.arange(size) + 0.5) * (SIZE / size)
    dx = grid[None, None, :] - centre[:, 0, None, None]
    dy = grid[None, :, None] - centre[:, 1, None, None]
    dx, dy = np.broadcast_arrays(dx, dy)
    return paint(scene, dx, dy, radius[:, None, None], size / SIZE)


def paint(scene: Scene, dx: np.ndarray, dy: np.ndarray, radius: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Colour frames whose pixels lie ``dx, dy [T, H, W]`` from the object: float32 ``[T, H, W, 3]`` in [0, 1].

    ``scale`` is the pixels that a pixel of the world has.
    """
    distance = signed_distance(scene.shape, dx, dy, radius) * scale
    if scene.look == "blueprint":  # a pale outline on dark blue paper
        ink, ground, distance = np.array(BLUEPRINT_INK), np.array(BLUEPRINT_PAPER), np.abs(distance + 1.2) - 1.2
    else:
        ink, ground = (
            _ink(scene, dx, dy, radius, scale),
            paper(BACKGROUNDS[scene.background], scene.backdrop, dx.shape[-1], SIZE),
        )
        if scene.lit:
            behind = signed_distance(scene.shape, dx - 0.2 * radius, dy - 0.26 * radius, radius) * scale
            ground = ground * (1.0 - SHADOW * np.clip(0.5 - behind / (4.0 * scale), 0.0, 1.0)[..., None])
    cover = np.clip(0.5 - distance, 0.0, 1.0)[..., None]
    return ((ground + (ink - ground) * cover) / 255.0).astype(np.float32)


def _ink(scene: Scene, dx: np.ndarray, dy: np.ndarray, radius: np.ndarray, scale: float) -> np.ndarray:
    """Colour of the object, ``[3]`` or ``[T, H, W, 3]`` in 0 … 255."""
    ink = np.array((COLOURS | UNNAMED_COLOURS)[scene.colour])
    if scene.marking != "plain":
        cover = np.clip(0.5 - marked(scene.marking, dx, dy, radius) * scale, 0.0, 1.0)[..., None]
        ink = ink + (np.array((COLOURS | UNNAMED_COLOURS)[scene.mark_colour]) - ink) * cover
    return (ink * light(dx, dy, radius)[..., None]).clip(0, 255) if scene.lit else ink


def combinations(held_out: bool) -> list[tuple[str, str, str]]:
    """The (shape, colour, motion) triples shown in pre-training, or those held out from it.

    One triple in six is held out, spread so that every shape, colour and motion, and every pair of
    them, occurs in both halves.
    """
    out = []
    for (i, shape), (j, colour), (k, motion) in itertools.product(
        enumerate(SHAPES), enumerate(COLOURS), enumerate(MOTIONS)
    ):
        if ((j + i + k) % len(COLOURS) == 0) == held_out:
            out.append((shape, colour, motion))
    return out


def varied(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene with its path moved by up to 1.5 px and its size changed by up to 5 %."""
    dx, dy = rng.uniform(-1.5, 1.5, 2)
    return replace(scene, offset=(float(dx), float(dy)), radius=float(RADIUS * rng.uniform(0.95, 1.05)))


def sample_scene(rng: np.random.Generator, held_out: bool = False) -> Scene:
    """Draw a scene of the pre-training world (or one of its held-out combinations)."""
    pool = combinations(held_out)
    shape, colour, motion = pool[rng.integers(len(pool))]
    background = list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))]
    return varied(Scene(shape, colour, background, motion), rng)
