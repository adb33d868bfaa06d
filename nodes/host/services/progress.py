"""The host's progress bar and its cancel button."""

from __future__ import annotations

from typing import Any

from ....training.core.loop import Cancelled
from ....training.core.state import StepRecord


class StepProgress:
    """An ``on_step`` callback for the training loop: shows the step, and stops when the user says so.

    The host's bar throttles itself, so cancel is asked for here at every step.
    """

    def __init__(self, total: int) -> None:
        from comfy.utils import ProgressBar

        self.bar = ProgressBar(total)

    def __call__(self, step: int, record: StepRecord) -> None:  # noqa: ARG002 - the loop's callback
        """Raises ``Cancelled`` from the host's own exception."""
        from comfy.model_management import InterruptProcessingException

        try:
            self.show(step)
        except InterruptProcessingException as interrupt:
            raise Cancelled(f"cancelled after {step} steps") from interrupt

    def show(self, done: int, total: int | None = None) -> None:
        """Set the bar; the host's exception passes through."""
        throw_if_cancelled()
        self.bar.update_absolute(done, total)


def throw_if_cancelled() -> None:
    """Raise the host's exception if its cancel button was pressed."""
    from comfy.model_management import throw_exception_if_processing_interrupted

    throw_exception_if_processing_interrupted()


def encoding_progress() -> Any:
    """A ``(done, total)`` callback for encoding, with its own bar."""
    return StepProgress(1).show
