"""Datasets in memory."""

from __future__ import annotations

import pytest
import torch

from pack.training.data.buckets import Bucket
from pack.training.data.clips import TensorClip
from pack.training.data.dataset import Dataset, Footage, Sample, add_footage


def grey(level: float, frames: int = 4, width: int = 32, height: int = 16) -> Footage:
    return Footage(torch.full((frames, height, width, 3), level))


def test_the_first_clip_decides_size_and_rate():
    dataset = add_footage(None, grey(0.5), " a cat ", [grey(0.2, 1)], fps=12)
    assert (dataset.width, dataset.height, dataset.fps, len(dataset)) == (32, 16, 12, 1)
    assert dataset[0].caption == "a cat"
    assert dataset[0].conditions[0].frames().shape == (1, 16, 32, 3)


def test_further_clips_are_cropped_to_the_size_of_the_first():
    dataset = add_footage(None, grey(0.5), "a cat")
    larger = add_footage(dataset, grey(0.5, width=64, height=64), "a dog", reference=grey(0.1, width=20, height=40))
    assert larger[1].target.frames().shape == (4, 16, 32, 3)
    assert larger[1].reference.frames().shape == (4, 16, 32, 3)
    assert len(dataset) == 1


def test_footage_with_a_rate_is_resampled_to_the_rate_of_the_dataset():
    dataset = add_footage(None, Footage(grey(0.5).frames, fps=8.0), "a cat")
    assert dataset.fps == 8
    dataset = add_footage(dataset, Footage(grey(0.5, 8).frames, fps=16.0), "a dog", [grey(0.5, 8)])
    assert len(dataset[1].target.frames()) == 4
    assert len(dataset[1].conditions[0].frames()) == 8  # an IMAGE batch has no rate of its own


@pytest.mark.parametrize(("caption", "width", "message"), [(" ", 32, "caption is empty"), ("a", 8, "at least 16")])
def test_what_cannot_be_learned_is_refused(caption, width, message):
    with pytest.raises(ValueError, match=message):
        add_footage(None, grey(0.5, width=width), caption)


def test_a_sample_that_is_not_there_is_refused_with_the_range():
    dataset = add_footage(None, grey(0.5), "a cat")
    for index in (1, -1):
        with pytest.raises(ValueError, match=r"sample -?1 was asked for, the dataset has 1; use 0 to 0"):
            dataset[index]


def test_the_key_follows_pixels_captions_and_roles():
    clip, other = TensorClip(torch.zeros(2, 16, 16, 3)), TensorClip(torch.ones(2, 16, 16, 3))

    def key(**changes):
        sample = Sample(**{"target": clip, "caption": "a", "conditions": (other,), **changes})
        return Dataset((sample,), 16, 16, 16, report="").key()

    keys = [
        key(),
        key(caption="b"),
        key(target=other),
        key(conditions=()),
        key(conditions=(), reference=other),
        key(conditions=(), reference=other, reference_caption="c"),
        key(fps=8.0),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == key(name="another name")


def test_appending_leaves_the_old_dataset_alone_and_says_so_in_the_report():
    dataset = Dataset((), 16, 16, 16, report="start", extra={"task": "keyframes"})
    larger = dataset.with_sample(Sample(TensorClip(torch.zeros(2, 16, 16, 3)), "a", name="one"))
    assert (len(dataset), len(larger)) == (0, 1)
    assert larger.report == "start\none: added"
    assert larger.extra == {"task": "keyframes"}


def test_buckets_are_counted_and_the_fullest_comes_first():
    def sample(frames, size=None):
        return Sample(TensorClip(torch.zeros(frames, 16, 16, 3)), "a ball", size=size)

    dataset = Dataset((sample(5), sample(9, (32, 16)), sample(9), sample(9, (32, 16))), 16, 16, 16, "")
    assert list(dataset.buckets().items()) == [(Bucket(32, 16, 9), 2), (Bucket(16, 16, 5), 1), (Bucket(16, 16, 9), 1)]


def test_an_added_clip_with_half_of_the_tags_is_reported():
    frames = Footage(torch.zeros(3, 16, 16, 3))
    dataset = add_footage(None, frames, "a ball [VIDEO] rolls")
    assert "clip 1: added; its caption's tags are incomplete, write [CONDITION]" in dataset.report
    assert add_footage(None, frames, "a ball").report == "clip 1: added"
