"""FewShot Video: teach a video diffusion model something new from a handful of clips."""

from __future__ import annotations

WEB_DIRECTORY = "./js"


async def comfy_entrypoint() -> object:
    """Give ComfyUI the nodes; nothing is imported before it asks."""
    from .nodes import build_extension

    return build_extension()
