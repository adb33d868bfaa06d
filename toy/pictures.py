"""Single pictures of the toy world: one coloured shape anywhere on a plain background, or a blueprint of one."""

from __future__ import annotations

import itertools

import numpy as np

from .world import BACKGROUNDS, COLOURS, SHAPES, SIZE, UNNAMED_COLOURS, UNNAMED_SHAPES, Scene

RADIUS = 10.0  # pixels; the objects of pictures are smaller than those of clips
MARGIN = 13.0  # pixels from a centre to the edge, at least; no motion of the world comes closer
BLUEPRINTS = 0.125  # share of the pictures
LEFT_OPEN = 1 / 3  # share of the captions that leave something open


def caption_of(scene: Scene) -> str:
    """What a picture shows, e.g. ``a red disc on a grey background`` or ``a blueprint of a disc``."""
    if scene.look != "plain":
        return f"a {scene.look} of a {scene.shape}"
    return f"a {scene.colour} {scene.shape} on a {scene.background} background"


def objects(held_out: bool) -> list[tuple[str, str, str]]:
    """The (shape, colour, background) triples the image model was shown, or those held out from it.

    One triple in six is held out, spread so that every pair of words occurs in what was shown.
    """
    triples = itertools.product(enumerate(SHAPES), enumerate(COLOURS), enumerate(BACKGROUNDS))
    return [
        (shape, colour, background)
        for (i, shape), (j, colour), (k, background) in triples
        if ((i + j + 2 * k) % len(COLOURS) == 0) == held_out
    ]


def place(shape: str, colour: str, background: str, rng: np.random.Generator, look: str = "plain") -> Scene:
    """An object standing anywhere; seven in ten have the size they have in clips, the others any size of the world."""
    dx, dy = rng.uniform(MARGIN - SIZE / 2, SIZE / 2 - MARGIN, 2)
    low, high = (0.95, 1.05) if rng.random() < 0.7 else (0.65, 1.5)
    radius = RADIUS * rng.uniform(low, high)
    return Scene(shape, colour, background, "stays still", float(radius), (float(dx), float(dy)), look)


def draw_picture(rng: np.random.Generator) -> tuple[Scene, str]:
    """A picture of the pre-training and its caption.

    Where a caption leaves colour or shape open the object may be one that captions have no name for.
    """
    shown = objects(held_out=False)
    shape, colour, background = shown[rng.integers(len(shown))]
    if rng.random() < BLUEPRINTS:
        scene = place(shape, colour, background, rng, "blueprint")
        return scene, caption_of(scene)
    if rng.random() >= LEFT_OPEN:
        scene = place(shape, colour, background, rng)
        return scene, caption_of(scene)
    told = [bool(kept) for kept in rng.random(3) < 0.5]
    told[int(rng.integers(3))] = False
    if not told[0] and rng.random() < 0.5:
        shape = UNNAMED_SHAPES[rng.integers(len(UNNAMED_SHAPES))]
    if not told[1] and rng.random() < 0.5:
        colour = list(UNNAMED_COLOURS)[rng.integers(len(UNNAMED_COLOURS))]
    words = ["a", colour if told[1] else "", shape if told[0] else "thing"]
    words.append(f"on a {background} background" if told[2] else "")
    return place(shape, colour, background, rng), " ".join(word for word in words if word)


def held_out_pictures(count: int, seed: int) -> list[Scene]:
    """Scenes of the held-out triples, every one before any comes again."""
    rng = np.random.default_rng((seed, 5))
    triples = itertools.islice(itertools.cycle(objects(held_out=True)), count)
    return [place(*triple, rng) for triple in triples]
