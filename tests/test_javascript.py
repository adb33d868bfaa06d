"""Rules of the pack's JavaScript: nothing from a network, no markup from strings, colours of the theme, licences."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

JS = Path(__file__).parents[1] / "js"
VENDOR = JS / "vendor"
SCRIPTS = sorted(path.relative_to(JS).as_posix() for path in JS.rglob("*.js"))
SHEETS = sorted(path.relative_to(JS).as_posix() for path in JS.glob("*.css"))
THEME = "theme.css"
FORBIDDEN = {
    "markup from strings": r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment",
    "code from strings": r"\beval\s*\(|new Function\b|set(?:Timeout|Interval)\(\s*['\"`]",
    "another address": r"https?://(?!www\.w3\.org/)|\bfetch\(\s*['\"`]|XMLHttpRequest|WebSocket|sendBeacon",
    "what is kept in the browser": r"localStorage|sessionStorage|document\.cookie",
}
COLOUR = re.compile(
    r"#[0-9a-fA-F]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(|\b(?:white|black|red|green|blue|gr[ae]y|orange)\b(?!-)"
)
UPLOT = {  # of the npm package uplot 1.6.32, whose archive has the sha256 4b8a8191…5133d
    "uPlot.esm.mjs": "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


def read(name: str) -> str:
    return (JS / name).read_text(encoding="utf-8")


def test_the_scripts_are_found():
    assert {"training_panel.js", "lib/run_state.js", "panel/training_view.js"} <= set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_script_does_nothing_that_is_forbidden(name, what):
    assert re.findall(FORBIDDEN[what], read(name)) == []


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name.startswith(("lib/", "texts/"))])
def test_a_pure_module_needs_no_front_end(name):
    assert "/scripts/" not in read(name)


@pytest.mark.parametrize("name", SCRIPTS)
def test_of_the_front_end_only_its_public_modules_are_imported(name):
    imported = re.findall(r"from '((?:\.\./)+scripts/[^']+)'", read(name))
    assert {path.rpartition("/")[2] for path in imported} <= {"app.js", "api.js"}
    assert all(path == "../" * (name.count("/") + 2) + "scripts/" + path.rpartition("/")[2] for path in imported)


# A front end has no colours for curves that all of its versions know, so ours come in a pair for light and dark themes.
PAIR = r"^  --fewshot-[\w-]+: light-dark\(#[0-9a-f]{6}, #[0-9a-f]{6}\);$"


@pytest.mark.parametrize("name", SHEETS)
def test_a_style_sheet_has_the_colours_of_the_theme_or_one_for_light_and_dark(name):
    text = re.sub(r"/\*.*?\*/", "", read(name), flags=re.DOTALL)
    lines = [re.sub(rf"var\(--[\w-]+|{PAIR}", "", line) for line in text.splitlines()]
    assert [line for line in lines if COLOUR.search(line)] == []


@pytest.mark.parametrize("name", SHEETS)
def test_a_colour_of_the_host_s_has_one_of_ours_behind_it(name):
    taken = re.findall(r"var\((--(?!fewshot-)[\w-]+)(,?)", read(name))
    assert [token for token, fallback in taken if not fallback] == []
    assert name == THEME or f"@import './{THEME}';" in read(name)


def test_no_two_style_sheets_share_a_class():
    sheets = [sheet for sheet in SHEETS if sheet != THEME]  # which names the outermost ones of the others
    classes = [name for sheet in sheets for name in set(re.findall(r"\.(fewshot-[\w-]+)", read(sheet)))]
    assert len(classes) > 20
    assert [name for name in classes if classes.count(name) > 1] == []


@pytest.mark.parametrize("name", UPLOT)
def test_the_vendored_library_is_as_it_was_published(name):
    assert hashlib.sha256((VENDOR / "uPlot-1.6.32" / name).read_bytes()).hexdigest() == UPLOT[name]


def test_what_is_vendored_is_not_loaded_by_the_host_and_comes_with_its_licence():
    assert list(VENDOR.rglob("*.js")) == []  # the host imports every .js
    assert all("MIT" in (folder / "LICENSE").read_text(encoding="utf-8") for folder in VENDOR.iterdir())
