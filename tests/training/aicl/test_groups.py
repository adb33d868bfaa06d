"""Which clips are references of which others."""

from __future__ import annotations

import pytest
import torch

from pack.training.aicl.groups import (
    BY_FOLDER,
    BY_WORD,
    FILES,
    Groups,
    action_in,
    action_words,
    choices_of,
    group_clips,
)
from pack.training.data.clips import TensorClip
from pack.training.data.dataset import Dataset, Sample


def clip(level: float) -> TensorClip:
    return TensorClip(torch.full((5, 16, 16, 3), level))


def dataset(*clips: tuple[str, str], references: bool = False, levels: tuple[float, ...] = ()) -> Dataset:
    """Clips of (sub-folder, caption)."""
    samples = tuple(
        Sample(
            clip(levels[i] if levels else i / 10), caption, reference=clip(0.9) if references else None,
            name=f"clip {i}", action=action,
        )
        for i, (action, caption) in enumerate(clips)
    )  # fmt: skip
    return Dataset(samples, 16, 16, 16.0, "")


SET = (("walk", "a man walks"), ("jump", "he Jumps over"), ("walk", "a dog walks"), ("jump", "a cat jumps over a box"))


def test_each_clip_reads_the_file_beside_it():
    groups = group_clips(dataset(*SET, references=True), FILES)
    assert groups.choices == ((0,), (1,), (2,), (3,))
    assert groups.summary(FILES) == "4 clips of 2 actions, references by reference files"
    assert [groups.wrong(i) for i in range(4)] == [1, 2, 3, 0]


def test_clips_of_a_sub_folder_read_each_other_and_never_themselves():
    groups = group_clips(dataset(*SET, ("walk", "she walks")), BY_FOLDER)
    assert groups.choices == ((2, 4), (3,), (0, 4), (1,), (0, 2))
    assert all(i not in others for i, others in enumerate(groups.choices))
    assert [groups.wrong(i) for i in range(5)] == [1, 2, 3, 4, 1]


def test_clips_with_one_action_word_read_each_other():
    assert group_clips(dataset(*SET), BY_WORD, ("walks", "jumps over")).choices == ((2,), (3,), (0,), (1,))


def test_a_copy_of_a_clip_is_no_reference_of_it():
    walks = [("walk", "a")] * 4
    groups = group_clips(dataset(*walks, levels=(0.1, 0.1, 0.2, 0.3)), BY_FOLDER)
    assert groups.choices == ((2, 3), (2, 3), (0, 1, 3), (0, 1, 2))


def test_every_clip_s_key_is_asked_for_once(monkeypatch):
    """That of a file looks at the disk, and sets have thousands of clips."""
    asked = []
    original = TensorClip.key
    monkeypatch.setattr(TensorClip, "key", lambda self: (asked.append(1), original(self))[1])
    group_clips(dataset(*[("walk", "a")] * 6), BY_FOLDER)
    assert len(asked) == 6


def test_without_a_second_action_there_is_no_wrong_reference():
    assert group_clips(dataset(("walk", "a"), ("walk", "b")), BY_FOLDER).wrong(0) is None
    unnamed = group_clips(dataset(("", "a"), ("", "b"), references=True), FILES)
    assert (unnamed.wrong(0), unnamed.wrong(1)) == (1, 0)
    assert unnamed.summary(FILES) == "2 clips, references by reference files"
    assert group_clips(dataset(("", "a"), references=True), FILES).wrong(0) is None


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("a man walks", "walks"),
        ("He WALKS", "walks"),
        ("sleepwalks at night", ""),
        ("he walks on his hands", "walks on his hands"),
        ("", ""),
    ],
)
def test_an_action_is_a_whole_word_and_the_longest_counts(caption, found):
    assert action_in(caption, ("walks", "walks on his hands")) == found


def test_words_are_read_from_a_text_with_commas():
    assert action_words(" walks, jumps over ,, walks") == ("walks", "jumps over")


@pytest.mark.parametrize(
    ("group_by", "words", "clips", "sentence"),
    [
        ("by hand", (), SET, "group_by is 'by hand'; choose one of reference files, sub-folder, action word"),
        (FILES, (), SET, "clips without a reference: clip 0 and 3 more; AICL learns from references, so put"),
        (BY_FOLDER, (), (*SET, ("", "x")), "clips in no sub-folder: clip 4; AICL learns from references, so put"),
        (BY_WORD, (), SET, "no action word is given"),
        (BY_WORD, ("walks",), SET, "clips without an action word in the caption: clip 1 and 1 more;"),
        (BY_FOLDER, (), SET[:3], "the action jump has one clip"),
    ],
)
def test_sets_in_which_a_clip_has_no_reference_are_refused(group_by, words, clips, sentence):
    with pytest.raises(ValueError, match=sentence):
        group_clips(dataset(*clips), group_by, words)


def test_thousands_of_clips_of_one_action_share_their_list():
    count = 4000
    clips = [str(i) for i in range(count)]
    clips[17] = clips[3]  # a copy
    choices = choices_of(clips, ["walks"] * count)
    assert len({id(one.members) for one in choices}) == 1
    assert [len(choices[i]) for i in (0, 3, 17)] == [count - 1, count - 2, count - 2]
    assert list(choices[3]) == [i for i in range(count) if i not in (3, 17)]
    assert (choices[3][0], choices[3][3], choices[3][16], choices[3][-1]) == (0, 4, 18, count - 1)
    assert choices[0][:2] == [1, 2]


@pytest.mark.parametrize(
    "keys", [["a", "b", "c"], ["a", "b"], ["a"], ["a", "a", "b", "c"], ["a", "b", "a"], [str(i) for i in range(12)]]
)
def test_the_text_of_a_grouping_is_that_of_its_tuples_by_which_earlier_runs_are_known(keys):
    actions = ("walks",) * len(keys)
    tuples = tuple(tuple(i for i, other in enumerate(keys) if other != key) for key in keys)
    found = Groups(choices_of(keys, actions), actions)
    assert found.choices == tuples
    assert "".join(found.pieces()) == "".join(Groups(tuples, actions).pieces()) == repr(Groups(tuples, actions))
