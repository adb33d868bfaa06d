"""Taking paths of somebody's machine out of what is handed on: only the file's own name stays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SCHEMES = r"(?:file|smb|nfs):/+|[A-Za-z]:[\\/]+|\\\\+|\\(?=\w{2,}\\)|~\w*[\\/]+|\.\.[\\/]+"
_ROOTS = rf"(?:{_SCHEMES}|(?<!:/)/(?![/\s]))"
# Within a sentence a lone slash begins no path: "and/or", "/imagine".
_ROOTS_INSIDE = rf"(?:{_SCHEMES}|(?<!:/)/(?=[^/\s]+/))"
_HOME = re.compile(r"^(?:[A-Za-z]:)?[\\/]+(?:home|Users)[\\/]+[^\\/]+[\\/]*$", re.IGNORECASE)
# A folder's name may hold blanks: what follows a path on its line goes with it where it has a slash, rather than
# to leave half of a user's name.
_PATH = re.compile(rf"(?<![\w.]){_ROOTS_INSIDE}(?:[^\\/\n\"'<>|]+[\\/]+)*([^\s\\/\"'<>|,;)\]]*)")
_WHOLE = re.compile(rf"^{_ROOTS}[^\n\"<>|]*$")


def without_paths(value: Any) -> Any:
    """A JSON value whose absolute paths, of any system and wherever they stand, are cut to their last name.

    Names below a model folder, such as ``wan/base.safetensors``, stay: a graph needs them.
    """
    if isinstance(value, str):
        return _shortened(value)
    if isinstance(value, Mapping):
        return {_shortened(str(key)): without_paths(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_paths(entry) for entry in value]
    return value


def _shortened(text: str) -> str:
    bare = text.strip()
    if _HOME.match(bare):  # its last name is the user's
        return ""
    if _WHOLE.match(bare) and not re.search(r"\s[A-Za-z]:[\\/]|\s[/~]", bare):
        return re.split(r"[\\/]+", bare.rstrip("\\/"))[-1]
    return _PATH.sub(lambda match: match[1], text)
