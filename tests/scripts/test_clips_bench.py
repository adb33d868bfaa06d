"""A sample of the matrix of odd clips, each beside what the ffmpeg program shows."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "scripts" / "bench" / "clips.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_clips", BENCH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_clips"] = module
    spec.loader.exec_module(module)
    return module


def test_the_matrix_has_enough_files_and_each_once(bench):
    cases = bench.matrix()
    assert len(cases) >= 150
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg; apt-get install ffmpeg")
def test_a_sample_is_read_as_ffmpeg_shows_it(bench, tmp_path):
    from pack.training.data.media import decode

    cases = bench.matrix()[::14]
    found = {case.name: bench.judge(case, tmp_path, decode)[:2] for case in cases}
    assert {name: verdict for name, verdict in found.items() if verdict[0] != bench.RIGHT} == {}
    assert list(tmp_path.iterdir()) == []
