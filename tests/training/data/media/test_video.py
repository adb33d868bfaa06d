"""Videos: the track that is shown, whole frames, real times, and what is odd about a file."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from odd_clips import frame_of, levels_off, picture, write_clip

from pack.training.data.folder import read_folder
from pack.training.data.footage import Window, read_footage
from pack.training.data.media.decode import probe, read_frames
from pack.training.data.media.kinds import VIDEO_SUFFIXES

CODECS = {
    ".mp4": "libx264", ".m4v": "libx264", ".mov": "libx264", ".webm": "libvpx-vp9", ".mkv": "libx265",
    ".avi": "mpeg4", ".mts": "libx264", ".m2ts": "libx264", ".ts": "mpeg2video", ".3gp": "libx264",
    ".mpg": "mpeg2video", ".mpeg": "mpeg2video",
}  # fmt: skip


def steps(count=20, size=(64, 48)):
    """Grey frames that brighten by 10 levels each."""
    return [np.full((size[1], size[0], 3), 10 * i, np.uint8) for i in range(count)]


def numbers(path, fps, count=None):
    """Which source frames were taken, told by their brightness."""
    info = probe(path)
    return [round(float(f.mean()) / 10) for f in read_frames(path, info, fps, count or info.frames_at(fps))]


def look_at(folder, path, frames=4, fps=10):
    (folder / f"{path.stem}.txt").write_text("a clip")
    return read_folder(folder, 64, 48, frames, fps).report


@pytest.mark.parametrize("suffix", CODECS)
def test_every_frame_of_every_container_comes_in_order(tmp_path, suffix):
    options = {"bf": "2", "g": "8"} if CODECS[suffix] in ("mpeg4", "mpeg2video") else {}
    options |= {"b": "4M"} if options else {}
    options |= {"x265-params": "log-level=none"} if CODECS[suffix] == "libx265" else {}
    path = write_clip(tmp_path / f"a{suffix}", CODECS[suffix], steps(), fps=25, options=options)
    info = probe(path)
    assert info.frames == 20
    assert info.fps == pytest.approx(25, rel=0.01)
    assert numbers(path, 25) == list(range(20))


def with_b_frames(path, frames=None, **options):
    """H.264 whose frames are decoded in another order than they are shown in."""
    x264 = {"bf": "3", "g": "20", "x264-params": "b-adapt=0:b-pyramid=strict"}
    return write_clip(path, "libx264", steps() if frames is None else frames, fps=25, options=x264, **options)


def test_frames_of_a_container_without_times_of_display_come_in_order(tmp_path):
    path = with_b_frames(tmp_path / "a.avi")
    assert numbers(path, 25) == list(range(20))
    assert [round(float(frame.mean() * 25.5)) for frame in read_footage(path).frames] == list(range(20))


def test_a_gap_in_a_container_without_times_of_display_is_kept(tmp_path):
    times = [40 * i + (400 if i >= 10 else 0) for i in range(20)]

    def in_frames(_container, stream):
        stream.codec_context.time_base = Fraction(1, 25)

    path = with_b_frames(tmp_path / "a.avi", times=times, tune=in_frames)
    assert probe(path).duration == pytest.approx(1.2)
    taken = numbers(path, 25)
    assert len(taken) == 30
    assert taken == sorted(taken)
    assert {*taken} == {*range(20)}


def test_joined_recordings_whose_times_restart_are_read_in_order_and_told(tmp_path):
    options = {"b": "4M", "bf": "2", "g": "8"}
    path = write_clip(tmp_path / "a.mpg", "mpeg2video", steps(), fps=25, options=options)
    path.write_bytes(2 * path.read_bytes())
    info = probe(path)
    assert numbers(path, 25) == [*range(20), *range(20)]
    assert info.warnings == (
        "its times restart after frame 20, as in joined recordings; frames are taken one after the other at 25 fps",
    )


def test_frames_whose_times_fall_are_refused(tmp_path):
    """Remuxed from AVI, where a tool took the decoder's order for that of display."""
    import av

    path = tmp_path / "a.mkv"
    with av.open(str(with_b_frames(tmp_path / "a.avi"))) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts, packet.stream = packet.dts, stream
                out.mux(packet)
    with pytest.raises(ValueError, match=r"a\.mkv has frames in no order of time \(.* s comes after .* s\)"):
        numbers(path, 25)


def test_all_kinds_of_video_are_tried():
    assert {*CODECS} == {*VIDEO_SUFFIXES} - {".gif", ".apng"}


def two_tracks(path, first, second, flags=(1, 1)):
    """A file of two video tracks, with FFmpeg's disposition flags."""
    import av
    from av.stream import Disposition

    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=10, options={"crf": "4"}) for _ in range(2)]
        for stream, flag, frames in zip(streams, flags, (first, second), strict=True):
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt, stream.disposition = "yuv420p", Disposition(flag).value
        for pair in zip(first, second, strict=True):
            for stream, rgb in zip(streams, pair, strict=True):
                container.mux(stream.encode(frame_of(rgb, "yuv420p", "bt601", False)))
        for stream in streams:
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_of_two_tracks_the_default_one_is_shown(tmp_path, name):
    grey = np.full((48, 64, 3), 128, np.uint8)
    path = two_tracks(tmp_path / name, [grey] * 10, [picture()] * 10, (0, 1))
    info = probe(path)
    assert levels_off(next(read_frames(path, info, 10, 1))) <= 2
    assert "track 2 of 2 video tracks, which players show" in info.notes


def with_cover(path, frames):
    """An MP4 file whose cover picture comes before its video, or before its sound where there are no frames."""
    import av
    from av.stream import Disposition

    with av.open(str(path), "w") as container:
        if frames:
            film = container.add_stream("libx264", rate=10, options={"crf": "4"})
            film.height, film.width = frames[0].shape[:2]
            film.pix_fmt = "yuv420p"
        else:
            sound = container.add_stream("aac", rate=8000, layout="mono")
        cover = container.add_stream("mjpeg", rate=10)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = Disposition.attached_pic.value
        for rgb in frames:
            container.mux(film.encode(frame_of(rgb, "yuv420p", "bt601", False)))
        if frames:
            container.mux(film.encode())
        else:
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            quiet.sample_rate = 8000
            container.mux(sound.encode(quiet))
            container.mux(sound.encode())
        red = av.VideoFrame.from_ndarray(np.full((32, 32, 3), (200, 0, 0), np.uint8), format="rgb24")
        container.mux(cover.encode(red))
    path.write_bytes(cover_first(path.read_bytes()))
    return path


def cover_first(data):
    """The same file with the box ``udta``, which holds the cover, before the tracks."""
    start = data.find(b"moov") - 4
    size = struct.unpack(">I", data[start : start + 4])[0]
    movie, boxes, at = data[start : start + size], [], 8
    while at < size:
        step = struct.unpack(">I", movie[at : at + 4])[0]
        boxes.append(movie[at : at + step])
        at += step
    boxes.sort(key=lambda box: {b"mvhd": 0, b"udta": 1}.get(box[4:8], 2))
    return data[:start] + movie[:8] + b"".join(boxes) + data[start + size :]


def test_a_cover_picture_is_not_the_clip(tmp_path):
    path = with_cover(tmp_path / "a.mp4", [picture()] * 10)
    info = probe(path)
    assert info.frames == 10
    assert levels_off(next(read_frames(path, info, 10, 1))) <= 2
    with pytest.raises(ValueError, match=r"b\.mp4 holds only a cover picture"):
        probe(with_cover(tmp_path / "b.mp4", []))


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_a_cut_off_matroska_file_is_told(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8)
    path = write_clip(tmp_path / f"a{suffix}", CODECS[".mp4" if suffix == ".mkv" else suffix], list(noise), fps=20)
    assert "cut off" not in look_at(tmp_path, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(0.8 * len(data))])
    report = look_at(tmp_path, path)
    assert f"a{suffix}: it is cut off: 2." in report
    assert "of the 3.0 s in its header are there" in report


def woven(count):
    """Interlaced frames of a bar that moves between the two fields."""
    fields = []
    for i in range(2 * count):
        field = np.zeros((48, 64, 3), np.uint8)
        field[:, 2 + 2 * i : 14 + 2 * i] = 255
        fields.append(field)
    frames = [fields[2 * i].copy() for i in range(count)]
    for i, frame in enumerate(frames):
        frame[1::2] = fields[2 * i + 1][1::2]
    return frames


def combed(frame):
    """Columns in which lines alternate."""
    grey = frame[..., 1].astype(int)
    return int(((np.abs(grey[1:-1:2] - grey[:-2:2]) > 60).sum(0) > 4).sum())


def test_an_interlaced_clip_is_deinterlaced_and_told(tmp_path):
    frames = woven(8)
    options = {"x264-params": "tff=1", "flags": "+ilme+ildct"}
    path = write_clip(tmp_path / "a.mp4", frames=frames, options=options, fps=25)
    info = probe(path)
    shown = list(read_frames(path, info, 25, 8))
    assert combed(frames[3]) >= 2
    assert max(combed(frame) for frame in shown) == 0
    assert len(shown) == 8
    assert "interlaced, deinterlaced" in info.notes
    assert [int(f[20, :, 1].argmax() > 0) for f in shown] == [1] * 8
    places = [float((f[20, :, 1] > 127).nonzero()[0].mean()) for f in shown]
    assert np.diff(places) == pytest.approx([4] * 7, abs=1.5)  # each frame at its own time


def test_a_progressive_clip_is_left_alone(tmp_path):
    assert not any("interlaced" in note for note in probe(write_clip(tmp_path / "a.mp4")).notes)


def test_a_size_that_changes_on_the_way_is_told_and_every_frame_is_fitted(tmp_path):
    for i, size in enumerate(((64, 48), (128, 96))):
        write_clip(tmp_path / f"part{i}.ts", "mpeg2video", [picture(*size)] * 10, fps=25, options={"b": "4M"})
    parts = [(tmp_path / f"part{i}.ts").read_bytes() for i in range(2)]
    folder = tmp_path / "clips"
    folder.mkdir()
    path = folder / "a.mpg"
    write_clip(tmp_path / "one.mpg", "mpeg2video", [picture(64, 48)] * 10, fps=25, options={"b": "4M"})
    write_raw(path, tmp_path, parts)
    report = look_at(folder, path, 14, 25)
    assert "its size changes from 64x48 to 128x96" in report
    shown = read_folder(folder, 64, 48, 14, 25)[0].target.frames()
    assert levels_off(shown[-1].numpy() * 255) <= 6


def write_raw(path, folder, _parts):
    """Elementary streams of two sizes behind each other, as MPEG-2 allows."""
    import av

    with av.open(str(path), "w", format="mpegts") as out:
        stream = None
        for part in range(2):
            with av.open(str(folder / f"part{part}.ts")) as source:
                track = source.streams.video[0]
                if stream is None:
                    stream = out.add_stream_from_template(track)
                for packet in source.demux(track):
                    if packet.dts is None:
                        continue
                    packet.pts += part * 36000
                    packet.dts += part * 36000
                    packet.stream = stream
                    out.mux(packet)


def held(path, seconds):
    """Ten frames at 10 fps, the last of which is shown for so long."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "4", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frames = [frame_of(rgb, "yuv420p", "bt601", False) for rgb in steps(10)]
        packets = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
        for packet in packets:
            packet.duration = round(0.1 / packet.time_base)
        packets[-1].duration = round(seconds / packets[-1].time_base)
        for packet in packets:
            container.mux(packet)
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_last_frame_that_is_held_for_long_is_told(tmp_path, name):
    path = held(tmp_path / name, 5)
    assert probe(path).duration == pytest.approx(5.9)
    assert f"{name}: its last frame is held for 5.0 s, the others for 100 ms" in look_at(tmp_path, path)
    assert "is held for" not in look_at(tmp_path, held(tmp_path / name, 0.1))


def test_repeated_frames_are_told(tmp_path):
    telecine = [frame for i, frame in enumerate(steps(20)) for _ in range(1 + (i % 4 == 3))]
    report = look_at(tmp_path, write_clip(tmp_path / "a.mp4", frames=telecine), 25)
    assert "a.mp4: 5 of 24 frames repeat the one before (telecine, or a lower rate inside)" in report
    assert "repeat" not in look_at(tmp_path, write_clip(tmp_path / "a.mp4", frames=steps(25)), 25)


def test_a_condition_held_still_in_front_is_told(tmp_path):
    report = look_at(tmp_path, write_clip(tmp_path / "a.mp4", frames=[steps(1)[0]] * 13 + steps(24)[1:]), 36)
    assert "a.mp4: its first 13 frames stand still and 23 move" in report
    report = look_at(tmp_path, write_clip(tmp_path / "a.mp4", frames=[picture()] * 12), 12)
    assert "a.mp4: nothing in it moves" in report


def test_hevc_is_probed_again_and_again(tmp_path):
    path = write_clip(tmp_path / "a.mp4", "libx265", steps(4, (320, 240)), options={"x265-params": "log-level=none"})
    assert {probe(path).frames for _ in range(8)} == {4}  # PyAV 14.2 could wait for ever here


def test_footage_of_a_file_keeps_the_files_times(tmp_path):
    times = [0, 100, 130, 160, 500, 520, 540, 1000, 1100, 1200]
    path = write_clip(tmp_path / "a.mp4", frames=steps(10), times=times, fps=30)
    found = read_footage(path, 10)
    assert [round(float(frame.mean() * 25.5)) for frame in found.frames][:8] == [0, 1, 3, 3, 4, 4, 6, 6]
    assert any("uneven frame times (20 to 460 ms a frame), taken by them at 10 fps" in note for note in found.notes)
    own = read_footage(path)
    assert own.fps == pytest.approx(10 / (1.2 + 1 / 30), rel=0.02)


def test_a_trimmed_video_is_read_in_its_window(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=steps(20))
    for source in (path, io.BytesIO(path.read_bytes())):
        found = read_footage(source, None, Window(0.5, 0.4))
        assert [round(float(frame.mean() * 25.5)) for frame in found.frames] == [5, 6, 7, 8]
        late = read_footage(source, None, Window(-0.3))
        assert [round(float(frame.mean() * 25.5)) for frame in late.frames] == [17, 18, 19]
    with pytest.raises(ValueError, match=r"a\.mp4 has no frame from 9 to 10 s"):
        read_footage(path, None, Window(9, 1))


def test_of_a_clip_that_a_phone_has_trimmed_only_what_is_shown_is_read(tmp_path):
    """The file keeps what comes after the last key frame before the cut, and says in an edit list to leave it out."""
    import av

    whole = write_clip(tmp_path / "whole.mp4", frames=steps(20), options={"g": "10"})
    path = tmp_path / "trimmed.mp4"
    with av.open(str(whole)) as before, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as after:
        film: Any = before.streams.video[0]
        stream, cut = after.add_stream_from_template(film), round(0.5 / film.time_base)
        for packet in before.demux(film):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - cut, packet.dts - cut, stream
                after.mux(packet)
    with av.open(str(path)) as kept:
        assert kept.streams.video[0].frames == 20
    assert probe(path).frames == 15
    assert [round(float(frame.mean() * 25.5)) for frame in read_footage(path).frames] == list(range(5, 20))
    found = read_footage(path, None, Window(0.5, 0.4))
    assert [round(float(frame.mean() * 25.5)) for frame in found.frames] == [10, 11, 12, 13]


@pytest.mark.parametrize(("name", "advice"), [("a.heic", "JPEG or PNG"), ("a.wmv", "MP4")])
def test_kinds_that_are_not_read_are_refused_with_what_to_do(tmp_path, name, advice):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=f"{name} is not a clip; export it as {advice}"):
        probe(tmp_path / name)
