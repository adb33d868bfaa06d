"""Help pages in further languages: which parts of an English page have changed since they were translated.

``js/docs/NODE/LANGUAGE.md`` translates ``en.md`` part by part: each heading, paragraph, row of a table, item of a list
and block of code has its translation in the same place. Digests of the English parts it was made from are kept in
``scripts/translations/help_pages.json``; spaces and the ends of lines do not count.

python scripts/translate_help.py            list what is to be translated again; fails when there is something
python scripts/translate_help.py PAGE ...   note that these pages translate today's English ones, once they do
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from host_setup.pins import ROOT, say

PAGES = ROOT / "js" / "docs"
NOTED = ROOT / "scripts" / "translations" / "help_pages.json"
SOURCE = "en.md"
PART = re.compile(
    r"^(?P<code>```(?s:.*?)^```)$|^(?P<heading>#.*)|^(?P<row>\|.*)"
    r"|^(?P<item>- .*(?:\n  .*)*)|^(?P<paragraph>\S.*(?:\n(?![-#|] ?|```)\S.*)*)",
    re.MULTILINE,
)
Noted = dict[str, list[str]]  # pages, as `TICFTTrain/ja.md`, to the digests of the English parts they were made from


@dataclass(frozen=True)
class Part:
    """A part of a page: its kind, where it begins (a line, from 1) and its text."""

    kind: str
    line: int
    text: str

    @property
    def form(self) -> str:
        """What a translation has in common with it: the kind, the level of a heading, the number of a row's cells."""
        if self.kind == "heading":
            return f"heading {self.text.split()[0]}"
        return f"row of {len(cells(self.text))}" if self.kind == "row" else self.kind

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with the words of the part."""
        return hashlib.sha256(" ".join(self.text.split()).encode()).hexdigest()[:8]


def parts(text: str) -> list[Part]:
    """The parts of a page in their order."""
    return [
        Part(str(match.lastgroup), text.count("\n", 0, match.start()) + 1, match[0]) for match in PART.finditer(text)
    ]


def cells(row: str) -> list[str]:
    """The cells of a table's row."""
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def translations() -> list[Path]:
    """The pages in further languages."""
    return sorted(path for path in PAGES.glob("*/*.md") if path.name != SOURCE)


def pairs(path: Path) -> list[tuple[Part, Part]]:
    """The parts of a page's English page, each with its translation.

    Raises:
        ValueError: The page has other parts than the English one.
    """
    english, own = _both(path)
    for source, part in zip(english, own, strict=False):
        if source.form != part.form:
            raise ValueError(
                f"{_name(path)}, line {part.line}: {part.form!r} stands where line {source.line} of "
                f"{SOURCE} has {source.form!r}; translate part by part"
            )
    if len(english) != len(own):
        raise ValueError(f"{_name(path)} has {len(own)} parts and {SOURCE} {len(english)}; translate part by part")
    return list(zip(english, own, strict=True))


def to_do() -> list[str]:
    """What is wrong with the pages in further languages, a sentence each."""
    noted, paths = read(), translations()
    known = {_key(path) for path in paths}
    gone = [f"js/docs/{key} is noted in {NOTED.name} and is no page" for key in noted if key not in known]
    return gone + [line for path in paths for line in _of_page(path, noted.get(_key(path), []))]


def _of_page(path: Path, noted: list[str]) -> Iterator[str]:
    """What is to be done on a page that was made from English parts of these digests."""
    if not path.with_name(SOURCE).is_file():
        yield f"{_name(path)} translates no page: there is no {SOURCE}"
        return
    if not noted:
        script = f"python scripts/translate_help.py {_name(path)}"
        yield f"{_name(path)} is new: once it translates all of {SOURCE}, run {script}"
        return
    english, own = _both(path)
    today = [part.digest for part in english]
    for part in english:
        if part.digest not in noted:
            yield f"{_name(path)}: to be translated, line {part.line} of {SOURCE}: {part.text}"
    for place, digest in enumerate(noted):
        if digest not in today:
            line = f"line {own[place].line}" if len(own) == len(noted) else "a part"
            yield f"{_name(path)}: {line} translates what {SOURCE} no longer says"
    if noted != today and sorted(noted) == sorted(today):
        yield f"{_name(path)}: the parts of {SOURCE} stand in another order now"


def note(paths: list[Path]) -> None:
    """Note that pages translate today's English ones.

    Raises:
        ValueError: One has other parts than its English page, or is none of the pages.
    """
    pages, noted = translations(), read()
    for path in paths:
        if path.resolve() not in pages:
            raise ValueError(f"{path} is no translated help page; they are called js/docs/NODE/LANGUAGE.md")
        noted[_key(path.resolve())] = [english.digest for english, _ in pairs(path.resolve())]
    keys = sorted(key for key in noted if PAGES / key in pages)
    content = {key: " ".join(noted[key]) for key in keys}
    NOTED.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")


def read() -> Noted:
    """The digests that were noted."""
    content = json.loads(NOTED.read_text(encoding="utf-8")) if NOTED.is_file() else {}
    return {key: digests.split() for key, digests in content.items()}


def _both(path: Path) -> tuple[list[Part], list[Part]]:
    """The parts of a page's English page, and its own."""
    english, own = (parts(page.read_text(encoding="utf-8")) for page in (path.with_name(SOURCE), path))
    return english, own


def _key(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _name(path: Path) -> str:
    return f"js/docs/{_key(path)}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="List what is to be translated again in the help pages.")
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="translates today's English page")
    options = parser.parse_args(arguments)
    try:
        note(options.pages) if options.pages else None
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    wrong = to_do()
    for line in wrong:
        say(line)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
