"""One ComfyUI, one browser and a page for each way of drawing nodes, which the tests share.

A test that changes what a page keeps to itself (its settings, its language, its clock) takes a page of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import garbage
import pytest
from browser import FLAGS, Site, make_idle, prepare_user
from chromium import ADVICE, find_chromium
from host import find_or_build
from host_setup.front_end import chosen_front_end
from host_setup.pins import DEFAULT, version_tuple
from host_setup.server import Server
from patience import PATIENCE

FOLDER = Path(__file__).parent
# What front ends draw in ways of their own. With ``--drawn`` these alone run in both ways: `scripts/test.py` has the
# host's front end draw the others classically, and the newest one as Nodes 2.0.
CROSSED = (
    "test_first_run.py",
    "test_theme.py",
    "test_timeline.py",
    "test_workflows.py",  # a page that saves nodes otherwise would spoil what people have made
    "test_training_panel.py::test_the_curves_have_the_colours_of_the_palette",
    "test_training_panel.py::test_undo_leaves_the_panel_as_it_is_and_alive",
)
HOST = "needs a real ComfyUI: run `python scripts/test.py`, or set COMFYUI_PATH"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, so that ``-m browser`` selects them, and leave out what ``--drawn`` does."""
    ours = [item for item in items if item.path.is_relative_to(FOLDER)]
    for item in ours:
        item.add_marker(pytest.mark.browser)
    drawn = config.getoption("drawn")
    left_out = [item for item in ours if drawn and not is_drawn(item, nodes2=drawn == "nodes2")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def is_drawn(item: Any, nodes2: bool) -> bool:
    """Whether a test draws nodes that way, or has to in both."""
    crossed = f"{item.path.name}::{item.originalname}".startswith(CROSSED)
    parameters = getattr(item, "callspec", None)
    return crossed or parameters is None or parameters.params.get("nodes2", nodes2) == nodes2


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
    garbage.spare_host(base)
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


@pytest.fixture(scope="session", params=[False, True], ids=["classic", "nodes2"])
def nodes2(request: pytest.FixtureRequest) -> bool:
    """The way of drawing nodes: as HTML (Nodes 2.0), or on the canvas (classic)."""
    return request.param


def new_site(browser: Any, host: Server, nodes2: bool) -> Site:
    """An empty page; what is opened in it loads the front end."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(PATIENCE * 1000)
    return Site(context.new_page(), host, nodes2)


def prepare(host: Server, nodes2: bool) -> None:
    """Bring the host to rest, and tell it how pages that are loaded from now on draw nodes."""
    make_idle(host)
    host.post("/api/settings", {"Comfy.TutorialCompleted": False, "Comfy.VueNodes.Enabled": nodes2})


@pytest.fixture(scope="session")
def shared_site(browser: Any, host: Server, nodes2: bool) -> Iterator[Site]:
    """The page that the tests share; loading the front end takes longer than most of them."""
    site = new_site(browser, host, nodes2)
    yield site
    site.page.context.close()


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    """The shared page; the test fails when it has logged an error that is not the host's own noise."""
    prepare(shared_site.host, shared_site.nodes2)
    shared_site.begin_anew()
    yield shared_site
    assert shared_site.errors == []


@pytest.fixture
def own_site(browser: Any, host: Server, nodes2: bool) -> Iterator[Site]:
    """A page of the test's own, with the same condition."""
    prepare(host, nodes2)
    site = new_site(browser, host, nodes2)
    yield site
    site.page.context.close()
    assert site.errors == []


@pytest.fixture
def page(site: Site) -> Any:
    """Playwright's page of ``site``."""
    return site.page


@pytest.fixture
def open_template(site: Site) -> Callable[[str], Site]:
    """A function that opens a shipped workflow by its name."""
    return site.open_template
