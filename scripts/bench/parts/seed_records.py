"""Records of finished arms, one file an arm and seed, so that a bench can be stopped at any moment."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def is_kept(path: Path, settings: Mapping[str, Any]) -> bool:
    """Whether an arm is finished.

    Raises:
        SystemExit: it was made with other settings.
    """
    if not path.exists():
        return False
    if json.loads(path.read_text(encoding="utf-8"))["settings"] != settings:
        raise SystemExit(f"{path.name} was made with other settings; give another --out, or delete it")
    return True


def keep(path: Path, record: Mapping[str, Any]) -> None:
    """Write a finished arm's record in one go."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(record, indent=1), encoding="utf-8")
    draft.replace(path)


def publish(text: str, path: Path) -> None:
    """Write the table, and print it."""
    path.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
