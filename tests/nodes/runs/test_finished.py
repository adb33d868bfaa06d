"""Runs of the same files that an older version read by another rule: found by their old names, and told of."""

from __future__ import annotations

import pytest
from tic_ft_runs import STEPS, train

from pack.nodes.host.session import session
from pack.training.data.dataset import Sample

pytestmark = pytest.mark.usefixtures("own_output")


@pytest.fixture
def calls(monkeypatch):
    made, predict = [], session.HostPredictor.__call__
    monkeypatch.setattr(session.HostPredictor, "__call__", lambda self, *args: made.append(1) or predict(self, *args))
    return made


@pytest.fixture
def older(monkeypatch):
    """Until it is left, files are told apart as an older version did."""
    monkeypatch.setattr(Sample, "former_key", lambda self: f"by path {self.key()}")
    with monkeypatch.context() as patch:
        patch.setattr(Sample, "content", Sample.former_key)
        yield patch


def test_a_finished_run_of_the_same_files_is_said_to_be_trained_again(model, calls, older, caplog):
    first = train(model, "", seed=6)
    older.undo()
    with caplog.at_level("WARNING"):
        again = train(model, "", seed=6)
    assert len(calls) == 2 * STEPS
    assert again[3] != first[3]
    assert "was trained on the same files as an earlier version of the pack read them" in caplog.text


def test_a_named_run_of_the_same_files_is_refused_with_the_reason(model, older):
    train(model, "named", seed=6)
    older.undo()
    with pytest.raises(ValueError, match=r"training clips \(the same files, which this version reads by another rule"):
        train(model, "named", seed=6)
    assert train(model, "named", seed=6, on_change="start over")[2] == STEPS
