"""The five tasks: which frames of which source fill which latents, and their captions."""

from __future__ import annotations

import re

import pytest
import torch

from pack.methods import tic_ft_tasks as tasks
from pack.methods.tic_ft import latent_frames, pixel_frames


def clip(frames: int, first: float = 0.0) -> torch.Tensor:
    """Frames that carry their own number."""
    return (first + torch.arange(frames, dtype=torch.float32)).view(-1, 1, 1, 1).expand(-1, 2, 2, 3)


def numbers(frames: torch.Tensor) -> list[float]:
    return frames[:, 0, 0, 0].tolist()


def latents(segments: list[torch.Tensor], compression: int = 4) -> list[int]:
    return [latent_frames(len(segment), compression) for segment in segments]


# task, sources, latents of each segment: the table of the published frame layouts.
LAYOUTS = [
    ("image to video", [clip(1)], [4]),
    ("video to video", [clip(25)], [7]),
    ("keyframes", [clip(4)], [1, 1, 1, 4]),
    ("keyframes", [clip(1), clip(1), clip(1), clip(1)], [1, 1, 1, 4]),
    ("keyframes", [clip(3)], [2, 1, 4]),
    ("multiple images", [clip(1), clip(1)], [3, 4]),
    ("multiple images", [clip(1), clip(1), clip(1)], [2, 1, 4]),
    ("multiple images", [clip(1)], [7]),
    ("action transfer", [clip(21), clip(1)], [6, 1]),
    ("custom", [clip(9), clip(1)], [3, 1]),
]


@pytest.mark.parametrize(("task", "images", "expected"), LAYOUTS)
def test_a_tasks_segments_fill_its_condition_and_buffer_latents(task, images, expected):
    kind = tasks.TASKS[task]
    segments = tasks.arrange(task, images, kind.condition, kind.buffer)
    assert latents(segments) == expected
    assert sum(expected) == kind.condition + kind.buffer
    assert all(len(segment) == pixel_frames(n) for segment, n in zip(segments, expected, strict=True))


def test_the_counts_of_the_tasks_are_those_of_the_paper():
    counts = {name: (task.condition, task.buffer) for name, task in tasks.TASKS.items()}
    assert counts == {
        "image to video": (1, 3),
        "video to video": (4, 3),
        "keyframes": (4, 3),
        "multiple images": (4, 3),
        "action transfer": (7, 0),
        "custom": (1, 3),
    }


@pytest.mark.parametrize("compression", [1, 4, 8])
@pytest.mark.parametrize("task", list(tasks.TASKS))
def test_any_counts_that_hold_the_sources_are_filled_exactly(task, compression):
    sources = {"image": [1], "clip": [9], "images": [1, 1], "clip and image": [9, 1], "anything": [1]}
    images = [clip(frames) for frames in sources[tasks.TASKS[task].reads]]
    for condition in (2, 3, 7):
        for buffer in (0, 1, 5):
            segments = tasks.arrange(task, images, condition, buffer, compression)
            assert sum(latents(segments, compression)) == condition + buffer
            assert len(tasks.join(segments, compression)) == pixel_frames(condition + buffer, compression)


@pytest.mark.parametrize("task", list(tasks.TASKS))
def test_no_condition_and_no_buffer_ask_for_nothing(task):
    assert tasks.arrange(task, [], 0, 0) == []


@pytest.mark.parametrize(
    ("task", "lengths", "used"),
    [
        ("image to video", [1], [1]),
        ("video to video", [9], [9]),
        ("video to video", [49], [25]),
        ("keyframes", [3, 1], [3, 1]),
        ("action transfer", [30, 1], [21, 1]),
        ("custom", [7, 6], [5, 6]),
    ],
)
def test_the_frames_used_of_a_source_are_those_that_its_segment_shows(task, lengths, used):
    counts = (4, 3) if task == "custom" else (tasks.TASKS[task].condition, tasks.TASKS[task].buffer)
    assert tasks.used_frames(task, lengths, *counts) == used
    if tasks.TASKS[task].reads != "images":
        segments = tasks.arrange(task, [clip(length, 1.0) for length in lengths], *counts)
        assert [len(set(numbers(segment))) for segment in segments] == used


def test_without_condition_latents_no_frame_is_used():
    assert tasks.used_frames("video to video", [25], 0, 0) == [0]


def test_an_image_is_repeated_over_thirteen_frames():
    (segment,) = tasks.arrange("image to video", [clip(1, 5.0)], 1, 3)
    assert numbers(segment) == [5.0] * 13


def test_a_long_clip_loses_its_end_and_a_short_one_holds_its_last_frame():
    (long,) = tasks.arrange("video to video", [clip(40)], 4, 3)
    assert numbers(long) == list(range(25))
    (short,) = tasks.arrange("video to video", [clip(10)], 4, 3)
    assert numbers(short) == [*range(10), *[9.0] * 15]


def test_every_keyframe_has_a_clean_latent_and_the_last_fills_the_buffers():
    segments = tasks.arrange("keyframes", [clip(2, 10.0), clip(2, 20.0)], 4, 3)
    assert [numbers(segment) for segment in segments] == [[10.0], [11.0], [20.0], [21.0] * 13]


def test_the_action_fills_six_latents_and_the_new_scene_the_rest():
    action, scene = tasks.arrange("action transfer", [clip(30), clip(1, 50.0)], 7, 0)
    assert numbers(action) == list(range(21))
    assert numbers(scene) == [50.0]
    _, with_buffers = tasks.arrange("action transfer", [clip(30), clip(1, 50.0)], 7, 3)
    assert latent_frames(len(with_buffers)) == 4


def test_custom_sources_come_as_they_are_and_the_last_one_goes_on():
    segments = tasks.arrange("custom", [clip(5), clip(1, 9.0)], 3, 3)
    assert numbers(segments[0]) == list(range(5))
    assert numbers(segments[1]) == [9.0] * 13


def test_a_joint_clip_shows_later_segments_longer_on_their_first_frame():
    joined = tasks.join([clip(5), clip(5, 100.0)])
    assert numbers(joined) == [*range(5), 100.0, 100.0, 100.0, *range(100, 105)]
    assert torch.equal(tasks.join([clip(13)]), clip(13))


REFUSED = [
    (
        "image to video", [], 1, 3,
        "'image to video' got no condition; connect one image to `condition`, or set both counts to 0",
    ),
    (
        "image to video", [clip(1), clip(1)], 1, 3,
        "'image to video' got 2 condition(s) with 1 frame, 1 frame; connect one image to `condition`",
    ),
    (
        "image to video", [clip(9)], 1, 3,
        "'image to video' got 1 condition(s) with 9 frames; connect one image to `condition`",
    ),
    (
        "video to video", [clip(1)], 4, 3,
        "'video to video' got 1 condition(s) with 1 frame; connect one clip of at least 2 frames to "
        "`condition`",
    ),
    (
        "action transfer", [clip(21)], 7, 0,
        "'action transfer' got 1 condition(s) with 21 frames; connect a clip to `condition` and the first "
        "frame of the new scene to `condition_2` (2 condition latents or more)",
    ),
    (
        "action transfer", [clip(21), clip(1)], 1, 0,
        "'action transfer' got 2 condition(s) with 21 frames, 1 frame; connect a clip to `condition` and the "
        "first frame of the new scene to `condition_2` (2 condition latents or more)",
    ),
    (
        "keyframes", [clip(5)], 4, 3,
        "'keyframes' got 5 images for 4 condition latents and each needs one of its own; pick up to 4 frames",
    ),
    (
        "custom", [clip(21)], 1, 3,
        "'custom' got conditions of 6 latents for 4 condition and buffer latents; raise condition_latents or "
        "shorten the clips",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("task", "images", "condition", "buffer", "sentence"), REFUSED)
def test_sources_that_do_not_suit_a_task_are_refused_in_one_sentence(task, images, condition, buffer, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        tasks.arrange(task, images, condition, buffer)


@pytest.mark.parametrize(("task", "images", "said"), [
    ("image to video", [clip(9)], "give one image as NAME.condition.<ext>"),
    ("video to video", [clip(1)], "give one clip of at least 2 frames as NAME.condition.<ext>"),
    ("action transfer", [clip(21)], "a clip as NAME.condition.<ext> and the first frame of the new scene as NAME."),
    ("action transfer", [clip(21)], "NAME.condition_2.<ext>"),
    ("keyframes", [], "give images as a folder NAME.condition, or as NAME.condition.<ext> and so on"),
])  # fmt: skip
def test_conditions_that_come_from_files_are_asked_for_by_their_names(task, images, said):
    with pytest.raises(ValueError, match=re.escape(said)) as refused:
        tasks.arrange(task, images, 4, 3, places=tasks.FILES)
    assert "`" not in str(refused.value)


@pytest.mark.parametrize("task", list(tasks.TASKS))
def test_a_caption_holds_both_texts_with_their_tags(task):
    text = tasks.caption(task, " a red disc ", "it\n moves left")
    assert "[CONDITION] a red disc [VIDEO] it moves left" in text
    assert text == " ".join(text.split())


def test_a_task_fills_in_for_an_empty_condition_text():
    assert "[CONDITION] a still image [VIDEO] it moves" in tasks.caption("image to video", "", "it moves")


def test_a_whole_caption_is_left_alone_and_a_template_stands_in():
    whole = "mine [CONDITION] x [VIDEO] y"
    assert tasks.caption("image to video", "other", whole) == whole
    assert tasks.caption("custom", "a", "b", "{target} after {condition}") == "b after a"
