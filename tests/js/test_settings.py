"""The pack's settings in the page: they are found under their names, and a run that goes on obeys them at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import Site
from training_page import Panel, tell, training_workflow

import locales

REFRESH, AUTOSAVE, PREVIEW = "FewShotVideo.PanelRefresh", "FewShotVideo.AutosaveMinutes", "FewShotVideo.PreviewSize"
DEFAULTS = {REFRESH: 4, AUTOSAVE: 0, PREVIEW: 128}
MANY = 5000  # steps; the next test's page ends such a run
WATCH = """() => { window.__drawn = 0
    new MutationObserver(() => { window.__drawn += 1 }).observe(
        document.querySelector('.fewshot-state'), { childList: true, characterData: true, subtree: true }) }"""


@pytest.fixture
def settings(own_site: Site) -> Iterator[Site]:
    """A page whose settings are as they come; afterwards the host's are, too."""
    own_site.host.post("/api/settings", DEFAULTS)
    yield own_site
    own_site.host.post("/api/settings", DEFAULTS)


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


def drawings(site: Site, seconds: float) -> int:
    """How often the panel is drawn in so many seconds of a clock that stands otherwise, with news every 50 ms."""
    before = site.page.evaluate("() => window.__drawn")
    for i in range(int(seconds * 20)):
        tell(site, "progress", f"{{ node: id, value: {i}, max: 1000 }}")
        site.page.clock.run_for(50)
    return site.page.evaluate("() => window.__drawn") - before


def test_the_panel_is_drawn_as_often_in_a_second_as_is_set(settings):
    page = settings.page
    page.clock.install()
    Panel(settings.open_graph(training_workflow(f"drawn {settings.nodes2}", 1)))
    page.evaluate(WATCH)
    page.clock.pause_at(page.evaluate("() => Date.now()") + 1000)
    drawings(settings, 2)  # what the page still has to do, and the drawings that keep to the old setting
    for often in (DEFAULTS[REFRESH], 5, 1):
        set_to(settings, REFRESH, often)
        drawings(settings, 1)
        assert 4 * often - 1 <= drawings(settings, 4) <= 4 * often  # the last one may fall behind the end


def test_the_settings_are_found_and_a_run_that_goes_on_obeys_them(settings):
    panel = Panel(settings.open_graph(training_workflow(f"set {settings.nodes2}", MANY)))
    settings.queue()
    panel.wait_state(r"^Training: step [3-9]\d* of 5000")
    assert not [text for text in panel.messages() if text.startswith("saved")]
    set_to(settings, AUTOSAVE, 0.02)  # minutes
    panel.wait_message("^saved")
    set_to(settings, AUTOSAVE, 0)

    panel.button("sample").click()
    video = panel.element.locator(".fewshot-chosen video")
    video.wait_for()
    width = "v => v.offsetWidth"
    settings.sees(lambda: video.evaluate(width), DEFAULTS[PREVIEW])
    dialog = open_settings(settings)
    names = [texts["name"] for texts in locales.page_texts()["settings"].values()]
    shown = dialog.locator("[data-setting-id^=FewShotVideo]")
    settings.sees(lambda: sorted(text.strip() for text in shown.all_inner_texts()), sorted(names))
    number = dialog.locator(f"[data-setting-id='{PREVIEW}'] input")
    number.select_text()
    number.press_sequentially("208")
    number.press("Tab")
    settings.until(lambda: video.evaluate(width) == 208, "the preview that is shown has the new width")
