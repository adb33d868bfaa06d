"""The texts of the page: every language has the same ones, none is empty, and the front end can read them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "locales"
LANGUAGES = sorted(path.name for path in FOLDER.iterdir())
FILES = sorted(path.name for path in (FOLDER / "en").iterdir())
# The languages of the front end of ComfyUI 0.30.0; it ignores others.
KNOWN = {"ar", "en", "es", "fa", "fr", "he", "ja", "ko", "pt-BR", "ru", "tr", "zh", "zh-TW"}
SYNTAX = re.compile(r"[@{}|]")  # what vue-i18n reads as commands


def texts(language: str) -> dict[str, Any]:
    """Every text of a language by its place: file, node, and so on."""
    found: dict[str, Any] = {}

    def collect(place: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, entry in value.items():
                collect(f"{place} > {key}", entry)
        else:
            found[place] = value

    for name in FILES:
        collect(name, json.loads((FOLDER / language / name).read_text(encoding="utf-8")))
    return found


def test_the_language_of_the_schemas_is_there_and_only_languages_of_the_front_end():
    assert "en" in LANGUAGES
    assert set(LANGUAGES) <= KNOWN
    assert {"main.json", "nodeDefs.json"} <= set(FILES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_exactly_the_texts_of_english(language):
    assert sorted(path.name for path in (FOLDER / language).iterdir()) == FILES
    missing, left_over = set(texts("en")) - set(texts(language)), set(texts(language)) - set(texts("en"))
    assert (sorted(missing), sorted(left_over)) == ([], [])


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_has_signs_that_the_front_end_takes_for_commands(language):
    wrong = {place: text for place, text in texts(language).items() if not isinstance(text, str) or not text.strip()}
    assert wrong == {}
    assert {place: text for place, text in texts(language).items() if SYNTAX.search(text)} == {}
