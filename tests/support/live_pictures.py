"""How many pictures of video files are decoded, and how many of them are held at once."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from pack.training.data import footage


class LivePictures:
    """What was decoded since the patch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.decoded, self.most = 0, 0
        self._alive: list[Any] = []
        original = footage.timed_frames

        def counting(*given: Any) -> Iterator[tuple[float, Any]]:
            for time, picture in original(*given):
                self._alive = [one for one in self._alive if one() is not None] + [weakref.ref(picture)]
                self.decoded, self.most = self.decoded + 1, max(self.most, len(self._alive))
                yield time, picture

        monkeypatch.setattr(footage, "timed_frames", counting)
