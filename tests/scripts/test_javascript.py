"""Node.js and Chromium: found where they are, installed only where that may be, and absent without harm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import chromium
import javascript
import pytest


@pytest.mark.parametrize(("answer", "found"), [("v20.1.0", True), ("v18.0.0", True), ("v16.20.2", False), ("", False)])
def test_a_nodejs_without_a_test_runner_is_none(monkeypatch, answer, found):
    monkeypatch.setattr(shutil, "which", lambda _name: "node")
    result = subprocess.CompletedProcess([], 0, stdout=answer, stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_keywords: result)
    assert (javascript.find_node() == "node") is found


def test_a_compiler_that_cannot_be_installed_is_skipped_and_leaves_nothing(monkeypatch, capsys, cache):
    def run(*_args, **_keywords):
        raise subprocess.CalledProcessError(1, "npm")

    monkeypatch.setattr(shutil, "which", lambda _name: "npm")
    monkeypatch.setattr(subprocess, "run", run)
    assert javascript.types_are_right("node") is True
    assert "skipped" in capsys.readouterr().out
    assert list((cache / "tools").iterdir()) == []


def test_a_compiler_is_installed_once(monkeypatch, cache):
    calls = []

    def run(command, **_keywords):
        calls.append(command)
        tsc = Path(command[command.index("--prefix") + 1]) / "node_modules" / "typescript" / "bin" / "tsc"
        tsc.parent.mkdir(parents=True)
        tsc.touch()

    monkeypatch.setattr(shutil, "which", lambda _name: "npm")
    monkeypatch.setattr(subprocess, "run", run)
    compiler = javascript.provide_compiler()
    assert compiler is not None
    assert compiler.is_file()
    assert javascript.provide_compiler() == compiler
    assert len(calls) == 1
    assert calls[0][-1] == f"typescript@{javascript.TYPESCRIPT}"
    assert [path.name for path in (cache / "tools").iterdir()] == [f"typescript-{javascript.TYPESCRIPT}"]


def test_the_browser_that_is_named_is_the_only_one(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    (tmp_path / "mine").touch()
    monkeypatch.setenv(chromium.CHOSEN, str(tmp_path / "mine"))
    assert chromium.provide_chromium() == str(tmp_path / "mine")
    monkeypatch.setenv(chromium.CHOSEN, str(tmp_path / "gone"))
    assert chromium.provide_chromium() is None


@pytest.fixture
def no_browser(monkeypatch) -> list[list[str]]:
    """A machine without a browser; the commands that would install one."""
    commands = []

    def run(command, **_keywords):
        commands.append(command)
        return subprocess.CompletedProcess(command, 100, stdout="", stderr="no such package")

    monkeypatch.delenv(chromium.CHOSEN, raising=False)
    monkeypatch.setattr(chromium, "find_chromium", lambda: None)
    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_nothing_is_installed_where_that_may_not_be(monkeypatch, no_browser):
    monkeypatch.setattr(chromium, "may_install", lambda: False)
    assert chromium.provide_chromium() is None
    assert no_browser == []


def test_an_installation_that_fails_is_told_and_is_no_error(monkeypatch, no_browser, capsys):
    monkeypatch.setattr(chromium, "may_install", lambda: True)
    assert chromium.provide_chromium() is None
    assert [command[:2] for command in no_browser] == [["apt-get", "update"]]
    assert "no such package" in capsys.readouterr().out
