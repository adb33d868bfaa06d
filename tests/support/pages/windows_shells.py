"""What cmd and PowerShell make of lines that are pasted into them, after their documented rules; parts of these alone.

Source: "cmd", about_Quoting_Rules, about_Parsing and CommandLineToArgvW, learn.microsoft.com.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DOUBLE, SINGLE = '"\u201c\u201d\u201e', "'\u2018\u2019\u201a\u201b"  # quotes to PowerShell
PLACES = {"pushd": None, "Push-Location": "-LiteralPath"}  # and what lets it take a folder as it is


class NotRunError(Exception):
    """The shell would not start the program, or with other words."""


@dataclass(frozen=True)
class Started:
    """A program, its words, and the folder it is started in."""

    program: str
    words: list[str]
    folder: str


def cmd(lines: str) -> Started:
    """What cmd starts; what stands between two percent signs may be a variable."""
    place, line = lines.split("\n")
    if max(place.count("%"), line.count("%")) > 1:
        raise NotRunError("%")
    command, _, folder = place.partition(" ")
    if command != "pushd" or not re.fullmatch(r'"[^"]*"', folder):
        raise NotRunError(place)
    if re.search(r"[&|<>^()]", re.sub(r'"[^"]*"', "", line)):
        raise NotRunError(line)
    program, *words = to_words(line)
    if line.startswith('"') or "/" in program:
        raise NotRunError(program)
    return Started(program, words, folder[1:-1])


def to_words(line: str) -> list[str]:
    """A command line as a program of Windows takes it apart."""
    found, word, inside, at = [], None, False, 0
    while at < len(line):
        slashes = len(line) - at - len(line[at:].lstrip("\\"))
        if slashes:
            quote = line[at + slashes : at + slashes + 1] == '"'
            word = (word or "") + "\\" * (slashes // 2 if quote else slashes)
            at += slashes
            if quote and slashes % 2:
                word, at = word + '"', at + 1
        elif line[at] == '"':
            word, inside, at = word or "", not inside, at + 1
        elif line[at] == " " and not inside:
            found, word, at = found + ([] if word is None else [word]), None, at + 1
        else:
            word, at = (word or "") + line[at], at + 1
    if inside:
        raise NotRunError(line)
    return found + ([] if word is None else [word])


def powershell(lines: str) -> Started:
    """What PowerShell starts."""
    place, line = (_tokens(each) for each in lines.split("\n"))
    literal = PLACES.get(place[0][0])
    if place[0][0] not in PLACES or (literal and place[1][0] != literal):
        raise NotRunError(place)
    folder = place[-1][0]
    if not literal and re.search(r"[\[\]*?]", folder):
        raise NotRunError(f"{folder} is a pattern")
    called = line[0] == ("&", False)
    program, quoted = line[called]
    if quoted and not called:
        raise NotRunError(f"{program} is a text")
    return Started(program, [word for word, _ in line[called + 1 :]], folder)


def _tokens(line: str) -> list[tuple[str, bool]]:
    """Words, and whether each is in quotes; of nothing that PowerShell would expand, pipe or end."""
    found, at = [], 0
    while at < len(line):
        if line[at] == " ":
            at += 1
            continue
        quotes = next((kind for kind in (DOUBLE, SINGLE) if line[at] in kind), None)
        if quotes is None:
            word = re.match("[^ ]+", line[at:])[0]
            if word != "&" and re.search(f"[{DOUBLE}{SINGLE}`$&|;,@#(){{}}<>%=]", word):
                raise NotRunError(word)
            found, at = [*found, (word, False)], at + len(word)
            continue
        text = re.match(f"[{quotes}]((?:[^{quotes}]|[{quotes}]{{2}})*)[{quotes}](?= |$)", line[at:])
        if text is None or (quotes == DOUBLE and re.search("[`$]", text[1])):
            raise NotRunError(line[at:])
        value = re.sub(f"([{quotes}])[{quotes}]", r"\1", text[1])
        if value.endswith("\\") and found[:1] != [("Push-Location", False)] and found[:1] != [("pushd", False)]:
            raise NotRunError(f"{value} reaches the program with the quote behind it")
        found, at = [*found, (value, True)], at + len(text[0])
    return found
