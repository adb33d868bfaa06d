"""The job that a trainer makes of its inputs, without running it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


class JobMadeError(Exception):
    """Ends a training before anything is encoded."""


def job_of(monkeypatch: pytest.MonkeyPatch, trainer: Any, run: Callable[[], Any]) -> Any:
    """The job that ``run`` would hand to the runner of a trainer's module."""

    def stop(job: Any) -> None:
        raise JobMadeError(job)

    monkeypatch.setattr(trainer, "run_job", stop)
    with pytest.raises(JobMadeError) as made:
        run()
    return made.value.args[0]
