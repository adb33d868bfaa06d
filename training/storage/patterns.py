"""Patterns that others wrote: a search that would not end is given up."""

from __future__ import annotations

import re
import time
from typing import Any

LONGEST = 2000  # characters of a pattern
PATIENCE = 2.0  # seconds for all searches of one pattern together; real ones take microseconds


class SafePattern:
    """A regular expression whose searches have a time limit.

    Why not ``re``: it cannot be stopped, and a pattern such as ``(a|aa)+$`` takes longer than anybody lives. The
    package ``regex``, which diffusers needs too, reads the same patterns and can.
    """

    def __init__(self, pattern: str) -> None:
        """Compile it.

        Raises:
            ValueError: it is no pattern, or longer than anybody writes one.
        """
        import regex

        if len(pattern) > LONGEST:
            raise ValueError(f"a pattern of {len(pattern)} characters is too long; {LONGEST} are read at most")
        self.pattern, self.seconds_left = pattern, PATIENCE
        try:
            re.compile(pattern)  # what it says is wrong names the place
            self._compiled: Any = regex.compile(pattern)
        except (re.error, regex.error, OverflowError, RecursionError) as error:
            raise ValueError(f"it is no valid expression ({error})") from error

    def search(self, text: str) -> bool:
        """Whether the pattern is found in a text.

        Raises:
            ValueError: it takes too long.
        """
        return self._timed(self._compiled.search, text)

    def fullmatch(self, text: str) -> bool:
        """Whether the pattern fits all of a text.

        Raises:
            ValueError: it takes too long.
        """
        return self._timed(self._compiled.fullmatch, text)

    def _timed(self, method: Any, text: str) -> bool:
        begun = time.monotonic()
        try:
            return method(text, timeout=max(self.seconds_left, 1e-3)) is not None
        except TimeoutError as error:
            raise ValueError(
                f"the pattern {self.pattern[:100]!r} takes too long to search {text[:100]!r} for; write it without "
                "repetitions inside of repetitions"
            ) from error
        finally:
            self.seconds_left -= time.monotonic() - begun
