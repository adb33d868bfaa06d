"""Text that the host draws on the node that is running."""

from __future__ import annotations


def show_text(text: str) -> None:
    """Draw text on the node that runs now, as the host's own nodes do; outside of a prompt nothing happens."""
    from comfy_execution.utils import get_executing_context

    context = get_executing_context()
    if context is not None:
        from server import PromptServer

        PromptServer.instance.send_progress_text(text, context.node_id)
