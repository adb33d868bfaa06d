"""``metrics.jsonl``: whole lines whatever happened, and nothing in it that is not of the run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from monitored_runs import Clock, FakeRun

from pack.training.runs import log as run_log
from pack.training.runs.log import LOG_FILE, LogFile, cut_log, read_ends, read_entries


def log_of(folder: Path, step: int = 0) -> LogFile:
    log = LogFile()
    log.begin(FakeRun(folder), step, [])
    return log


def steps(*numbers: int) -> list[dict]:
    return [{"kind": "step", "step": number, "loss": number / 2} for number in numbers]


def fill(folder: Path, entries: list[dict]) -> Path:
    log = log_of(folder)
    for entry in entries:
        log.add(entry)
    return folder / LOG_FILE


def test_what_was_added_is_read_again_in_order(tmp_path):
    entries = [{"kind": "started", "step": 0, "name": "ein Läufer"}, *steps(1, 2)]
    path = fill(tmp_path / "run", entries)
    assert list(read_entries(path)) == entries
    assert len(path.read_bytes().splitlines()) == 3


def test_a_line_is_there_as_soon_as_it_is_added(tmp_path):
    """A process that is killed loses none of them."""
    root = Path(__file__).parents[3]
    code = (
        "import importlib.util, os, signal, sys, types; from pathlib import Path;"
        f"spec = importlib.util.spec_from_file_location('pack', {str(root / '__init__.py')!r},"
        f" submodule_search_locations=[{str(root)!r}]);"
        "sys.modules['pack'] = module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module);"
        "from pack.training.runs.log import LogFile;"
        f"log = LogFile(); log.begin(types.SimpleNamespace(folder=Path({str(tmp_path)!r})), 0, []);"
        "[log.add({'kind': 'step', 'step': i}) for i in range(200)];"
        "os._exit(1)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.stderr == ""
    assert [entry["step"] for entry in read_entries(tmp_path / LOG_FILE)] == list(range(200))


@pytest.mark.parametrize("torn", ['{"kind": "step", "st', '{"kind": "step", "step": 3, "loss": 1}', "\x00\x00\x00"])
def test_a_torn_last_line_is_no_error_and_is_cut_off_when_the_run_goes_on(tmp_path, torn):
    path = fill(tmp_path, steps(1, 2))
    with path.open("a") as file:
        file.write(torn)  # without an end of line
    log_of(tmp_path, step=2).add(steps(3)[0])
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]
    assert list(read_entries(path)) == steps(1, 2, 3)


def test_steps_that_are_done_again_are_cut_and_what_was_said_stays(tmp_path):
    said = {"kind": "note", "step": 3, "note": "save", "text": "saved"}
    later = [{"kind": "validation", "step": 3, "losses": {"mean": 1.0}}, {"kind": "sample", "step": 3, "file": "a.mp4"}]
    path = fill(tmp_path, [*steps(1, 2, 3), *later, said])
    assert cut_log(path, 2) == [*steps(1, 2), said]
    assert list(read_entries(path)) == [*steps(1, 2), said]


def test_the_log_of_a_resumed_run_is_told_to_the_other_sinks(tmp_path):
    fill(tmp_path, steps(1, 2, 3))
    assert LogFile().begin(FakeRun(tmp_path), 2, []) == steps(1, 2)


def test_a_run_that_starts_over_keeps_the_old_log_under_a_number(tmp_path):
    for number in (1, 2, 3):
        fill(tmp_path, steps(number))
    kept = {path.name: [entry["step"] for entry in read_entries(path)] for path in tmp_path.iterdir()}
    assert kept == {"metrics.jsonl": [3], "metrics.1.jsonl": [1], "metrics.2.jsonl": [2]}


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[1, 2]",
        '"text"',
        '{"step": 1}',
        '{"kind": 3, "step": 1}',
        '{"kind": "step"}',
        '{"kind": "step", "step": -1}',
        '{"kind": "step", "step": true}',
        '{"kind": "step", "step": 1.5}',
        '{"kind": "step", "step": 1, "loss": NaN}',
        '{"kind": "step", "step": 99999999999}',
        '{"kind": "step", "step": 1, "deep": ' + "[" * 30000 + "}",
        '{"kind": "step", "step": 1, "long": "' + "x" * 200000 + '"}',
        "\udcff",
    ],
)
def test_a_line_that_is_none_of_ours_is_skipped_and_the_rest_is_read(tmp_path, line):
    path = tmp_path / LOG_FILE
    good = [json.dumps(entry) for entry in steps(1, 2)]
    path.write_bytes("\n".join([good[0], line, good[1]]).encode("utf-8", "surrogateescape"))
    assert list(read_entries(path)) == steps(1, 2)


def test_a_missing_log_has_no_entries(tmp_path):
    assert list(read_entries(tmp_path / "none" / LOG_FILE)) == []
    assert list(read_ends(tmp_path / "none" / LOG_FILE)) == []


def test_the_ends_of_a_long_log_are_its_first_entry_and_its_last_ones(tmp_path):
    path = fill(tmp_path, steps(*range(1, 3000)))
    found = [entry["step"] for entry in read_ends(path, size=1000)]
    assert found[0] == 1
    assert found[1:] == list(range(found[1], 3000))
    assert 5 < len(found) < 40
    assert [entry["step"] for entry in read_ends(path)] == list(range(1, 3000))


def test_a_full_disk_is_said_once_and_later_lines_are_whole(tmp_path, monkeypatch, caplog):
    log = log_of(tmp_path)
    write = LogFile.write_line

    def full(self, line, **_options):
        with self.path.open("ab") as file:
            file.write(line[:5])  # half a line, as a full disk leaves it
        raise OSError(28, "No space left on device")

    log.add(steps(1)[0])
    monkeypatch.setattr(LogFile, "write_line", full)
    log.add(steps(2)[0])
    log.add(steps(3)[0])
    monkeypatch.setattr(LogFile, "write_line", write)
    log.add(steps(4)[0])
    assert list(read_entries(tmp_path / LOG_FILE)) == steps(1, 4)
    assert caplog.text.count("metrics.jsonl cannot be written") == 1


def test_a_deleted_folder_does_not_come_back(tmp_path, caplog):
    folder = tmp_path / "run"
    log = log_of(folder)
    folder.rmdir()
    log.add(steps(1)[0])
    assert not folder.exists()
    assert "metrics.jsonl cannot be written" in caplog.text


def test_what_matters_reaches_the_disk_at_once_and_steps_now_and_then(tmp_path, monkeypatch):
    forced, clock = [], Clock()
    monkeypatch.setattr(run_log.os, "fsync", lambda _file: forced.append(clock()))
    log = LogFile(clock)
    log.begin(FakeRun(tmp_path), 0, [])
    for entry in steps(1, 2):
        log.add(entry)
    assert forced == []
    log.add({"kind": "note", "step": 2, "note": "save", "text": "saved"})
    assert len(forced) == 1
    clock.now += run_log.FLUSH
    log.add(steps(3)[0])
    assert len(forced) == 2
