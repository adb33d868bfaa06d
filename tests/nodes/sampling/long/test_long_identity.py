"""A long video is given again for the same inputs alone, in this session and in the next one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import long_inputs
import pytest
import tiny_aicl
import tiny_sampling as tiny
import torch
from long_session import keys_of_a_session
from tiny_long import make

from pack.nodes.host.sampling.long_output import LongOutput

pytestmark = pytest.mark.usefixtures("output")


def test_whatever_makes_another_video_makes_another_key():
    counted = Counter(long_inputs.keys().values())
    assert len(counted) == len(long_inputs.CASES)


def test_another_session_has_the_same_keys():
    assert keys_of_a_session(1) == keys_of_a_session(2) == long_inputs.keys()


def test_references_that_an_adapter_has_read_for_others_do_not_count(monkeypatch):
    before = long_inputs.key(model=long_inputs.acted(1.0))
    monkeypatch.setitem(tiny_aicl.host_adapter("Wan 2.1").features, "another", torch.zeros(1))
    assert long_inputs.key(model=long_inputs.acted(1.0)) == before


@pytest.mark.parametrize(
    "name", ["guidance", "motion from later on", "action", "context windows", "hooks", "eta 5", "second expert"]
)
def test_what_was_cancelled_is_gone_on_with_though_the_inputs_have_been_sampled_with(name, monkeypatch):
    inputs = {"frames": 12, **long_inputs.CASES[name]()}  # objects that ComfyUI keeps between two runs

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LongOutput, "join", fail)
        with pytest.raises(OSError, match="No space left"):
            make(**inputs)
    assert "of which 12 were there" in make(**inputs)[3]
    assert make(**{"frames": 12, **long_inputs.CASES[name]()})[3].startswith("long_00001.mp4")


@pytest.mark.parametrize(("place", "sentence"), [
    ("model", "the model carries log, which holds a list_iterator: .* in front of TIC-FT Long Video"),
    ("sampler", "sampler holds a list_iterator: a run could not be told from one with another"),
])  # fmt: skip
def test_what_could_not_be_told_from_another_is_refused(place, sentence):
    inputs: dict[str, Any] = {"model": tiny.tiny_model().clone(), "sampler": long_inputs.stochastic(1.0)}
    options = inputs["model"].model_options if place == "model" else inputs["sampler"].extra_options
    options["log"] = iter([torch.zeros(1)])
    with pytest.raises(ValueError, match=sentence):
        make(**inputs)
