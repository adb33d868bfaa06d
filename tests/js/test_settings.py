"""The pack's settings in the page: they are found under their names, and a run that goes on obeys them at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import Site
from training_page import Panel, training_workflow

import locales

REFRESH, AUTOSAVE, PREVIEW = "FewShotVideo.PanelRefresh", "FewShotVideo.AutosaveMinutes", "FewShotVideo.PreviewSize"
DEFAULTS = {REFRESH: 4, AUTOSAVE: 0, PREVIEW: 128}
MANY = 500  # steps; the next test's page ends such a run
SOON = 60.0  # seconds
WATCH = """() => { window.__drawn = []
    new MutationObserver(() => window.__drawn.push(performance.now())).observe(
        document.querySelector('.fewshot-state'), { childList: true, characterData: true, subtree: true }) }"""
# The two drawings under way when a setting is changed may still keep to the old one.
GAPS = "() => window.__drawn.slice(2).map((at, i, all) => i ? at - all[i - 1] : Infinity).slice(1)"


@pytest.fixture
def settings(site: Site) -> Iterator[Site]:
    """A page whose settings are as they come, now and afterwards."""
    site.host.post("/api/settings", DEFAULTS)
    yield site
    site.host.post("/api/settings", DEFAULTS)


def set_to(site: Site, name: str, value: float) -> None:
    """Set a setting as its input in the dialog does."""
    site.page.evaluate("([id, value]) => app.extensionManager.setting.set(id, value)", [name, value])


def open_settings(site: Site) -> Any:
    """The settings dialog, where it shows the pack's."""
    site.page.evaluate("() => void app.extensionManager.command.execute('Comfy.ShowSettingsDialog')")
    dialog = site.page.locator("[role=dialog]")
    dialog.get_by_text(locales.MENU, exact=True).click()
    dialog.locator("[data-setting-id^=FewShotVideo]").first.wait_for()
    return dialog


def gaps(site: Site, least: int) -> list[float]:
    """Milliseconds between so many drawings from now on."""
    site.page.evaluate("() => { window.__drawn.length = 0 }")
    site.page.wait_for_function(f"least => ({GAPS})().length >= least", arg=least)
    return site.page.evaluate(GAPS)


def test_the_settings_are_found_and_a_run_that_goes_on_obeys_them(settings):
    panel = Panel(settings.open_graph(training_workflow(f"set {settings.nodes2}", MANY)))
    settings.queue()
    panel.wait_state(r"^Training: step [3-9]\d* of 500")
    settings.page.evaluate(WATCH)
    set_to(settings, REFRESH, 5)
    settings.until(lambda: min(gaps(settings, 3)) < 600, "the panel is drawn more often than once in a second")
    set_to(settings, REFRESH, 1)
    assert min(gaps(settings, 3)) > 900
    set_to(settings, REFRESH, DEFAULTS[REFRESH])

    assert not [text for text in panel.messages() if text.startswith("saved")]
    set_to(settings, AUTOSAVE, 0.02)  # minutes
    panel.wait_message("^saved", SOON)
    set_to(settings, AUTOSAVE, 0)

    panel.button("sample").click()
    video = panel.element.locator(".fewshot-chosen video")
    video.wait_for()
    width = "v => v.offsetWidth"
    assert video.evaluate(width) == DEFAULTS[PREVIEW]
    dialog = open_settings(settings)
    names = [texts["name"] for texts in locales.page_texts()["settings"].values()]
    shown = dialog.locator("[data-setting-id^=FewShotVideo]").all_inner_texts()
    assert sorted(text.strip() for text in shown) == sorted(names)
    number = dialog.locator(f"[data-setting-id='{PREVIEW}'] input")
    number.select_text()
    number.press_sequentially("208")
    number.press("Tab")
    settings.until(lambda: video.evaluate(width) == 208, "the preview that is shown has the new width", SOON)
