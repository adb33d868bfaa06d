"""Renames that wait for whoever holds the file: virus scanners, sync clients and readers, on Windows."""

from __future__ import annotations

import time
from pathlib import Path

PATIENCE = 8.0  # seconds
PAUSE, LONGEST = 0.02, 0.5  # between two tries: the first one, doubled each time, and the longest
# Of Windows: access denied (to a file that is being deleted or read), sharing violation, lock violation.
HELD = (5, 32, 33)


def rename(source: Path, target: Path, seconds: float = PATIENCE) -> None:
    """Give a file or folder another name, in place of a file that has it; tried again while another process holds one.

    Source: "System Error Codes (0-499)", learn.microsoft.com.

    Raises:
        OSError: it is held for longer, or it is another failure.
    """
    until, pause = time.monotonic() + seconds, PAUSE
    while True:
        try:
            source.replace(target)
        except OSError as error:
            if getattr(error, "winerror", None) not in HELD or time.monotonic() + pause > until:
                raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST)
        else:
            return
