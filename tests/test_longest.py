"""The longest files of tests come first where several processes share them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import longest
import pytest
from longest import LONGEST, TESTS

SHORT, LONG, LONGER = "test_seeds.py", LONGEST[1], LONGEST[0]


def items_of(*names: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(path=TESTS / name, number=number) for number, name in enumerate(names)]


def test_every_file_is_there_and_named_once():
    assert all((TESTS / name).is_file() for name in LONGEST)
    assert len(set(LONGEST)) == len(LONGEST)


def test_only_shared_tests_are_sorted_and_those_of_a_file_stay_as_they_are():
    items = items_of(SHORT, LONG, LONGER, LONG)
    items.append(SimpleNamespace(path=Path("/elsewhere/test_other.py"), number=4))
    longest.sort(SimpleNamespace(), items)
    assert [item.number for item in items] == [0, 1, 2, 3, 4]
    longest.sort(SimpleNamespace(workerinput={}), items)
    assert [item.number for item in items] == [2, 1, 3, 0, 4]


def test_a_file_of_one_long_test_is_begun_before_one_of_many_short_ones(tmp_path):
    pytest.importorskip("xdist")
    (tmp_path / "conftest.py").write_text(
        "import sys\n"
        f"sys.path.append({str(TESTS / 'support')!r})\n"
        "from pathlib import Path\n"
        "import longest\n"
        "longest.TESTS, longest.LONGEST = Path(__file__).parent, ('test_b.py',)\n"
        "pytest_configure = longest.keep_order\n"
        "pytest_collection_modifyitems = longest.sort\n"
    )
    (tmp_path / "test_a.py").write_text("".join(f"def test_{number}(): pass\n" for number in range(9)))
    (tmp_path / "test_b.py").write_text("def test_long(): pass\n")
    command = [sys.executable, "-m", "pytest", "-v", "-n", "1", "--dist", "loadfile", "-p", "no:cacheprovider", "."]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    ended = [line for line in said.splitlines() if "PASSED" in line]
    assert len(ended) == 10
    assert "test_b.py" in ended[0]
