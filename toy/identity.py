"""Whether a toy clip shows one and the same object from its first frame to its last; pixels only, no nets."""

from __future__ import annotations

import numpy as np

from .judge import OBJECT_DISTANCE, find_background, find_ink, find_track, name_shape

COLOUR_TOLERANCE = 0.25  # RGB distance in [0, sqrt 3]; neighbouring colours of the world lie further apart


def keeps_identity(video: np.ndarray, parts: int = 3) -> tuple[bool, bool]:
    """Whether colour and shape of the object are the same in each of ``parts`` stretches of a clip.

    What a caption leaves open the frames of a clip must agree on; a model that does not do that cannot go on from
    a condition frame either.

    Args:
        video: ``[T, H, W, 3]`` in [0, 1] of the native size.
        parts: stretches of equal length.
    """
    video = np.clip(np.asarray(video, dtype=np.float32), 0, 1)
    distance = np.linalg.norm(video - find_background(video), axis=-1)
    inks, shapes = [], set()
    for piece, away in zip(np.array_split(video, parts), np.array_split(distance, parts), strict=True):
        mask = away > OBJECT_DISTANCE
        centre, _, found = find_track(mask)
        if not found.any():
            return False, False
        inks.append(find_ink(piece, away, mask))
        shapes.add(name_shape(mask, centre, found))
    furthest = max(float(np.linalg.norm(a - b)) for a in inks for b in inks)
    return furthest <= COLOUR_TOLERANCE, len(shapes) == 1
