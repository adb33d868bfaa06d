"""The papers as BibTeX, and a trained file as an entry of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pack.training.core.methods import TITLES
from pack.training.lora.papers import BIBTEX, LONGEST, file_entry
from pack.training.runs.record import PAPERS

ENTRIES = sorted({entry for entries in BIBTEX.values() for entry in entries})
README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.split("{")[1].split(",")[0])
def test_every_entry_is_whole(entry):
    assert re.match(r"@(article|inproceedings)\{[a-z]+\d{4}[a-z]+,\n", entry)
    assert entry.count("{") == entry.count("}")
    for field in ("title", "author", "year"):
        assert len(re.findall(rf"^  {field} += \{{", entry, re.MULTILINE)) == 1
    assert max(len(line) for line in entry.splitlines()) <= 120


def test_the_entries_have_keys_of_their_own():
    keys = [re.findall(r"@\w+\{(\w+)", entry)[0] for entry in ENTRIES]
    assert len(set(keys)) == len(keys)


def test_the_readme_cites_in_the_same_words():
    block = README.split("```bibtex\n")[1].split("\n```")[0]
    for entry in block.split("\n\n"):
        assert entry in ENTRIES


@pytest.mark.parametrize("method", sorted({*TITLES, "aicl", "tune_a_video"}))
def test_every_method_has_papers_and_the_one_that_is_named_in_a_line_is_among_them(method):
    number = PAPERS.get(method, "").removeprefix("arXiv ")
    texts = "\n".join(BIBTEX[method])
    assert number in texts or (number == "2212.11565" and "wu2023tune" in texts)


def test_a_file_is_an_entry_with_what_it_says_of_itself():
    record = {"method": '"tic_ft"', "pack_version": "0.1.0"}
    entry = file_entry(record, "my cat_00001_", "rank 4 & 50% of {all}\n\\steps", "2026-01-31")
    assert entry == (
        "@misc{my_cat_00001,\n"
        "  title        = {my cat\\_00001\\_},\n"
        "  howpublished = {TIC-FT, trained with FewShot Video 0.1.0},\n"
        "  year         = {2026},\n"
        "  note         = {rank 4 \\& 50\\% of (all) /steps}\n"
        "}"
    )


@pytest.mark.parametrize("date", ["", "yesterday", "20260131", "2026-01-31; x"])
def test_what_is_no_date_has_no_year(date):
    entry = file_entry({"method": '"odd"'}, "日本", "x" * 5000, date)
    assert "year" not in entry
    assert entry.startswith("@misc{lora,\n")
    assert len(entry) < LONGEST + 300
