"""One word per idea: what once had a name of our own is called as the field calls it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("nodes", "training", "methods", "toy", "scripts", "js", "locales", "docs", "workflows", "tests")
ENDINGS = {".py", ".js", ".md", ".json"}
INSTEAD = {
    r"\bdoctor\b": "dataset check",
    r"\bjitter(s|ed|ing)?\b": "augmentation",
    r"\bsaved state": "checkpoint",
    r"\bpark(ed|ing)\b": "offloaded",
    r"\bmicro.steps\b": "memory profiling",
    r"\btoken.places?\b": "position ids",
    r"\bis told\b|\bas said\b|\blends out\b|\bis answered with\b|\bshall\b": "plain English",
}
KEPT = {"jitter {number}"}  # decides the augmentations that runs have seen


def texts() -> list[Path]:
    """Code and prose of the project but for the history and this list."""
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.suffix in ENDINGS]
    return [*ROOT.glob("[RC]*ING.md"), ROOT / "README.md", *(path for path in found if path != Path(__file__))]


@pytest.mark.parametrize("word", INSTEAD)
def test_a_word_of_our_own_does_not_come_back(word: str) -> None:
    lines = []
    for path in texts():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(word, line, re.IGNORECASE) and not any(kept in line for kept in KEPT):
                lines.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert not lines, f"write {INSTEAD[word]}"
