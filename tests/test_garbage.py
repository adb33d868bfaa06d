"""The collector goes on in the tests, and passes over what was imported before them."""

from __future__ import annotations

import gc
import sys
import weakref


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
