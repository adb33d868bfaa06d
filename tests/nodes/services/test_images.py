"""Clips on IMAGE and VIDEO sockets: a VIDEO that is a file is read as the file says, not as the host's rate says."""

from __future__ import annotations

import io
import logging
from fractions import Fraction

import numpy as np
import pytest
import torch
from comfy_api.latest import InputImpl, Types
from odd_clips import levels_off, picture, write_clip

from pack.nodes.dataset import FewShotDatasetClip
from pack.nodes.host.services import images
from pack.nodes.host.services.images import connected_frames
from pack.training.data import footage

TIMES = [0, 40, 80, 120, 160, 600, 640, 680, 720, 1200]  # milliseconds


def greys(count=10):
    return [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(count)]


def numbers(frames):
    return [round(float(frame.mean()) * 255 / 20) for frame in frames]


def add(target, **inputs):
    with torch.inference_mode():
        return FewShotDatasetClip.execute(target, "a clip", **inputs).result[0]


@pytest.fixture(params=["path", "bytes"])
def uneven(request, tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=greys(), times=TIMES, fps=25)
    return InputImpl.VideoFromFile(str(path) if request.param == "path" else io.BytesIO(path.read_bytes()))


def test_a_video_file_with_uneven_times_is_taken_by_them(uneven):
    first = add(torch.rand(4, 48, 64, 3), fps=10.0)
    dataset = add(uneven, dataset=first, condition=uneven)
    nearest = [min(range(10), key=lambda i: abs(TIMES[i] - 100 * k)) for k in range(12)]
    assert numbers(dataset[1].target.frames())[:12] == nearest
    assert nearest[:6] == [0, 2, 4, 4, 5, 5]  # spread evenly they would be 0 1 2 2 3 4
    assert numbers(dataset[1].conditions[0].frames())[:4] == [0, 2, 4, 4]
    assert "uneven frame times (40 to 480 ms a frame), taken by them at 10 fps" in dataset.report


def test_a_video_file_alone_brings_its_own_mean_rate(uneven):
    dataset = add(uneven)
    assert dataset.fps == pytest.approx(10 / 1.24, rel=0.01)  # ten frames, the last one shown for 40 ms


def test_a_video_file_is_probed_once(uneven, monkeypatch, caplog):
    calls = []
    probe = footage.probe_content
    for module in (footage, images):
        monkeypatch.setattr(module, "probe_content", lambda *given: calls.append(1) or probe(*given))
    with caplog.at_level(logging.INFO):
        connected_frames(uneven, 5.0)
    assert len(calls) == 1
    assert "is taken at the LoRA's 5 fps" in caplog.text


def test_a_trimmed_video_file_is_read_in_its_window(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=greys(), fps=10)
    video = InputImpl.VideoFromFile(str(path)).as_trimmed(0.3, 0.4, strict_duration=False)
    assert numbers(add(video)[0].target.frames()) == [3, 4, 5, 6]
    late = InputImpl.VideoFromFile(str(path)).as_trimmed(-0.3, 0, strict_duration=False)
    assert numbers(add(late)[0].target.frames()) == [7, 8, 9]


def test_the_rate_of_a_second_image_batch_is_respected():
    first = add(torch.rand(33, 32, 32, 3), fps=16.0)
    second = add(torch.rand(99, 32, 32, 3), dataset=first, fps=48.0)
    assert len(second[1].target.frames()) == 33
    assert "48 → 16 fps, 99 → 33 frames" in second.report


def test_colours_of_an_hd_video_file_are_those_of_players(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=[picture(1280, 720)] * 2, matrix="bt709")
    dataset = add(InputImpl.VideoFromFile(str(path)))
    assert levels_off(dataset[0].target.frames()[0].numpy() * 255) <= 2
    assert "untagged colours read as BT.709 (HD)" in dataset.report


def test_a_cut_off_video_file_is_told_at_the_node(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8)
    path = write_clip(tmp_path / "a.mkv", frames=list(noise), fps=20)
    path.write_bytes(path.read_bytes()[: int(0.8 * path.stat().st_size)])
    assert "it is cut off: 2." in add(InputImpl.VideoFromFile(str(path))).report


@pytest.mark.parametrize("name", ["a.qt", "a.f4v", "a", "a.mp4.part"])
def test_a_file_on_a_socket_is_known_by_its_content(tmp_path, name):
    path = write_clip(tmp_path / "a.mov", frames=greys(), times=TIMES, fps=25).rename(tmp_path / name)
    video = InputImpl.VideoFromFile(str(path))
    dataset = add(video, condition=video)
    assert "uneven frame times" in dataset.report
    assert len(connected_frames(video)) == 10


@pytest.mark.parametrize(("name", "codec"), [("a.flv", "flv"), ("a.wmv", "wmv2")])
def test_a_container_that_only_the_host_reads_is_left_to_it_and_named(tmp_path, name, codec):
    path = write_clip(tmp_path / name, codec, greys(), fps=10, options={"b": "4M"})
    for source in (str(path), io.BytesIO(path.read_bytes())):
        dataset = add(InputImpl.VideoFromFile(source))
        assert numbers(dataset[0].target.frames()) == list(range(10))
        assert dataset.fps == pytest.approx(10)
        assert "read by ComfyUI" in dataset.report


def test_frames_resampled_by_the_widget_are_named_in_report_and_log(caplog):
    first = add(torch.rand(8, 32, 32, 3), fps=8.0)
    second = add(torch.rand(8, 32, 32, 3), dataset=first, condition=torch.rand(1, 32, 32, 3), fps=16.0)
    assert len(second[1].target.frames()) == 4
    assert "taken for 16 fps because fps says so, and the dataset has 8" in second.report
    assert [r.levelname for r in caplog.records if "because fps says so" in r.message] == ["WARNING"]
    caplog.clear()
    assert "fps says so" not in add(torch.rand(8, 32, 32, 3), dataset=first, fps=8.0).report
    assert not caplog.records


def test_what_is_transparent_is_never_seen_by_the_network(caplog):
    clip = torch.ones(2, 16, 16, 4) * torch.tensor([1.0, 0.0, 1.0, 0.0])
    clip[:, :4, :, 3] = 1
    with caplog.at_level(logging.INFO):
        video = InputImpl.VideoFromComponents(Types.VideoComponents(images=clip, frame_rate=Fraction(8)))
        for value in (clip, video):
            shown = connected_frames(value)
            assert shown.shape == (2, 16, 16, 3)
            assert shown[0, 8, 8].tolist() == [0, 0, 0]
            assert shown[0, 0, 0].tolist() == [1, 0, 1]
    assert "a condition is transparent, laid over black" in caplog.text
