"""The judge of toy videos: pixels only, no nets.

It finds the object in every frame, names its colour, shape, marking and background, and compares its path with
the told one. ``ceiling`` and ``chance`` say what ground truth and a shuffled set score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .judge_looks import find_paper, flicker_of, name_marking
from .world import BACKGROUNDS, BLUEPRINT_INK, BLUEPRINT_PAPER, COLOURS, SHAPES, Scene, distance_in, field_of, render

OBJECT_DISTANCE = 0.30  # RGB distance from the background at which a pixel belongs to the object
PATH_TOLERANCE = 3.0  # pixels RMS between the object's path and the told one, start offset free
_RADII = np.arange(5.0, 20.1, 0.75)


@dataclass(frozen=True)
class Verdict:
    """What the judge says of one clip; every field is in [0, 1] but ``path_error`` and ``flicker``."""

    found: float  # share of frames with one compact object
    colour: float  # 1 if the object's colour is the told one
    shape: float  # 1 if the best template is the told shape
    background: float  # 1 if the background is the told one, its backdrop included
    motion: float  # 1 if the path and the change of size are as told and the object never is lost
    path_error: float  # pixels RMS
    marking: float = 1.0  # 1 if the object is marked as told, in the told colour
    same: float = 1.0  # 1 if each third of the clip shows the same object: shape, colour and marking
    flicker: float = 0.0  # mean change of the background from frame to frame, of 255

    @property
    def all_right(self) -> float:
        """1 if everything told is there in every frame."""
        return min(self.colour, self.shape, self.marking, self.background, self.motion)


def judge(video: np.ndarray, scene: Scene, start: int = 0) -> Verdict:
    """Compare a clip ``[T, H, W, 3]`` in [0, 1] of the native size with what ``scene`` tells.

    ``start`` is the frame of the scene that the clip's first frame stands for.
    """
    video = np.clip(np.asarray(video, dtype=np.float32), 0, 1)
    paper, offset, backdrop = find_paper(video)
    distance = np.linalg.norm(video - paper, axis=-1)  # T H W
    mask = distance > OBJECT_DISTANCE
    centre, area, found = find_track(mask)
    told, radius = (part[start : start + len(video)] for part in scene.pose(start + len(video)))
    shape, looks = name_object(video, distance, mask, centre, found)
    error, moves = _motion(centre, area, told, radius, scene.motion)
    return Verdict(
        found=float(found.mean()),
        colour=float(looks[0] == scene.colour),
        shape=float(shape == scene.shape),
        background=float((_nearest(offset, BACKGROUNDS), backdrop) == (scene.background, scene.backdrop)),
        motion=float(moves and found.mean() > 0.99),
        path_error=error,
        marking=float(looks[1:] == (scene.marking, scene.mark_colour)),
        same=float(same_object(video, distance, mask, centre, found)),
        flicker=flicker_of(video, mask),
    )


def name_object(
    video: np.ndarray, distance: np.ndarray, mask: np.ndarray, centre: np.ndarray, found: np.ndarray
) -> tuple[str, tuple[str, str, str]]:
    """Shape, and (colour, marking, colour of the marking) of the object in some frames; empty where it is lost."""
    shape, frames, radius = fit_shape(mask, centre, found)
    if not shape:
        return "", ("", "", "")
    body, marking, mark = name_marking(video[frames], mask[frames], centre[frames], radius)
    if marking == "plain":
        body = _nearest(find_ink(video, distance, mask), COLOURS)
    return shape, (body, marking, mark)


def same_object(
    video: np.ndarray, distance: np.ndarray, mask: np.ndarray, centre: np.ndarray, found: np.ndarray, parts: int = 3
) -> bool:
    """Whether each of ``parts`` stretches of a clip shows the same shape, colour and marking."""
    stretches = [part for part in np.array_split(np.arange(len(video)), parts) if len(part)]
    names = {name_object(video[p], distance[p], mask[p], centre[p], found[p]) for p in stretches}
    return len(names) == 1 and "" not in {shape for shape, _ in names}


def judge_picture(picture: np.ndarray, scene: Scene) -> Verdict:
    """The same for one picture ``[H, W, 3]``, wherever its object lies; ``motion`` says that there is one."""
    return judge(np.asarray(picture)[None], scene)


def name_look(picture: np.ndarray) -> str:
    """Which of the world's looks a picture ``[H, W, 3]`` in [0, 1] has, by its paper and by its lines."""
    video = np.clip(np.asarray(picture, dtype=np.float32), 0, 1)[None]
    paper = find_background(video)
    if _nearest(paper, {**BACKGROUNDS, "blueprint": BLUEPRINT_PAPER}) != "blueprint":
        return "plain"
    distance = np.linalg.norm(video - paper, axis=-1)
    ink = find_ink(video, distance, distance > OBJECT_DISTANCE)
    return "blueprint" if _nearest(ink, {**COLOURS, "blueprint": BLUEPRINT_INK}) == "blueprint" else "plain"


def find_background(video: np.ndarray) -> np.ndarray:
    """Median colour of a two-pixel border, ``[3]``."""
    edge = np.ones(video.shape[1:3], dtype=bool)
    edge[2:-2, 2:-2] = False
    return np.median(video[:, edge].reshape(-1, 3), axis=0)


def find_track(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centroid ``[T, 2]`` (x, y), area ``[T]`` in pixels, and whether one compact object is there ``[T]``."""
    area = mask.sum((1, 2)).astype(np.float64)
    grid = np.arange(mask.shape[1]) + 0.5
    safe = np.maximum(area, 1)
    x, y = (mask * grid).sum((1, 2)) / safe, (mask * grid[:, None]).sum((1, 2)) / safe
    spread = (mask * ((grid[None, None] - x[:, None, None]) ** 2 + (grid[None, :, None] - y[:, None, None]) ** 2)).sum(
        (1, 2)
    ) / safe
    compact = spread < 5.0 * area / (2 * np.pi)  # a disc has 1, the thinnest ring of the world 2.6
    return np.stack([x, y], 1), area, (area > 40) & (area < 1400) & compact


def find_ink(video: np.ndarray, distance: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Median colour ``[3]`` of the pixels well inside the object."""
    if not mask.any():
        return np.zeros(3)
    core = mask & (distance > 0.7 * np.quantile(distance[mask], 0.9))
    return np.median(video[core], axis=0)


def _nearest(colour: np.ndarray, palette: dict[str, tuple[int, int, int]]) -> str:
    return min(palette, key=lambda name: float(np.linalg.norm(colour - np.array(palette[name]) / 255.0)))


def name_shape(mask: np.ndarray, centre: np.ndarray, found: np.ndarray) -> str:
    """The shape whose templates fit best: mean over frames of the best IoU over radii."""
    return fit_shape(mask, centre, found)[0]


def fit_shape(mask: np.ndarray, centre: np.ndarray, found: np.ndarray) -> tuple[str, np.ndarray, np.ndarray]:
    """The shape that fits best, the frames that were looked at, and its radius in pixels in each of them."""
    frames = np.flatnonzero(found)[:: max(1, int(found.sum()) // 9)]
    if len(frames) == 0:
        return "", frames, np.zeros(0)
    grid = np.arange(mask.shape[1]) + 0.5
    dx = grid[None, None, :] - centre[frames, 0, None, None]
    dy = grid[None, :, None] - centre[frames, 1, None, None]
    dx, dy = np.broadcast_arrays(dx, dy)
    scores, radii, area = {}, {}, mask[frames].sum((1, 2))
    for shape in SHAPES:
        field = field_of(shape, dx, dy)
        inside = [distance_in(shape, field, np.float64(r)) < 0 for r in _RADII]
        both = np.array([(mask[frames] & t).sum((1, 2)) for t in inside])
        iou = both / np.maximum(area + np.array([t.sum((1, 2)) for t in inside]) - both, 1)
        scores[shape], radii[shape] = float(iou.max(0).mean()), _RADII[iou.argmax(0)]
    best = max(scores, key=lambda shape: scores[shape])
    return best, frames, radii[best]


def _motion(
    centre: np.ndarray, area: np.ndarray, told: np.ndarray, radius: np.ndarray, motion: str
) -> tuple[float, bool]:
    """Path error in pixels RMS with the start offset taken out, and whether path and size are right."""
    gap = centre - told
    error = float(np.sqrt(((gap - gap.mean(0)) ** 2).sum(1).mean()))
    edge = max(1, len(area) // 8)
    change = float(np.sqrt(area[-edge:].mean() / max(area[:edge].mean(), 1.0)))
    told_change = float(radius[-edge:].mean() / radius[:edge].mean())
    size_right = 0.75 < change < 1.33
    if motion in ("grows", "shrinks"):  # at least half of the told change of size, on a log scale
        size_right = np.log(max(change, 1e-3)) / np.log(told_change) > 0.5
    return error, bool(error < PATH_TOLERANCE and size_right)


def summary(verdicts: list[Verdict]) -> dict[str, float]:
    """Mean of every field over clips, ``every_frame`` being the share of clips with nothing lost."""
    fields = ("found", "colour", "shape", "marking", "background", "motion", "path_error", "same", "flicker")
    out = {name: float(np.mean([getattr(v, name) for v in verdicts])) for name in (*fields, "all_right")}
    out["every_frame"] = float(np.mean([v.found == 1.0 for v in verdicts]))
    return out


def ceiling(scenes: list[Scene], frames: int) -> dict[str, float]:
    """What ground truth scores."""
    return summary([judge(render(scene, frames), scene) for scene in scenes])


def chance(scenes: list[Scene], frames: int, seed: int = 0) -> dict[str, float]:
    """What the true clips score against the scenes in another order."""
    order = np.random.default_rng(seed).permutation(len(scenes))
    return summary([judge(render(scenes[i], frames), scene) for i, scene in zip(order, scenes, strict=True)])
