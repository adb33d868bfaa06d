"""One ComfyUI and one browser for all browser tests; every test runs in both ways of drawing nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import FLAGS, PATIENCE, Site, make_idle, prepare_user
from chromium import ADVICE, find_chromium
from host import find_or_build
from host_setup.front_end import chosen_front_end
from host_setup.pins import DEFAULT, version_tuple
from host_setup.server import Server

FOLDER = Path(__file__).parent
HOST = "needs a real ComfyUI: run `python scripts/test.py`, or set COMFYUI_PATH"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, so that ``-m browser`` selects them."""
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running ComfyUI with this pack."""
    if not os.environ.get("COMFYUI_PATH"):
        pytest.skip(HOST)
    found = find_or_build()
    if version_tuple(found.version) < version_tuple(DEFAULT):
        pytest.skip(f"the browser tests are written for the front end of ComfyUI {DEFAULT}")
    base = tmp_path_factory.mktemp("comfyui")
    prepare_user(base)
    with Server(found, base=base, cpu=True, arguments=chosen_front_end()) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed in the host's Python")
    path = find_chromium()
    if path is None:
        pytest.skip(ADVICE)
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(params=[False, True], ids=["classic", "nodes2"])
def site(browser: Any, host: Server, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A fresh page; the test fails when it has logged an error that is not the host's own noise."""
    make_idle(host)
    host.post("/api/settings", {"Comfy.TutorialCompleted": False, "Comfy.VueNodes.Enabled": request.param})
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(PATIENCE * 1000)
    site = Site(context.new_page(), host, request.param)
    yield site
    context.close()
    assert site.errors == []


@pytest.fixture
def page(site: Site) -> Any:
    """Playwright's page of ``site``."""
    return site.page


@pytest.fixture
def open_template(site: Site) -> Callable[[str], Site]:
    """A function that opens a shipped workflow by its name."""
    return site.open_template
