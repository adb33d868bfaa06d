"""The one command that runs everything: stages, exit codes and their environment."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from host_setup import front_end
from host_setup.front_end import NEWEST
from host_setup.patience import HUNG, VARIABLE
from host_setup.pins import Host
from patience import PATIENCE
from version_free import VERSION_FREE, is_version_free
from workflow_files.names import title_of

# `test` is also a package of the standard library, so it is loaded by path.
_spec = importlib.util.spec_from_file_location(
    "fewshot_test_command", Path(__file__).parents[2] / "scripts" / "test.py"
)
assert _spec is not None
assert _spec.loader is not None
command = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(command)

HOST = Host(Path("ComfyUI"), Path(sys.executable), "0.30.0")
TYPED = subprocess.CompletedProcess([], 0, "0 errors, 0 warnings, 0 informations", "")


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 0, 0], 0), ([0, 5, 5], 0), ([5, 0, 0], 0), ([5, 5, 5], 5), ([1, 0, 0], 1), ([5, 2], 2), ([0, 0, 1], 1)],
)
def test_a_stage_without_a_matching_test_is_fine_unless_all_are(codes, expected):
    assert command.combine(codes) == expected


def test_the_unit_stage_sees_no_host_and_the_other_one_does(monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", "somewhere")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert "COMFYUI_PATH" not in command.environment(None)
    assert command.environment(HOST)["COMFYUI_PATH"] == "ComfyUI"
    assert command.environment(None)["OMP_NUM_THREADS"] == "1"


def test_compiled_code_is_kept_for_the_next_process(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert "PYTHONDONTWRITEBYTECODE" not in command.environment(HOST)


@pytest.mark.parametrize(
    ("cores", "absent", "expected"),
    [(2, [], ["-n", "2", "--dist", "loadfile"]), (64, [], ["-n", "4", "--dist", "loadfile"]), (1, [], []),
     (None, [], []), (2, ["xdist"], [])],
)  # fmt: skip
def test_a_process_per_core_shares_the_tests_where_that_can_be(monkeypatch, cores, absent, expected):
    monkeypatch.setattr(command.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(command, "missing_modules", lambda _python, _names: absent)
    assert command.shared_out(Path("P"), command.BY_FILE) == expected


def test_the_one_command_has_all_it_starts_wait_as_long(monkeypatch):
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(command, "run_stages", lambda _options, _extra: float(os.environ[VARIABLE]))
    assert command.main([]) == HUNG == PATIENCE


def test_missing_packages_are_named():
    assert command.missing_modules(Path(sys.executable), ("json", "no_such_package")) == ["no_such_package"]


@pytest.fixture
def stages(monkeypatch) -> list[tuple[str, Path, list[str]]]:
    """The stages of tests that were run: title, Python and arguments. The first one fails, and none runs."""
    calls = []

    def run_pytest(title, python, _host, arguments, _how=""):
        calls.append((title, python, arguments))
        return 1 if len(calls) == 1 else 0

    monkeypatch.setattr(command, "find_existing", lambda: None)
    monkeypatch.setattr(
        command, "ensure_built", lambda pin: Host(Path("C"), Path(f"python-{pin.comfyui}"), pin.comfyui)
    )
    monkeypatch.setattr(command, "find_or_build", lambda version: Host(Path("C"), Path("mine"), version or "0.31.0"))
    monkeypatch.setattr(command, "missing_modules", lambda _python, _names: [])
    monkeypatch.setattr(command, "run_style", lambda _host: 0)
    monkeypatch.setattr(command, "find_types", lambda _host: TYPED)
    monkeypatch.setattr(command, "run_javascript", lambda: 0)
    monkeypatch.setattr(command, "provide_chromium", lambda: "a chromium")
    monkeypatch.setattr(command, "run_pytest", run_pytest)
    monkeypatch.setattr(front_end, "provide_front_end", lambda _host, version: f"pages of {version}")
    for name in (command.CHOSEN, front_end.CHOSEN):
        monkeypatch.setenv(name, "")  # it is set by the stage
    return calls


def test_further_arguments_reach_every_stage_and_a_failure_is_the_result(stages, capsys):
    assert command.main(["-k", "release"]) == 1
    assert [arguments[-2:] for _, _, arguments in stages] == [["-k", "release"]] * 5
    assert "FAILED" in capsys.readouterr().out


def test_a_run_ends_with_what_failed_in_it(monkeypatch, tmp_path, capsys):
    (tmp_path / "test_two.py").write_text(
        "def test_good(): pass\ndef test_bad(): assert 2 + 2 == 5\n", encoding="utf-8"
    )
    monkeypatch.setattr(command, "FAILED", [])
    monkeypatch.setattr(command, "SLOWEST", ("-p", "no:cacheprovider", "--rootdir", str(tmp_path)))
    monkeypatch.setattr(command, "find_hosts", lambda _version: [HOST])
    for stage in ("run_host", "run_browser"):
        monkeypatch.setattr(command, stage, lambda *_arguments: 0)
    monkeypatch.setattr(command, "run_style", lambda _host: 1)
    monkeypatch.setattr(command, "find_types", lambda _host: None)
    monkeypatch.setattr(command, "run_javascript", lambda: 0)
    monkeypatch.setattr(command, "HOST_FOLDERS", ())
    assert command.main(["-n", "0", str(tmp_path / "test_two.py")]) == 1
    end = capsys.readouterr().out
    assert "failed in unit tests, without a host: test_two::test_bad" in end
    assert "assert (2 + 2) == 5" in end.partition("test_bad")[2]
    assert "test_good" not in end
    assert "failed in style, types and JavaScript: 1 of the checks" in end
    assert end.rstrip().splitlines()[-1].startswith("=== FAILED after")


def test_the_unit_tests_run_once_and_the_others_in_every_pinned_host_from_the_newest_on(stages):
    command.main([])
    assert [title for title, _, _ in stages] == [
        "unit tests, without a host",
        "tests in ComfyUI 0.30.0",
        "tests in ComfyUI 0.27.0",
        "tests in the browser, ComfyUI 0.30.0",
        f"tests in the browser, ComfyUI 0.30.0, front end {NEWEST}",
    ]
    assert [python.name for _, python, _ in stages] == [
        "python-0.30.0",
        "python-0.30.0",
        "python-0.27.0",
        "python-0.30.0",
        "python-0.30.0",
    ]


def test_each_front_end_draws_nodes_in_one_way_and_both_where_only_they_are_asked_for(stages):
    command.main([])
    drawn = [arguments[arguments.index("--drawn") + 1] for _, _, arguments in stages if "--drawn" in arguments]
    assert drawn == ["classic", "nodes2"]
    assert all("--drawn" in arguments for title, _, arguments in stages if "browser" in title)
    stages.clear()
    command.main(["--front-end", "newest"])
    assert not [title for title, _, arguments in stages if "--drawn" in arguments]


def test_only_a_further_host_does_without_the_tests_that_one_version_settles(stages):
    command.main([])
    assert [title for title, _, arguments in stages if "--skip-version-free" in arguments] == [
        "tests in ComfyUI 0.27.0"
    ]
    stages.clear()
    command.main(["--host", "0.27.0"])
    assert not [title for title, _, arguments in stages if "--skip-version-free" in arguments]


def test_every_test_on_the_list_of_those_is_there_and_has_its_reason(root):
    for test, reason in VERSION_FREE.items():
        path, _, name = test.partition("::")
        assert (root / path).exists(), test
        name, _, workflow = name.removesuffix("]").partition("[")
        assert not name or f"def {name}(" in (root / path).read_text(encoding="utf-8"), test
        assert not workflow or (root / "workflows" / f"{title_of(workflow)}.json").exists(), test
        assert reason
        assert is_version_free(f"{test}/test_some.py" if (root / path).is_dir() else test)
    assert is_version_free("tests/nodes/model/test_toy_pretrain.py::test_a_stage_goes_on_where_it_stopped")
    assert not is_version_free("tests/nodes/model/test_toy.py::test_the_combo_offers_every_kind")
    assert not is_version_free("tests/nodes/model/test_families.py::test_anything")
    run = "tests/nodes/workflows/test_run.py::test_a_toy_workflow_runs_and_makes_exactly_its_frames"
    assert is_version_free(f"{run}[aicl_train_toy]")
    assert not is_version_free(f"{run}[aicl_toy]")


@pytest.mark.parametrize(
    ("arguments", "existing", "expected"),
    [(["--host", "0.27.0"], None, "0.27.0"), ([], HOST, "0.31.0"), (["--host", "0.30.0"], HOST, "0.30.0")],
)
def test_one_host_can_be_chosen_and_the_one_at_hand_is_the_only_one(stages, monkeypatch, arguments, existing, expected):
    monkeypatch.setattr(command, "find_existing", lambda: existing)
    command.main(arguments)
    assert stages[1][0] == f"tests in ComfyUI {expected}"
    pages = f"tests in the browser, ComfyUI {expected}"
    browser = [pages, f"{pages}, front end {NEWEST}"] if expected != "0.27.0" else []  # its pages are older
    assert [title for title, _, _ in stages[2:]] == browser


def test_a_host_without_the_packages_is_refused_before_any_stage(stages, monkeypatch, capsys):
    monkeypatch.setattr(command, "missing_modules", lambda python, _names: ["av"] * (python.name == "python-0.27.0"))
    assert command.main([]) == 1
    assert stages == []
    assert "python-0.27.0 lacks av" in capsys.readouterr().err


def test_pyright_that_cannot_run_is_skipped_with_a_line(monkeypatch, capsys):
    def run(*_args, **_keywords):
        return subprocess.CompletedProcess([], 1, stdout="", stderr="cannot fetch node")

    monkeypatch.setattr(command, "missing_modules", lambda _python, _names: [])
    monkeypatch.setattr(command.subprocess, "run", run)
    assert command.types_are_right(command.find_types(HOST)) is True
    assert "skipped (cannot fetch node)" in capsys.readouterr().out
    monkeypatch.setattr(command, "missing_modules", lambda _python, names: list(names))
    assert command.types_are_right(command.find_types(HOST)) is True
    assert "pyright is not installed" in capsys.readouterr().out


def test_pyright_that_hangs_has_failed(monkeypatch, capsys):
    def run(given, **_keywords):
        raise subprocess.TimeoutExpired(given, HUNG)

    monkeypatch.setattr(command, "missing_modules", lambda _python, _names: [])
    monkeypatch.setattr(command.subprocess, "run", run)
    assert command.types_are_right(command.find_types(HOST)) is False
    assert "did not finish" in capsys.readouterr().out


def test_types_are_checked_beside_the_unit_tests_and_told_after_them(stages, monkeypatch, capsys):
    begun = threading.Event()

    def find_types(_host):
        while not begun.wait(PATIENCE):
            pass
        return subprocess.CompletedProcess([], 1, "2 errors, 0 warnings", "")

    monkeypatch.setattr(command, "find_types", find_types)
    monkeypatch.setattr(command, "run_unit", lambda *_arguments: command.announce("unit tests") or begun.set() or 0)
    monkeypatch.setattr(command, "FAILED", [])
    command.main([])
    out = capsys.readouterr().out
    assert out.index("=== unit tests") < out.index("=== types") < out.index("2 errors, 0 warnings")
    assert "failed in style, types and JavaScript: 1 of the checks" in out
    assert len(stages) == 4


@pytest.mark.parametrize(
    ("version", "absent", "chromium", "why"),
    [
        ("0.27.0", [], "a chromium", "front end of ComfyUI 0.30.0"),
        ("0.30.0", ["playwright"], "a chromium", "playwright is not installed"),
        ("0.30.0", [], None, "install one, or set FEWSHOT_CHROMIUM"),
    ],
)
def test_the_browser_tests_are_skipped_with_a_reason(stages, monkeypatch, capsys, version, absent, chromium, why):
    monkeypatch.setattr(command, "missing_modules", lambda _python, _names: absent)
    monkeypatch.setattr(command, "provide_chromium", lambda: chromium)
    assert command.run_browser(Host(Path("C"), Path("P"), version), []) == command.NO_TESTS
    assert stages == []
    assert why in capsys.readouterr().out


def test_the_browser_that_was_found_is_the_one_that_is_used(stages):
    command.run_browser(HOST, ["-x"])
    assert command.os.environ[command.CHOSEN] == "a chromium"
    assert stages[0][2] == ["tests/js", "-m", "browser", "-x"]
    assert command.os.environ[front_end.CHOSEN] == ""


def test_the_browser_tests_run_on_the_front_end_that_is_asked_for(stages):
    command.main(["--front-end", "1.50.6", "-x"])
    [(title, _, arguments)] = stages
    assert title == "tests in the browser, ComfyUI 0.31.0, front end 1.50.6"
    assert arguments == ["tests/js", "-m", "browser", "-x"]
    assert command.os.environ[front_end.CHOSEN] == "pages of 1.50.6"


def test_without_nodejs_its_checks_are_skipped_with_a_line(monkeypatch, capsys):
    monkeypatch.setattr(command, "find_node", lambda: None)
    assert command.run_javascript() == 0
    assert "skipped" in capsys.readouterr().out


@pytest.mark.parametrize(("tests", "types", "failed"), [(True, True, 0), (False, True, 1), (True, False, 1)])
def test_a_check_of_the_javascript_that_fails_counts(monkeypatch, tests, types, failed):
    monkeypatch.setattr(command, "find_node", lambda: "node")
    monkeypatch.setattr(command, "run_tests", lambda _node: tests)
    monkeypatch.setattr(command, "javascript_types_are_right", lambda _node: types)
    assert command.run_javascript() == failed


def test_an_order_reaches_every_stage(stages, monkeypatch):
    monkeypatch.setattr(command, "shuffled", lambda _python, seed: contextlib.nullcontext([f"seed {seed}"]))
    command.main(["--shuffle", "7", "-x"])
    command.main(["--fast", "--shuffle"])
    assert [arguments[-2:] for _, _, arguments in stages[:-1]] == [["seed 7", "-x"]] * 5
    assert stages[-1][2][-1] == f"seed {command.DRAWN}"


def test_a_package_that_is_laid_over_is_found_first(monkeypatch):
    monkeypatch.setenv(command.LAID_OVER, "folder")
    assert command.environment(None)["PYTHONPATH"] == "folder"


def test_the_first_host_gets_more_random_calls(stages):
    command.main(["-x"])
    counts = [
        arguments.count("--fuzz-examples") for title, _, arguments in stages if title.startswith("tests in ComfyUI")
    ]
    assert counts == [1] + [0] * (len(counts) - 1)
    assert len(counts) > 1
