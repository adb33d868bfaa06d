"""The texts of the page: every language has the same ones, none is empty, and the front end can read them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

import locales  # noqa: E402

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
    assert {"main.json", "nodeDefs.json", "commands.json", "settings.json"} == set(FILES)


def read(name: str) -> dict[str, Any]:
    """A file of the English texts."""
    return json.loads((FOLDER / "en" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", locales.page_files())
def test_the_texts_of_commands_and_settings_are_those_that_the_page_registers(name):
    written = locales.page_files()[name]
    assert written
    assert read(name) == written, "run python scripts/locales.py"


def test_the_headings_of_the_settings_are_those_that_the_page_registers():
    headings = locales.page_texts()["categories"]
    assert read("main.json")["settingsCategories"] == {heading: heading for heading in headings}


def test_every_id_that_the_page_registers_has_its_texts():
    texts = locales.page_texts()
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "js").glob("*.js"))
    named = set(re.findall(r"'(FewShotVideo\.\w+)'", sources)) - set(re.findall(r"name: '([\w.]+)'", sources))
    assert named == {*texts["commands"], *texts["settings"]}


def test_texts_that_python_cannot_read_are_refused(tmp_path, monkeypatch):
    broken = tmp_path / "registered_texts.js"
    broken.write_text("export const REGISTERED = { commands: {} }\n")
    monkeypatch.setattr(locales, "REGISTERED", broken)
    with pytest.raises(ValueError, match=r"registered_texts\.js must hold JSON behind the ="):
        locales.page_texts()


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
