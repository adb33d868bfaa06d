"""Few-shot data sets of the toy world: what each task is trained on, seeded and drawn on demand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .world import BACKGROUNDS, COLOURS, FPS, HELD_OUT_MOTIONS, MOTIONS, SHAPES, Scene, combinations, render, varied

SPLITS = ("training", "held out")


@dataclass(frozen=True)
class SceneClip:
    """Some frames of a scene, drawn when asked for."""

    scene: Scene
    picks: tuple[int, ...]  # frames of the scene, in order

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.picks)

    def frames(self) -> Tensor:
        """The drawn frames, float32 ``[T, H, W, 3]`` in [0, 1]."""
        return torch.from_numpy(render(self.scene, max(self.picks) + 1)[list(self.picks)])

    def key(self) -> str:
        """All that the frames depend on."""
        return f"toy {self.scene} {self.picks}"


@dataclass(frozen=True)
class EmptyScene:
    """A picture of a background with nothing on it."""

    background: str
    count: int = 1

    def frames(self) -> Tensor:
        """The picture, float32 ``[1, 64, 64, 3]`` in [0, 1]."""
        colour = torch.tensor(BACKGROUNDS[self.background], dtype=torch.float32) / 255.0
        return colour.expand(1, 64, 64, 3).clone()

    def key(self) -> str:
        """All that the frame depends on."""
        return f"toy empty {self.background}"


@dataclass(frozen=True)
class ToySample:
    """One pair of a kind; ``scene`` and ``start`` tell the judge what the target shows."""

    target: SceneClip
    caption: str
    scene: Scene
    start: int = 0  # frame of the scene that the target's first frame is
    conditions: tuple[SceneClip | EmptyScene, ...] = ()
    reference: SceneClip | None = None
    reference_caption: str = ""
    name: str = ""
    fps: float = FPS


def _span(start: int, count: int) -> tuple[int, ...]:
    return tuple(range(start, start + count))


def _image_to_video(scene: Scene, _: np.random.Generator) -> ToySample:
    """A still of an object, then it moving as told; only the still says what the object is."""
    still = SceneClip(scene, (0,))
    return ToySample(SceneClip(scene, _span(0, 36)), f"a thing {scene.motion}", scene, conditions=(still,))


def _style_transfer(scene: Scene, _: np.random.Generator) -> ToySample:
    """The same motion in a look that pre-training never showed, frame by frame."""
    drawn = replace(scene, look="blueprint")
    source = SceneClip(scene, _span(0, 25))
    return ToySample(SceneClip(drawn, _span(0, 24)), "a blueprint of the same", drawn, conditions=(source,))


def _keyframes(scene: Scene, _: np.random.Generator) -> ToySample:
    """Four frames of a clip, then the whole of it; the caption tells nothing."""
    keys = SceneClip(scene, (0, 8, 16, 23))
    return ToySample(SceneClip(scene, _span(0, 24)), "a thing moves through the frames", scene, conditions=(keys,))


def _two_images(scene: Scene, rng: np.random.Generator) -> ToySample:
    """An object on one background and a second background; the object moves on the second."""
    others = [name for name in BACKGROUNDS if name != scene.background]
    still = replace(scene, background=others[rng.integers(len(others))], motion="stays still")
    images = (SceneClip(still, (0,)), EmptyScene(scene.background))
    return ToySample(
        SceneClip(scene, _span(0, 24)), f"a thing {scene.motion} on the other background", scene, conditions=images
    )


def _action_transfer(scene: Scene, rng: np.random.Generator) -> ToySample:
    """An action by another object, then the first frame of a new scene, which goes on with it."""
    action = SceneClip(_another(scene, rng), _span(0, 21))
    first = SceneClip(scene, (0,))
    return ToySample(SceneClip(scene, _span(1, 24)), "a thing does the same", scene, 1, conditions=(action, first))


def _one_clip(scene: Scene, _: np.random.Generator) -> ToySample:
    """A motion that pre-training never showed."""
    return ToySample(SceneClip(scene, _span(0, 49)), scene.caption(), scene)


def _same_action(scene: Scene, rng: np.random.Generator) -> ToySample:
    """A target and a reference of the same motion by another object; neither caption tells the motion."""
    other = _another(scene, rng)
    own, others = (f"a {one.colour} {one.shape} on a {one.background} background" for one in (scene, other))
    reference = SceneClip(other, _span(0, 49))
    return ToySample(SceneClip(scene, _span(0, 49)), own, scene, reference=reference, reference_caption=others)


SIZES = {"small": 1.0, "large": 1.25}  # of the objects against the world's; large: as the fine toy model was shown
KINDS: dict[str, Callable[[Scene, np.random.Generator], ToySample]] = {
    "image to video": _image_to_video,
    "style transfer": _style_transfer,
    "keyframes": _keyframes,
    "two images": _two_images,
    "action transfer": _action_transfer,
    "one clip": _one_clip,
    "same action": _same_action,
}
TASK_OF_KIND = {
    "image to video": "image to video",
    "style transfer": "video to video",
    "keyframes": "keyframes",
    "two images": "multiple images",
    "action transfer": "action transfer",
}


def make_samples(
    kind: str, count: int, seed: int, split: str = "training", size: float = SIZES["small"]
) -> list[ToySample]:
    """``count`` samples of a kind, the same for the same seed.

    Args:
        kind: a name in ``KINDS``.
        count: how many; no (shape, colour, motion) comes twice before all have come.
        seed: decides which.
        split: ``training`` draws from the combinations of pre-training, ``held out`` from the others;
            for ``one clip`` both show the seed's motion, by other objects.
        size: of the objects, as a multiple of the world's.

    Raises:
        ValueError: the kind, the split or the count is not valid.
    """
    if kind not in KINDS or split not in SPLITS or count < 1:
        raise ValueError(
            f"toy clips got kind {kind!r}, split {split!r} and count {count}; use a kind of {', '.join(KINDS)}, "
            f"a split of {', '.join(SPLITS)} and a count of 1 or more"
        )
    scenes = _scenes(kind, count, seed, split == "held out")
    rng = np.random.default_rng((seed, 99))
    samples = (_sized(KINDS[kind](scene, rng), size) for scene in scenes)
    return [replace(sample, name=f"{kind} {i}") for i, sample in enumerate(samples)]


def _sized(sample: ToySample, size: float) -> ToySample:
    """The sample with objects ``size`` times as large."""

    def scene(one: Scene) -> Scene:
        return replace(one, radius=size * one.radius)

    def clip(one: Any) -> Any:
        return replace(one, scene=scene(one.scene)) if isinstance(one, SceneClip) else one

    return replace(
        sample,
        target=clip(sample.target),
        scene=scene(sample.scene),
        conditions=tuple(clip(one) for one in sample.conditions),
        reference=clip(sample.reference),
    )


def _scenes(kind: str, count: int, seed: int, held_out: bool) -> list[Scene]:
    """Scenes of a kind; one motion of a seed for all of ``one clip``, spread evenly over everything else."""
    number = list(KINDS).index(kind)
    rng = np.random.default_rng((seed, number, held_out))
    if kind == "one clip":
        # The motion is what is learned, so it is the same in both splits; only the objects differ.
        motion = HELD_OUT_MOTIONS[np.random.default_rng((seed, number)).integers(len(HELD_OUT_MOTIONS))]
        pool = [(shape, colour, motion) for shape, colour in _objects(held_out)]
    else:
        pool = combinations(held_out)
    out: list[Scene] = []
    while len(out) < count:
        for i in rng.permutation(len(pool)):
            shape, colour, motion = pool[i]
            background = list(BACKGROUNDS)[len(out) % len(BACKGROUNDS)]
            out.append(varied(Scene(shape, colour, background, motion), rng))
    return out[:count]


def _objects(held_out: bool) -> list[tuple[str, str]]:
    """Objects (shape, colour) of a split, one in three held out; every shape and colour is in both."""
    pairs = itertools.product(enumerate(SHAPES), enumerate(COLOURS))
    return [(shape, colour) for (i, shape), (j, colour) in pairs if ((i + j) % 3 == 0) == held_out]


def _another(scene: Scene, rng: np.random.Generator) -> Scene:
    """The same motion by an object of another shape and colour on another background."""
    pick = [
        [name for name in names if name != own]
        for names, own in ((SHAPES, scene.shape), (COLOURS, scene.colour), (BACKGROUNDS, scene.background))
    ]
    shape, colour, background = (names[rng.integers(len(names))] for names in pick)
    return varied(Scene(shape, colour, background, scene.motion), rng)


__all__ = [
    "KINDS",
    "MOTIONS",
    "SIZES",
    "SPLITS",
    "TASK_OF_KIND",
    "EmptyScene",
    "SceneClip",
    "ToySample",
    "make_samples",
]
