"""Values read from the device: each makes the card wait for what was asked of it before."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import torch

import pack

PACK = str(Path(pack.__path__[0]).resolve())
READS = ("tolist", "item", "cpu", "numpy", "__float__", "__int__", "__bool__", "__index__")


def count_reads(monkeypatch: pytest.MonkeyPatch, on_cpu: Collection[str]) -> Counter[str]:
    """How often this pack's own code takes each line's values out of a tensor; functions ``on_cpu`` do not count."""
    lines: Counter[str] = Counter()

    def counting(name: str) -> Any:
        method = getattr(torch.Tensor, name)

        def read(tensor: torch.Tensor, *args: Any, **options: Any) -> Any:
            caller = sys._getframe(1)
            file = Path(caller.f_code.co_filename).resolve()
            ours = file.is_relative_to(PACK) and "tests" not in file.relative_to(PACK).parts
            if ours and caller.f_code.co_name not in on_cpu:
                lines[f"{file.name}:{caller.f_lineno} {name}"] += 1
            return method(tensor, *args, **options)

        return read

    for name in READS:
        monkeypatch.setattr(torch.Tensor, name, counting(name))
    return lines
