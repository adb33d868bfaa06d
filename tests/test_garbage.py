"""The collector goes on in the tests, and passes over what was imported before them."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import garbage
import pytest

ROOT = Path(__file__).parents[1]


class Knot:
    """What only the collector frees."""

    def __init__(self) -> None:
        self.self = self


def test_what_a_test_leaves_is_collected():
    assert gc.isenabled()
    left = weakref.ref(Knot())
    gc.collect()
    assert left() is None


def test_what_was_imported_is_not_looked_at_again():
    seen = {id(thing) for thing in gc.get_objects()}
    assert id(vars(sys.modules["pack"])) not in seen
    assert id(Knot) not in seen


def test_what_outlives_a_file_of_tests_is_not_looked_at_again(request):
    (conftest,) = (
        plugin for plugin in request.config.pluginmanager.get_plugins()
        if getattr(plugin, "__file__", None) == str(ROOT / "tests" / "conftest.py")
    )  # fmt: skip
    made, left = Knot(), weakref.ref(Knot())
    for following, looked_at in ((request.node, True), (None, False)):
        hook = conftest.pytest_runtest_teardown(request.node, following)
        next(hook)
        with pytest.raises(StopIteration):
            hook.send(None)
        assert any(thing is made for thing in gc.get_objects()) is looked_at
    assert left() is None


def test_a_host_is_spared_in_the_same_way(tmp_path):
    garbage.spare_host(tmp_path)
    (node,) = (tmp_path / "custom_nodes").iterdir()
    text = f"{node.read_text()}\nprint(gc.get_freeze_count(), gc.isenabled(), NODE_CLASS_MAPPINGS)"
    said = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.split()
    assert int(said[0]) > 1000
    assert said[1:] == ["True", "{}"]
