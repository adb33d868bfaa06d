"""AICL training: which clips of a data set are references of which others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import eq
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from ..data.dataset import Dataset, Sample

FILES, BY_FOLDER, BY_WORD = GROUP_BY = ("reference files", "sub-folder", "action word")


@dataclass(frozen=True)
class Groups:
    """The references each clip may read, and what each clip shows.

    Args:
        choices: numbers of each clip's references. With reference files number i is the file beside clip i, else it
            is clip i itself.
        actions: what each clip shows; empty where nothing tells.
    """

    choices: Sequence[Sequence[int]]
    actions: tuple[str, ...]

    def pieces(self) -> Iterator[str]:
        """The text that tells this grouping from others, for digests: ``repr`` with tuples as choices, bit by bit."""
        yield "Groups(choices=("
        for i, others in enumerate(self.choices):
            yield ", " * (i > 0) + (others.text() if isinstance(others, Others) else repr(tuple(others)))
        yield f"{',' * (len(self.choices) == 1)}), actions={self.actions!r})"

    def summary(self, group_by: str) -> str:
        """The set in words, for an adapter's file."""
        named = len({action for action in self.actions if action})
        of = f" of {named} action{'s' * (named != 1)}" if named else ""
        return f"{len(self.choices)} clip{'s' * (len(self.choices) != 1)}{of}, references by {group_by}"

    def wrong(self, clip: int) -> int | None:
        """A reference that shows another action than a clip; without names another clip's. None: there is none.

        The next one counts, so that it is the same in every validation.
        """
        actions, count = self.actions, len(self.choices)
        others = ((clip + i) % count for i in range(1, count))
        return next((other for other in others if actions[other] != actions[clip] or not actions[clip]), None)


def group_clips(dataset: Dataset, group_by: str, words: Sequence[str] = ()) -> Groups:
    """Find every clip's references; a clip is never its own.

    Args:
        dataset: The clips.
        group_by: One of ``GROUP_BY``: the file NAME.reference, or all other clips of the same sub-folder, or those
            whose caption holds the same action word.
        words: Action words or phrases, for the last.

    Raises:
        ValueError: the choice is unknown, or a clip is without reference.
    """
    if group_by not in GROUP_BY:
        raise ValueError(f"group_by is {group_by!r}; choose one of {', '.join(GROUP_BY)}")
    samples = dataset.samples
    if group_by == FILES:
        _refuse([sample for sample in samples if sample.reference is None], "without a reference", _ADD_FILES)
        return Groups(tuple((i,) for i in range(len(samples))), tuple(sample.action for sample in samples))
    if group_by == BY_WORD and not words:
        raise ValueError("no action word is given; write those of your captions into actions, like walks, jumps")
    actions = tuple(sample.action if group_by == BY_FOLDER else action_in(sample.caption, words) for sample in samples)
    missing = [sample for sample, action in zip(samples, actions, strict=True) if not action]
    what, advice = _MISSING[group_by]
    _refuse(missing, what, advice)
    choices = choices_of([sample.target.key() for sample in samples], actions)
    alone = Counter(action for action, others in zip(actions, choices, strict=True) if not len(others))
    if alone:
        raise ValueError(
            f"the action {min(alone)} has one clip, and a clip is never its own reference; add another clip of it, or "
            "take that one out"
        )
    return Groups(choices, actions)


def action_in(caption: str, words: Sequence[str]) -> str:
    """The action word or phrase in a caption, whatever its capitals; the longest of several, "" for none."""
    found = [word for word in words if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", caption, re.IGNORECASE)]
    return max(found, key=len, default="")


def action_words(text: str) -> tuple[str, ...]:
    """The words of a comma-separated text."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


class _Members(list[int]):
    """All clips of an action, and their numbers as text."""

    @cached_property
    def text(self) -> tuple[str, list[int]]:
        """Each number with a comma and a space behind it, and where each begins, the end last."""
        parts = [f"{clip}, " for clip in self]
        return "".join(parts), list(accumulate(map(len, parts), initial=0))


class Others(Sequence[int]):
    """The clips of an action but for some of them; all clips of an action share one list of it."""

    def __init__(self, members: _Members, left_out: Sequence[int]) -> None:
        """``left_out`` are places in ``members``, rising."""
        self.members, self._left_out = members, left_out

    def __len__(self) -> int:
        return len(self.members) - len(self._left_out)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        """The clip at a place among the others."""
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        place = range(len(self))[index]
        for left_out in self._left_out:
            place += left_out <= place
        return self.members[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        """``repr`` of the tuple of them, cut out of the text that they share."""
        whole, starts = self.members.text
        begins = (0, *(starts[place + 1] for place in self._left_out))
        ends = (*(starts[place] for place in self._left_out), len(whole))
        body = "".join(whole[begin:end] for begin, end in zip(begins, ends, strict=True))
        return f"({body.rstrip() if len(self) == 1 else body[:-2]})"


def choices_of(keys: Sequence[str], actions: Sequence[str]) -> tuple[Others, ...]:
    """For each clip those of the same action; neither the clip nor a copy of it counts."""
    members: dict[str, _Members] = {}
    copies: dict[tuple[str, str], list[int]] = {}
    for i, (action, key) in enumerate(zip(actions, keys, strict=True)):
        same = members.setdefault(action, _Members())
        copies.setdefault((action, key), []).append(len(same))
        same.append(i)
    return tuple(Others(members[action], copies[action, key]) for key, action in zip(keys, actions, strict=True))


_ADD_FILES = f'put NAME.reference beside each clip, or set group_by to "{BY_FOLDER}" or "{BY_WORD}"'
_MISSING = {
    BY_FOLDER: (
        "in no sub-folder",
        "put those of each action into a folder of its own, or choose another group_by",
    ),
    BY_WORD: ("without an action word in the caption", "add the word to actions or to the caption"),
}


def _refuse(samples: Sequence[Sample], what: str, advice: str) -> None:
    if samples:
        more = f" and {len(samples) - 1} more" if len(samples) > 1 else ""
        raise ValueError(f"clips {what}: {samples[0].name or 'one'}{more}; AICL learns from references, so {advice}")
