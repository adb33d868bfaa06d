"""Command lines that mean the same in every shell of a system, whatever its folders are called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import windows_shells
from windows_shells import NotRunError, Started

from pack.nodes.host.page.terminals import POWERSHELL, Typed, in_posix, in_windows

OPTIONS = ["-m", "accelerate.commands.launch", "--num_processes", "2"]
IN_BOTH = [
    "plain", "two words", "R&D", "a (copy)", "it's", "a^b", "a;b", "a,b", "a=b", "{a}", "#1", "@home", "~", "!a!",
    "\u2019t is", "Gr\u00f6\u00dfe", "a  b", "-a.b",
]  # fmt: skip
IN_POWERSHELL = [
    "cost$",
    "$HOME",
    "a`b",
    "%PATH%",
    "100% sure",
    "\u201cquoted\u201d",
    "[new]",
    "it's $5",
    "\u2019t is $5",
]


def windows(name: str, **change: str) -> tuple[Typed, str, list[str]]:
    """The lines, the path of Python and the words that are to reach it, where all folders have a name."""
    root = change.get("root", f"D:\\{name}")
    python = f"{root}\\python_embeded\\{change.get('program', 'python.exe')}"
    script = f"{root}\\custom_nodes\\fewshot-video\\train.py"
    arguments = ["a run", "--base-directory", f"E:\\{name}"]
    return in_windows(python, OPTIONS, script, arguments), python, [*OPTIONS, script, *arguments]


@pytest.mark.parametrize("name", IN_BOTH)
def test_a_line_means_the_same_to_cmd_and_to_powershell(name):
    typed, python, words = windows(name)
    assert typed.shell == ""
    folder = python.rpartition("\\")[0]
    for shell in (windows_shells.cmd, windows_shells.powershell):
        assert shell(typed.command) == Started(".\\python.exe", words, folder)


@pytest.mark.parametrize("name", IN_POWERSHELL)
def test_a_folder_that_no_line_names_in_both_has_one_for_powershell(name):
    typed, python, words = windows(name)
    assert typed.shell == POWERSHELL
    started = windows_shells.powershell(typed.command)
    assert started == Started(python, words, f"D:\\{name}\\custom_nodes\\fewshot-video")


@pytest.mark.parametrize("root", ["C:", "\\\\server\\my share"], ids=["a drive", "a share"])
def test_folders_at_the_root_keep_their_meaning(root):
    typed, python, words = windows("a b", root=root)
    assert windows_shells.cmd(typed.command) == Started(".\\python.exe", words, python.rpartition("\\")[0])
    assert windows_shells.powershell(typed.command).words == words


def test_a_backslash_at_the_end_does_not_take_the_quote_with_it():
    typed = in_windows("C:\\python.exe", [], "C:\\train.py", ["--output-directory", "D:\\", "--x", "D:\\a b\\"])
    words = ["C:\\train.py", "--output-directory", "D:\\", "--x", "D:\\a b"]
    for shell in (windows_shells.cmd, windows_shells.powershell):
        assert shell(typed.command) == Started(".\\python.exe", words, "C:\\")


def test_a_program_with_an_odd_name_is_called_by_powershell():
    typed, python, words = windows("plain", program="my python.exe")
    assert typed.shell == POWERSHELL
    assert windows_shells.powershell(typed.command) == Started(python, words, "D:\\plain\\custom_nodes\\fewshot-video")


@pytest.mark.parametrize(
    ("lines", "shell"),
    [
        ('pushd "C:\\a"\n"C:\\a b\\python.exe" x', windows_shells.powershell),
        ('cd /d "C:\\a"\npython.exe x', windows_shells.powershell),
        ('pushd "C:\\$a"\n.\\python.exe x', windows_shells.powershell),
        ('pushd "C:\\a"\n.\\python.exe "x y\\" z', windows_shells.cmd),
        ("pushd \"C:\\a\"\n.\\python.exe 'R&D'", windows_shells.cmd),
        ('pushd "C:\\%PATH%"\n.\\python.exe x', windows_shells.cmd),
    ],
    ids=[
        "a path in quotes",
        "cd with an option",
        "a variable",
        "a backslash before a quote",
        "an open ampersand",
        "a variable of cmd",
    ],
)
def test_the_rules_refuse_what_a_shell_takes_otherwise(lines, shell):
    with pytest.raises(NotRunError):
        shell(lines)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sh, and forbids some of these names")
@pytest.mark.parametrize("name", [*IN_BOTH, *IN_POWERSHELL, 'say "a"', "a\\b", "a\nb", "*", "$(exit 1)", "a|b<c>"])
def test_sh_starts_python_with_the_words_as_they_are(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    python, script, said = folder / "python", folder / "train.py", tmp_path / "said"
    python.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$PWD\" \"$@\" > '{said}'\n")
    python.chmod(0o700)
    typed = in_posix(str(python), OPTIONS, str(script), ["a run", "--base-directory", str(folder)])
    subprocess.run(["sh"], input=typed.command, cwd=Path("/"), text=True, check=True, env={"PATH": os.defpath})
    place, *words, _ = said.read_text().split("\0")
    assert (place, words) == (str(folder), [*OPTIONS, "train.py", "a run", "--base-directory", str(folder)])
