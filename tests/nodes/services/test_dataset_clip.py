"""The part of a clip of the graph that is learned: rate, start, frames and size, of VIDEOs and IMAGE batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from comfy_api.latest import InputImpl
from odd_clips import write_clip

from pack.nodes.dataset import FewShotDatasetClip
from pack.training.data import footage


def counted(count=40):
    """Frames whose brightness is their number."""
    return [np.full((48, 64, 3), 6 * i, np.uint8) for i in range(count)]


def numbers(dataset):
    return [round(float(frame.mean()) * 255 / 6) for frame in dataset[0].target.frames()]


def add(target, **inputs):
    with torch.inference_mode():
        return FewShotDatasetClip.execute(target, "a clip", **inputs).result[0]


@pytest.fixture
def video(tmp_path):
    """Four seconds at 10 frames a second."""
    return InputImpl.VideoFromFile(str(write_clip(tmp_path / "a.mp4", frames=counted(), fps=10)))


@pytest.fixture(params=["video", "images"])
def clip(request, video):
    """The same clip as a VIDEO, and as an IMAGE batch with its rate."""
    if request.param == "video":
        return video, {}
    return torch.from_numpy(np.stack(counted())).float() / 255, {"fps": 10.0}


def test_a_part_is_taken_at_the_wanted_rate(clip):
    target, told = clip
    dataset = add(target, resample_to=5.0, start=1.0, frames=4, **told)
    assert numbers(dataset) == [10, 12, 14, 16]
    assert dataset.fps == 5.0


def test_what_is_left_at_zero_stays_as_it_was(clip):
    target, told = clip
    dataset = add(target, **told)
    assert numbers(dataset) == list(range(40))
    assert (dataset.fps, dataset.width, dataset.height) == (10.0, 64, 48)


def test_a_size_crops_around_the_centre(clip):
    target, told = clip
    dataset = add(target, width=32, height=32, frames=2, **told)
    assert (dataset.width, dataset.height) == (32, 32)
    assert list(dataset[0].target.frames().shape) == [2, 32, 32, 3]


def test_a_clip_that_is_too_short_is_taken_and_the_report_says_so(clip):
    target, told = clip
    dataset = add(target, start=3.0, frames=20, **told)
    assert numbers(dataset) == list(range(30, 40))
    assert "10 frames, not the 20 asked for" in dataset.report


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"start": 9.0}, "no frame from 9"),
        ({"width": 32}, "width is 32 and height is 0; set both"),
        ({"resample_to": 8.0, "dataset": 5.0}, "dataset has 5 frames a second and resample_to is 8"),
        ({"width": 32, "height": 32, "dataset": 5.0}, "dataset has 64x48 pixels and this clip asks for 32x32"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(clip, inputs, message):
    target, told = clip
    if "dataset" in inputs:
        inputs = {**inputs, "dataset": add(torch.rand(3, 48, 64, 3), fps=inputs["dataset"])}
    with pytest.raises(ValueError, match=message):
        add(target, **inputs, **told)


def test_a_later_clip_is_brought_to_the_connected_dataset(video):
    first = add(torch.rand(3, 48, 64, 3), fps=5.0)
    dataset = add(video, dataset=first, start=1.0, frames=2)
    assert [round(float(frame.mean()) * 255 / 6) for frame in dataset[1].target.frames()] == [10, 12]


def test_nothing_after_the_part_is_decoded(video, monkeypatch):
    decoded = []
    timed = footage.timed_frames

    def counting(*given):
        for frame in timed(*given):
            decoded.append(frame[0])
            yield frame

    monkeypatch.setattr(footage, "timed_frames", counting)
    add(video, start=0.5, frames=3)
    assert len(decoded) < 12  # of 40
