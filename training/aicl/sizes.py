"""Sizes of an adapter as the metadata of its file hold them."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

from ...methods.action_prism import PrismSizes
from ...methods.aicl import AdapterSizes
from ..storage.json_text import parse_json


def sizes_to_text(sizes: AdapterSizes) -> str:
    """Sizes as a file holds them."""
    return json.dumps({"prism": asdict(sizes.prism), "blocks": dict(sizes.blocks), "inner": sizes.inner})


def sizes_from_text(text: str) -> AdapterSizes:
    """What ``sizes_to_text`` wrote.

    Raises:
        ValueError: it is damaged, or of a later version of the pack.
    """
    try:
        values = parse_json(text)
        prism = values["prism"]
        unknown = set(prism) - {field.name for field in fields(PrismSizes)}
        if unknown:
            raise ValueError(f"there is no size {min(unknown)}")
        prism = PrismSizes(**{**prism, "size": None if prism.get("size") is None else tuple(prism["size"])})
        return AdapterSizes(prism, dict(values["blocks"]), values["inner"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"the adapter's sizes cannot be read ({error}); update FewShot Video or train it again"
        ) from error
