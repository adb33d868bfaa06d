"""What the fuzzer takes for a fair answer, and what it does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from fair_answers import ROOT, complaint, damage


def raised(line: str, path: str = "nodes/made_up.py") -> Exception:
    """What a line raises in a function that stands in a file of the pack's."""
    names: dict[str, Any] = {"torch": torch}
    exec(compile(f"def execute():\n    {line}\n", str(ROOT / path), "exec"), names)
    execute: Callable[[], Any] = names["execute"]
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        execute()
    return caught.value


@pytest.mark.parametrize(
    "line",
    [
        'int("not a whole number at all; type one")',
        "torch.mm(torch.zeros(2, 3), torch.zeros(2, 3))",
        'first, second = "three"',
        'float("nan").__floor__()',
        'raise KeyError("the key is missing; give one to the node")',
        'raise ValueError("it is wrong; no")',
        'raise ValueError("the rank is 0, which is no rank at all")',
        'raise ValueError("the rank is 0; set a rank\\nof 1 or more")',
    ],
)
def test_what_c_code_raises_in_our_frames_and_half_a_sentence_are_no_answers(line):
    assert complaint(raised(line))


def test_a_sentence_of_ours_with_a_remedy_is_an_answer():
    line = 'raise ValueError("the rank is 0, 1 to 512 is needed; set another rank")'
    assert not complaint(raised(line))
    assert not complaint(raised(f"try: int('x')\n    except ValueError as error: {line} from error"))
    assert complaint(raised(line, "tests/support/made_up.py"))


@dataclass
class Held:
    """A socket's object of the pack's."""

    part: Any


@pytest.mark.parametrize("bad", [math.nan, math.inf, torch.tensor([0.0, math.nan]), torch.tensor(-math.inf).half()])
def test_what_is_no_number_is_found_wherever_it_lies_in_a_result(bad):
    layer = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(layer.weight, math.nan)
    assert damage((1, {"samples": bad})) == "output 1.samples"
    assert damage(([[torch.zeros(2), {"pooled_output": bad}]],)) == "output 0.0.1.pooled_output"
    assert damage((Held(bad),)) == "output 0.part"
    assert damage((layer,)) == "output 0.weight"
    assert not damage(("text", 2, None, torch.zeros(2), torch.zeros(2, dtype=torch.int), Held(1.5), object()))
