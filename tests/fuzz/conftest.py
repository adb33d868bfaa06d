"""How many random calls a node gets, and what came of them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import host_in_process
import pytest
from call_limits import bounded_time

if host_in_process.is_set():
    host_in_process.start()


@pytest.fixture
def fuzz_examples(request: pytest.FixtureRequest) -> int:
    """``--fuzz-examples``: 40, in CI 300 in the newest ComfyUI, 5000 by hand."""
    return request.config.getoption("--fuzz-examples")


@pytest.fixture(scope="session")
def written_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files for the nodes that read some, made once."""
    import fuzz_files

    base = tmp_path_factory.mktemp("fuzz")
    fuzz_files.write_models(base / "models")
    fuzz_files.write_inputs(base / "input")
    with pytest.MonkeyPatch.context() as patch:
        fuzz_files.put_host_in(base, patch)
        fuzz_files.write_run()
    return base


@pytest.fixture(autouse=True)
def _folders_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written_files: Path) -> None:
    """Models, input and output that no other test has been in, so that what is drawn depends on no order."""
    import fuzz_files

    shutil.copytree(written_files, tmp_path, dirs_exist_ok=True)
    fuzz_files.put_host_in(tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def _short_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One template instead of all, whose clips are large; and small adapters."""
    import aicl_runs

    from pack.nodes.host.services import templates

    pairs = templates.template_pairs
    monkeypatch.setattr(templates, "template_pairs", lambda count=None: pairs(min(count or 1, 1)))
    with aicl_runs.small_presets():
        yield


@pytest.fixture(autouse=True)
def _ends(request: pytest.FixtureRequest) -> Iterator[None]:
    with bounded_time(request):
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what the calls of each node ended in: a node that refuses them all is not tried at all."""
    total: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        counts = {name: count for name, count in report.user_properties if name in ("calls", "fine", "refused")}
        if counts:
            terminalreporter.write_line(f"{report.nodeid.rpartition('[')[2][:-1]}: {_shown(counts)}")
            total.update(counts)
    if total:
        terminalreporter.write_line(f"all nodes: {_shown(total)}")


def _shown(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts.get(name, 0)} {name}" for name in ("calls", "fine", "refused"))
