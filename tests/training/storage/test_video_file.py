"""Videos for the browser."""

from __future__ import annotations

import pytest
import torch
from odd_clips import picture, to_yuv

from pack.training.storage.video_file import write_video

av = pytest.importorskip("av")


def gradient(frames: int, height: int, width: int) -> torch.Tensor:
    """Frames that grow brighter, all of one colour."""
    return torch.linspace(0.1, 0.9, frames)[:, None, None, None].expand(frames, height, width, 3)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 49)])
def test_frames_are_read_again_at_their_rate(tmp_path, height, width):
    frames = gradient(9, height, width)
    path = write_video(frames, tmp_path / "samples" / "a.mp4", 12.0)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == 12.0
        found = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(found) == 9
    assert found[0].shape == (32, 48, 3)
    read = torch.stack([torch.from_numpy(image).float().mean() / 255 for image in found])
    torch.testing.assert_close(read, frames[:, 0, 0, 0], atol=0.02, rtol=0)


def test_a_rate_that_is_no_whole_number_is_kept(tmp_path):
    path = write_video(gradient(4, 16, 16), tmp_path / "a.mp4", 23.976)
    with av.open(str(path)) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(23.976, rel=1e-3)


def test_numbers_outside_the_range_are_clamped(tmp_path):
    path = write_video(gradient(2, 16, 16) * 9 - 4, tmp_path / "a.mp4", 8.0)
    with av.open(str(path)) as container:
        means = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    assert means[0] < 8
    assert means[1] > 247


@pytest.mark.parametrize(
    ("frames", "fps"), [(gradient(0, 16, 16), 8.0), (gradient(2, 1, 16), 8.0), (gradient(2, 16, 16), 0.0)]
)
def test_nothing_to_show_is_refused_and_leaves_nothing(tmp_path, frames, fps):
    with pytest.raises(ValueError, match="give at least one frame of 2x2 pixels and a rate above 0"):
        write_video(frames, tmp_path / "a.mp4", fps)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("size", "matrix", "number"), [((64, 48), "bt601", 6), ((1280, 720), "bt709", 1)])
def test_colours_are_tagged_and_are_what_the_tag_says(tmp_path, size, matrix, number):
    given = picture(*size)
    path = write_video(torch.from_numpy(given).float()[None].div(255).repeat(2, 1, 1, 1), tmp_path / "a.mp4", 8)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        context = container.streams.video[0].codec_context
    assert [int(v) for v in (frame.colorspace, frame.color_range, context.color_primaries)] == [number, 1, 1]
    luma = frame.to_ndarray()[: size[1]]
    assert abs(int(luma[4, 4]) - int(to_yuv(given, matrix)[4, 4])) <= 1
