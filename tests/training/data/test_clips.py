"""Clips from tensors and files."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from pack.methods.frames import resize
from pack.training.data import clips
from pack.training.data.clips import FileClip, TensorClip, fit, resample


def test_a_file_clip_gives_float_frames_of_the_wanted_size_and_number(tmp_path, write_video):
    frames = FileClip(write_video(tmp_path / "a.mp4", size=(96, 48)), 32, 32, 9, 10).frames()
    assert frames.shape == (9, 32, 32, 3)
    assert frames.dtype == torch.float32
    assert frames.mean((1, 2, 3)).mul(25.5).round().int().tolist() == list(range(9))


def test_decoding_twice_gives_the_same_bytes(tmp_path, write_video):
    clip = FileClip(write_video(tmp_path / "a.mp4", size=(50, 34)), 32, 32, 5, 10)
    assert torch.equal(clip.frames(), clip.frames())


def test_a_clip_that_is_too_short_says_what_it_has_and_what_is_needed(tmp_path, write_video):
    path = write_video(tmp_path / "short.mp4", frames=20, fps=10)
    with pytest.raises(ValueError, match=r"short\.mp4 is too short: it has 10 frames at 5 fps, 11 are needed"):
        FileClip(path, 32, 32, 11, 5)


def test_a_picture_is_a_clip_of_one_frame_at_any_rate(tmp_path, write_picture):
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    clip = FileClip(write_picture(tmp_path / "a.png", picture), 32, 24, None, 16)
    assert torch.equal(clip.frames(), torch.from_numpy(picture)[None].float() / 255)


def test_the_key_of_a_file_follows_its_content_and_the_settings(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4")
    key = FileClip(path, 32, 32, 9, 10).key()
    assert FileClip(path, 32, 32, 9, 10).key() == key
    others = [FileClip(path, 48, 32, 9, 10), FileClip(path, 32, 32, 8, 10), FileClip(path, 32, 32, 9, 5)]
    assert key not in [clip.key() for clip in others]
    os.utime(path, ns=(1, 1))
    assert FileClip(path, 32, 32, 9, 10).key() == key  # touched


def test_the_key_of_a_folder_follows_every_picture(tmp_path, write_picture):
    for i in range(3):
        write_picture(tmp_path / "walk" / f"{i}.png", np.zeros((16, 16, 3), np.uint8))
    clip = FileClip(tmp_path / "walk", 16, 16, None, 10)
    key = clip.key()
    write_picture(tmp_path / "walk" / "1.png", np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    assert clip.key() != key


def test_a_check_decodes_an_unchanged_file_once(tmp_path, write_video, monkeypatch):
    from pack.training.data.media import known

    def frames(count):
        return iter(np.zeros((count, 4, 4, 3), np.uint8))

    path, decoded = write_video(tmp_path / "a.mp4"), []
    monkeypatch.setattr(
        known, "read_frames", lambda path, _info, _fps, count, *_: decoded.append(path) or frames(count)
    )
    for size in (32, 48):
        FileClip(path, size, size, 9, 10).check()
    assert decoded == [path]
    os.utime(path, ns=(1, 1))
    FileClip(path, 32, 32, 9, 10).check()
    assert decoded == [path, path]
    monkeypatch.setattr(known, "read_frames", lambda *_: frames(3))
    with pytest.raises(ValueError, match=r"a\.mp4 decodes only to 3 of 8 frames; re-encode"):
        FileClip(path, 32, 32, 8, 10).check()


def test_a_clip_knows_its_length_or_is_decoded_for_it(tmp_path, write_video):
    from pack.training.data.clips import clip_length

    class Bare:
        def frames(self):
            return torch.zeros(4, 8, 8, 3)

        def key(self):
            return "bare"

    assert clip_length(FileClip(write_video(tmp_path / "a.mp4"), 16, 16, 9, 10)) == 9
    assert clip_length(TensorClip(torch.zeros(3, 8, 8, 3))) == 3
    assert clip_length(Bare()) == 4


def test_a_tensor_clip_keeps_eight_bits_and_is_told_by_its_pixels():
    pixels = torch.randint(0, 256, (3, 8, 8, 3), generator=torch.Generator().manual_seed(0))
    clip = TensorClip(pixels.float() / 255)
    assert torch.equal(clip.frames() * 255, pixels.float())
    assert clip.key() == TensorClip(pixels.to(torch.uint8)).key()
    pixels[0, 0, 0, 0] ^= 1
    assert clip.key() != TensorClip(pixels.float() / 255).key()


def test_a_tensor_clip_drops_alpha_and_survives_inference_mode():
    with torch.inference_mode():
        clip = TensorClip(torch.ones(2, 8, 8, 4))
    frames = clip.frames()
    assert frames.shape == (2, 8, 8, 3)
    assert not frames.is_inference()


@pytest.mark.parametrize("shape", [(8, 8, 3), (2, 8, 8, 1), (0, 8, 8, 3)])
def test_frames_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"needs frames of shape \[T, H, W, 3\]"):
        TensorClip(torch.zeros(shape))


def test_a_fitting_size_is_left_as_it_is():
    frames = torch.rand(2, 16, 24, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(fit(frames, 24, 16), frames)


def test_a_wide_picture_is_cropped_around_its_centre():
    frames = torch.zeros(1, 16, 32, 3)
    frames[:, :, 8:24] = 1
    assert torch.equal(fit(frames, 16, 16), torch.ones(1, 16, 16, 3))


@pytest.mark.parametrize(("width", "height"), [(33, 16), (16, 33), (35, 16), (57, 41), (40, 75), (7, 9)])
def test_training_and_sampling_cut_the_same_picture_alike(width, height):
    frames = torch.rand(2, height, width, 3, generator=torch.Generator().manual_seed(0))
    fitted = fit(frames, 16, 16)
    assert torch.equal(fitted, resize(frames, 16, 16, "crop"))
    if 16 in (width, height):  # nothing to scale: the middle, with the odd line cut off at its end
        top, left = (height - 16) // 2, (width - 16) // 2
        assert torch.equal(fitted, frames[:, top : top + 16, left : left + 16])


def test_shrinking_averages_instead_of_skipping_pixels():
    stripes = (torch.arange(64) % 4 == 0).float().expand(1, 64, 64)
    small = fit(stripes[..., None].expand(1, 64, 64, 3), 16, 16)
    torch.testing.assert_close(small[:, 2:-2, 2:-2], torch.full((1, 12, 12, 3), 0.25), atol=0.02, rtol=0)


def test_enlarging_stays_within_range():
    frames = torch.zeros(1, 8, 8, 3)
    frames[:, :, 4:] = 1
    large = fit(frames, 40, 32)
    assert large.shape == (1, 32, 40, 3)
    assert large.min() >= 0
    assert large.max() <= 1


def test_frames_in_memory_are_resampled_to_the_nearest_in_time():
    frames = torch.arange(90.0)
    assert torch.equal(resample(frames, 30, 10), torch.arange(0, 90, 3.0))
    assert len(resample(frames, 30, 16)) == 48
    assert resample(torch.arange(4.0), 8, 16).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("rate", [2.8e-121, 1e-9, 0.01])
def test_a_rate_that_would_repeat_frames_without_end_is_refused(rate):
    with pytest.raises(ValueError, match=r"^the clip has .*, to bring it to 16 .*; set its rate to what it was"):
        resample(torch.arange(9.0), rate, 16)
    assert len(resample(torch.arange(2.0), 1 / 60, 16)) == 1920


def test_a_background_is_laid_where_the_frames_are(monkeypatch):
    monkeypatch.setattr(clips, "has_transparency", lambda _frames: True)  # of the meta device nothing can be asked
    laid = clips.over_background(torch.empty(2, 8, 8, 4, device="meta"), "white")
    assert laid.device.type == "meta"
    assert laid.shape == (2, 8, 8, 3)
