"""A sample of the matrix of odd clips, each beside what the ffmpeg program shows."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "scripts" / "bench" / "clips.py"
FFMPEG = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg; apt-get install ffmpeg")


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_clips", BENCH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_clips"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def decode():
    from pack.training.data.media import decode

    return decode


def test_the_matrix_has_enough_files_and_each_once(bench):
    cases = bench.matrix()
    assert len(cases) >= 150
    assert len({case.name for case in cases}) == len(cases)


def test_a_sample_has_every_unusual_thing(bench):
    cases = bench.sample(20)
    assert len(cases) <= 24
    for name in ("tag", "size", "rate", "full", "turn", "pix_fmt", "aspect", "interlaced", "uneven"):
        assert len({getattr(case, name) for case in cases}) > 1, name


@FFMPEG
def test_a_sample_is_read_as_ffmpeg_shows_it(bench, decode, tmp_path):
    found = {case.name: bench.judge(case, tmp_path, decode) for case in bench.sample(20)}
    assert {name: verdict for name, verdict in found.items() if verdict.kind != bench.RIGHT} == {}
    assert list(tmp_path.iterdir()) == []


@FFMPEG
@pytest.mark.parametrize(("spoil", "why"), [
    (lambda shown: (shown.times, shown.frames[:, :, ::-1]), "grey levels off"),
    (lambda shown: (shown.times, (shown.frames * 0.97).astype(np.uint8)), "grey levels off"),
    (lambda shown: (shown.times, shown.frames[[0, 0, *range(1, 9)]]), "in the mean"),
    (lambda shown: (shown.times[1:], shown.frames[1:]), "frames of"),
    (lambda shown: ([1.5 * time for time in shown.times], shown.frames), "off its time"),
])  # fmt: skip
def test_what_is_mirrored_darker_repeated_dropped_or_late_is_wrong(bench, decode, tmp_path, monkeypatch, spoil, why):
    read = bench.shown_by_pack
    monkeypatch.setattr(bench, "shown_by_pack", lambda *given: bench.Shown(*spoil(read(*given))))
    verdict = bench.judge(bench.Case("mp4", "libx264", "bt709"), tmp_path, decode)
    assert verdict.kind == bench.WRONG
    assert why in verdict.why
