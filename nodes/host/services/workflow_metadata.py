"""The workflow a file was made with, as the host's own savers put it into metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ....training.storage.json_text import parse_json

_whole: list[Any] = []


@contextmanager
def part_of(prompt: Any) -> Iterator[None]:
    """Let files name this prompt while a part of it is executed."""
    _whole.append(prompt)
    try:
        yield
    finally:
        _whole.pop()


def workflow_metadata(hidden: Any) -> dict[str, str]:
    """The prompt and what the front end sent with it, as JSON; empty with ``--disable-metadata``.

    Args:
        hidden: ``cls.hidden`` of a node with the hidden inputs ``prompt`` and ``extra_pnginfo``, or None.

    Source: ``SaveLatent`` and ``save_checkpoint`` of the host.
    """
    from comfy.cli_args import args

    prompt, extra = getattr(hidden, "prompt", None), getattr(hidden, "extra_pnginfo", None)
    prompt = _whole[-1] if _whole else prompt
    if args.disable_metadata or prompt is None:
        return {}
    return {"prompt": json.dumps(prompt), **{key: json.dumps(value) for key, value in (extra or {}).items()}}


def workflow_id(metadata: Mapping[str, str]) -> str:
    """The id that the front end gave the workflow of ``workflow_metadata``; empty where there is none."""
    try:
        found = parse_json(metadata.get("workflow", "{}")).get("id")
    except (ValueError, AttributeError):
        return ""
    return found if isinstance(found, str) and re.fullmatch(r"[\w-]{1,64}", found) else ""
