"""A front end that has renamed its palette: what the pack draws can still be read, in dark and in light."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browser import Site
from timeline_page import look_at
from training_page import training_workflow

CONTRAST = 4.5  # of letters on their ground; Source: WCAG 2.2, 1.4.3
TOKENS = (
    "--input-text", "--descrip-text", "--fg-color", "--comfy-input-bg", "--comfy-menu-bg", "--bg-color",
    "--border-color", "--error-text",
)  # fmt: skip
UNNAMED = """names => { for (const root of [document.documentElement, document.body])
    for (const name of names) root.style.setProperty(name, 'initial') }"""
# Every token that is left, what is drawn with, and what it is drawn on.
COLOURS = """([selector, part, what, names]) => {
    const style = getComputedStyle(document.querySelector(selector), part)
    const ground = getComputedStyle(document.querySelector(selector).closest(
        '.fewshot-timeline, .fewshot-panel, .fewshot-dialog'))
    return [names.filter(name => ground.getPropertyValue(name)), style[what], ground.backgroundColor] }"""
DRAWN = (
    (".fewshot-timeline", None, "color"),
    (".fewshot-timeline .fewshot-cell:not(.fewshot-frozen) .fewshot-fill", None, "backgroundColor"),
    (".fewshot-timeline .fewshot-border", "::after", "backgroundColor"),
    (".fewshot-panel", None, "color"),
    (".fewshot-panel .fewshot-dim", None, "color"),
    (".fewshot-dialog", None, "color"),
    (".fewshot-dialog p", None, "color"),
)


def luminance(colour: str) -> float:
    """Relative luminance of an opaque ``rgb(r, g, b)``."""
    channels = [int(value) / 255 for value in re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", colour).groups()]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture
def palette(request: pytest.FixtureRequest, host: Any) -> Any:
    """Pages that are opened from now on have this palette."""
    host.post("/api/settings", {"Comfy.ColorPalette": request.param})
    yield request.param
    host.post("/api/settings", {"Comfy.ColorPalette": "dark"})


@pytest.mark.parametrize(
    ("palette", "nodes2"), [("dark", False), ("light", True)], ids=["dark", "light"], indirect=True
)
@pytest.mark.usefixtures("palette")
def test_without_the_host_s_tokens_everything_is_still_seen(palette, own_site: Site):
    site = own_site
    site.open_template("tic_ft_zero_shot_toy")
    look_at(site.page)  # what is out of sight a newer front end leaves out
    site.page.locator(".fewshot-timeline .fewshot-fill").first.wait_for(state="attached")
    seen(site, palette, [what for what in DRAWN if "timeline" in what[0]])
    site.open_graph(training_workflow("theme", 1))
    site.page.locator(".fewshot-panel").first.wait_for(state="attached")
    site.page.evaluate("() => app.extensionManager.command.execute('FewShotVideo.ListResults')")
    site.page.locator(".fewshot-dialog p").first.wait_for()
    seen(site, palette, [what for what in DRAWN if "timeline" not in what[0]])


def seen(site: Site, palette: str, drawn: list[Any]) -> None:
    """Take the host's tokens away, and look whether what is drawn stands out, light on dark or dark on light."""
    site.page.evaluate(UNNAMED, list(TOKENS))
    for what in drawn:
        left, colour, ground = site.page.evaluate(COLOURS, [*what, list(TOKENS)])
        assert left == []
        assert contrast(colour, ground) >= CONTRAST, f"{what}: {colour} on {ground}"
        assert (luminance(ground) < 0.2) == (palette == "dark"), f"{what}: {ground}"
