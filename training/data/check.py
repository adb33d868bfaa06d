"""The dataset check: what became of each clip of a folder, as data and in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .buckets import Bucket, kept_share
from .media.timing import ClipInfo

NO_TAGS, BOTH_TAGS, WRONG_TAGS = "none", "both", "wrong"  # of a caption: [CONDITION] and [VIDEO]
MUCH_CROPPED = 0.25  # share of the picture
MUCH_ENLARGED = 1.5  # times; beyond it a clip teaches blur
SOME = 0.01  # below this a change is not worth a word


@dataclass(frozen=True)
class FileCheck:
    """What became of one file: a target, a condition or a reference."""

    file: str  # its name
    info: ClipInfo  # what it holds
    fps: float  # frames a second it is taken at
    frames: int  # frames of it that are used, from its start
    width: int  # pixels it is brought to
    height: int  # pixels it is brought to
    unused: tuple[str, ...] = ()  # in a folder of pictures, names of what is no picture
    notes: tuple[str, ...] = ()  # what is done to it so that it is seen as a player shows it
    warned: tuple[str, ...] = ()  # what to look at

    @property
    def available(self) -> int:
        """Frames it has at ``fps``."""
        return self.info.frames_at(self.fps)

    @property
    def dropped(self) -> int:
        """Frames at its end that are not used."""
        return self.available - self.frames

    @property
    def cropped(self) -> float:
        """Share of the picture that is cut away, in [0, 1)."""
        return 1 - kept_share(self.info.width, self.info.height, self.width, self.height)

    @property
    def enlarged(self) -> float:
        """How many times larger the picture becomes; below 1 it is made smaller."""
        return max(self.width / self.info.width, self.height / self.info.height)

    def timing(self) -> list[str]:
        """What happens to its rate and length, in words."""
        info, changes = self.info, []
        if info.fps and abs(info.fps - self.fps) > 0.01 * self.fps:
            changes.append(f"{number(info.fps)} → {number(self.fps)} fps, {info.frames} → {self.available} frames")
        elif info.frames != self.available:
            changes.append(f"{info.frames} → {self.available} frames on real timestamps")
        if self.dropped:
            changes.append(f"first {self.frames} of {self.available} frames kept")
        if not info.fps and self.available > 1:
            changes.append(f"{self.available} pictures taken as {number(self.fps)} fps")
        return changes

    def picture(self) -> list[str]:
        """What happens to its size, and what is not used of a folder, in words."""
        cropped = f", {self.cropped:.0%} cropped" if self.cropped > SOME else ""
        enlarged = f", enlarged {number(self.enlarged)} times" if self.enlarged > 1 + SOME else ""
        changes = [f"{self.info.width}x{self.info.height} pixels{cropped}{enlarged}"] if cropped or enlarged else []
        changes += self.notes
        return changes + ([f"no pictures and not used: {', '.join(self.unused)}"] if self.unused else [])


@dataclass(frozen=True)
class ClipCheck:
    """What the check found of one clip; of one that is left out, as much as was found before the reason."""

    name: str  # NAME of the clip, or the name of a file that belongs to none
    reasons: tuple[str, ...] = ()  # why it is left out, all that was found; empty: it is used
    target: FileCheck | None = None
    others: tuple[FileCheck, ...] = ()  # its conditions, then its reference
    caption: bool = False
    tags: str = NO_TAGS
    conditions: int = 0
    reference: bool = False
    too_short: bool = False  # a reason is its length
    duplicate_of: str = ""  # name of an earlier target with the same bytes
    warnings: tuple[str, ...] = ()  # what to look at, though it is used

    @property
    def used(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    @property
    def reason(self) -> str:
        """Why it is left out, in one line."""
        return "; ".join(self.reasons)

    @property
    def bucket(self) -> Bucket | None:
        """Size and length it is trained in."""
        target = self.target
        return None if target is None else Bucket(target.width, target.height, target.frames)


def caption_tags(caption: str) -> str:
    """Whether a caption has both tags, none of them, or has them wrong: one alone, swapped, in small letters."""
    if not any(tag in caption.upper() for tag in ("[CONDITION]", "[VIDEO]")):
        return NO_TAGS
    return BOTH_TAGS if 0 <= caption.find("[CONDITION]") < caption.find("[VIDEO]") else WRONG_TAGS


def buckets_of(checks: Sequence[ClipCheck]) -> dict[Bucket, int]:
    """Buckets and their numbers of clips, the fullest first."""
    return dict(Counter(check.bucket for check in checks if check.used and check.bucket).most_common())


def number(value: float) -> str:
    """Up to two decimals, and none where they are zero."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
