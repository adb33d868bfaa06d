"""Names that a disk cannot take are refused at the start, and a damaged record is no foreign folder."""

from __future__ import annotations

import pytest

from pack.training.runs.folder import LONGEST, DamagedRecordError, RunFolder, check_run_name

LONGEST_ENDING = "_appearance_best_00001_.safetensors"
TEMPORARY = "." + "0" * 32 + ".tmp"


@pytest.mark.parametrize("letter", ["a", "ä", "字"])
def test_the_longest_name_can_be_saved_and_a_longer_one_is_refused_before_training(tmp_path, letter):
    longest = letter * (LONGEST // len(letter.encode()))
    check_run_name(longest)
    (tmp_path / f"{longest}{LONGEST_ENDING}{TEMPORARY}").touch()
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ValueError, match=f"disks take {LONGEST} for it .*; shorten it"):
        check_run_name(longest + letter)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a/b", "..", "a\nb"])
def test_names_with_odd_characters_are_refused(name):
    with pytest.raises(ValueError, match="cannot name a folder"):
        check_run_name(name)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"format": 1}', "\xff", '{"a": "' + "x" * 1000])
def test_a_damaged_record_is_told_from_a_foreign_folder(tmp_path, text):
    (tmp_path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(DamagedRecordError, match=r"cannot be used .*; give another run_name"):
        RunFolder(tmp_path).read()
    (tmp_path / "run.json").rename(tmp_path / "something else")
    with pytest.raises(ValueError, match="holds files but no run"):
        RunFolder(tmp_path).read()
