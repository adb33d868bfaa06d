"""What a process that follows another one refuses to share."""

from __future__ import annotations

import pytest
from followed import Follower, led
from tic_ft_runs import train

from pack.training.distributed.processes import FAILED, among

pytestmark = pytest.mark.usefixtures("output")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": "0.0.9"}, r"process 1 has version .* and process 0 has 0\.0\.9; install the same"),
        ({"identity": {"model": "f" * 64}}, r"process 1 differs from process 0 in .*model.*; put the same model files"),
    ],
    ids=["version", "model"],
)
def test_what_differs_from_process_0_is_said_and_ends_the_run_in_all(model, change, text):
    messages = led(model)
    what, values = messages[0]
    group = Follower([(what, {**values, **change}), messages[-1]])
    with among(group), pytest.raises(ValueError, match=text):
        train(model, "shared")
    assert group.told[FAILED]
