"""A Python program as it is typed into a terminal: into a POSIX shell, or into cmd and PowerShell alike."""

from __future__ import annotations

import ntpath
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

POWERSHELL = "PowerShell"
_PLAIN = re.compile(r"[\w.:\\-]+", re.ASCII)  # means itself in both shells of Windows
_OPENS = re.compile("[$`\u201c\u201d\u201e]")  # within quotes PowerShell expands the first two; the others end them
_PATTERN = re.compile(r"[\[\]]")  # of file names, to PowerShell's pushd
_SINGLE = re.compile("(['\u2018\u2019\u201a\u201b])")  # all are single quotes to PowerShell


@dataclass(frozen=True)
class Typed:
    """Lines to paste into a terminal."""

    command: str
    shell: str = ""  # the only one of the system's shells that takes them; empty: each does


def in_posix(python: str, options: Sequence[str], script: str, arguments: Sequence[str]) -> Typed:
    """``python OPTIONS SCRIPT ARGUMENTS``, from the script's folder; the paths are absolute."""
    folder, _, name = script.rpartition("/")
    return Typed(f"cd {shlex.quote(folder)}\n{shlex.join([python, *options, name, *arguments])}")


def in_windows(python: str, options: Sequence[str], script: str, arguments: Sequence[str]) -> Typed:
    """The same on Windows: a form that cmd and PowerShell both take, or else one for PowerShell.

    A line that begins with a path in quotes is a mere text to PowerShell, and ``cd /d`` is cmd's alone; but both know
    ``pushd``, also to another drive, and a program in the folder they are in. No form holds for a path in which the one
    expands ``%`` or the other ``$``.

    Source: about_Quoting_Rules, about_Parsing and "cmd", learn.microsoft.com.
    """
    folder, name = ntpath.split(python)
    words = [*options, script, *arguments]
    place, line = f'pushd "{folder}"', " ".join([f".\\{name}", *map(_in_both, words)])
    one_percent = all(text.count("%") < 2 for text in (place, line))  # cmd expands what stands between two
    if _PLAIN.fullmatch(name) and one_percent and not _OPENS.search(place + line) and not _PATTERN.search(folder):
        return Typed(f"{place}\n{line}")
    place = f"Push-Location -LiteralPath {_in_powershell(ntpath.dirname(script))}"
    return Typed(f"{place}\n& {' '.join(map(_in_powershell, [python, *words]))}", POWERSHELL)


def _in_both(word: str) -> str:
    return word if _PLAIN.fullmatch(word) else f'"{_closed(word)}"'


def _in_powershell(word: str) -> str:
    return word if _PLAIN.fullmatch(word) else "'" + _SINGLE.sub(r"\1\1", _closed(word)) + "'"


def _closed(word: str) -> str:
    """Without the backslash at its end, which programs would read together with the quote behind it."""
    return word.rstrip("\\")
