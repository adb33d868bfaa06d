"""What was found in files, kept in one file: as long as they stay as they are, they need not be opened again."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .atomic import write_atomically
from .json_text import LONGEST, read_json

log = logging.getLogger(__name__)

FORMAT = "fewshot_video.noted 1"
MOST = 100_000  # values that are noted, the last ones


class Noted:
    """Plain values by name; each counts as long as size and times of its file stay.

    A file that is changed without a trace in these is not noticed here: whatever is read of it is checked when it is.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: dict[str, list[Any]] | None = None  # read at the first question
        self._new: dict[str, list[Any]] = {}

    def find(self, name: str, seen: list[Any]) -> Any:
        """What is noted under a name, or None; ``seen`` are the ``stamps`` of its file now."""
        before, value = self._all().get(name) or (None, None)
        return value if before == seen else None

    def note(self, name: str, seen: list[Any], value: Any) -> None:
        """Keep a value that JSON can hold; ``seen`` is of before the file was read."""
        entry = [seen, value]
        if self._all().get(name) != entry:
            self._all()[name] = self._new[name] = entry

    def save(self, there: Callable[[str], bool] = lambda _name: True) -> None:
        """Write what is new beside what other processes have noted; what is not ``there`` any more is left out."""
        if not self._new:
            return
        entries = {name: entry for name, entry in {**self._read(), **self._new}.items() if there(name)}
        self._new = {}
        try:
            write_atomically(self.file, _text(list(entries.items())[-MOST:]).encode())
        except OSError as error:  # the files are opened again the next time
            log.info("%s could not be written (%s)", self.file.name, error)

    def _all(self) -> dict[str, list[Any]]:
        if self._known is None:
            self._known = self._read()
        return self._known

    def _read(self) -> dict[str, list[Any]]:
        """What is in the file; nothing where it is missing, damaged, or of another version."""
        try:
            found = read_json(self.file)
            entries = found["entries"] if found["format"] == FORMAT else {}
            return {name: [seen, value] for name, (seen, value) in entries.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def stamps(stat: os.stat_result) -> list[int]:
    """Size, and the times at which what is in a file and what the system says of it were changed."""
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _text(entries: list[tuple[str, list[Any]]]) -> str:
    """As JSON, without the first ones where it would be too long to be read."""
    text = json.dumps({"format": FORMAT, "entries": dict(entries)})
    return text if len(text) <= LONGEST else _text(entries[len(entries) // 2 + 1 :])
