"""One video of several parts: every frame of theirs, at even times."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from pack.training.storage.joined_video import join_videos
from pack.training.storage.video_file import write_video


def read(path: Path) -> tuple[np.ndarray, list[int], float]:
    """Pictures, their times in ticks, and how many ticks a second has."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
        return pictures, [frame.pts for frame in frames], 1 / frames[0].time_base


@pytest.mark.parametrize("fps", [16.0, 24.0])
@pytest.mark.parametrize("counts", [(8, 4, 3), (2, 4, 4), (1, 1, 2, 8), (1, 5, 2, 1, 9), (3,)])
def test_a_joined_video_has_all_frames_of_its_parts_at_even_times(counts, fps, tmp_path):
    noise = torch.Generator().manual_seed(7)
    clips = [torch.rand(count, 32, 32, 3, generator=noise) for count in counts]
    parts = [write_video(clip, tmp_path / f"{i}.mp4", fps) for i, clip in enumerate(clips)]
    pictures, times, ticks = read(join_videos(parts, tmp_path / "joined.mp4"))
    assert np.array_equal(pictures, np.concatenate([read(part)[0] for part in parts]))
    assert times == [round(i * ticks / fps) for i in range(sum(counts))]


def test_a_part_whose_last_frame_is_not_its_last_packet_is_as_long_as_its_frames(tmp_path):
    noise = torch.Generator().manual_seed(7)
    part = write_video(torch.rand(3, 32, 32, 3, generator=noise), tmp_path / "part.mp4", 16.0)
    with av.open(str(part)) as container:
        stream = container.streams.video[0]
        if [packet.pts for packet in container.demux(stream)][2] == 2048:
            pytest.skip("this encoder writes the frames in their order")
    assert read(join_videos([part] * 3, tmp_path / "joined.mp4"))[1] == [1024 * i for i in range(9)]


def test_nothing_is_joined_of_no_parts(tmp_path):
    with pytest.raises(ValueError, match="no parts to join; give at least one video"):
        join_videos([], tmp_path / "joined.mp4")
    assert not list(tmp_path.iterdir())
