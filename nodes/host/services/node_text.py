"""Text that the host draws on the node that is running."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


def show_text(text: str) -> None:
    """Draw text on the node that runs now, as the host's own nodes do; outside of a prompt nothing happens."""
    from comfy_execution.utils import get_executing_context

    context = get_executing_context()
    if context is not None:
        from server import PromptServer

        PromptServer.instance.send_progress_text(text, context.node_id)


def warn(text: str) -> None:
    """Say what to look at on the node that runs now, and in the log."""
    log.warning("%s", text)
    show_text(text)
