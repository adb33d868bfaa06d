"""Small pictures of the toy workflows: frames of what they make. `screenshots.py` makes those of the others."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from host_setup.pins import HostError, say
from host_setup.server import Server

from workflow_files.prompt import Prompt, shortened, to_prompt

WIDTH = 512  # pixels
GRID, STACK = (4, 2), (1, 4)  # columns and rows; clips side by side are stacked
GAP = 4
PAPER = (24, 26, 30)
LIMIT = 200_000  # bytes


def write_thumbnails(server: Server, schemas: dict[str, Any], paths: list[Path], quick: bool) -> None:
    """Write the .jpg beside each workflow file of a toy model.

    Raises:
        HostError: Pillow or PyAV is missing, or a workflow failed.
    """
    try:
        import av  # noqa: F401
        import PIL  # noqa: F401
    except ImportError as error:
        python = server.host.python
        raise HostError(f"pictures need {error.name}; run this script with {python}") from error
    for path in paths:
        workflow = json.loads(path.read_text(encoding="utf-8"))
        if any(node["type"] in ("FewShotToyVideoModel", "FewShotToyImageModel") for node in workflow["nodes"]):
            say(f"running {path.stem}")
            prompt = to_prompt(workflow, schemas)
            picture = contact_sheet(run_uncropped(server, shortened(prompt) if quick else prompt))
            save(picture, path.with_suffix(".jpg"))


def run_uncropped(server: Server, prompt: Prompt) -> list[Any]:
    """Frames of the video a workflow makes, the condition in front of them."""
    for node in prompt.values():
        if node["class_type"] == "TICFTCrop":
            node["inputs"]["keep"] = "everything"
    entry = server.wait(server.queue(prompt), timeout=1800)
    saved = [entry["outputs"][key] for key in prompt if prompt[key]["class_type"] == "SaveVideo"]
    return read_frames(server, saved[0]["images"][0])


def read_frames(server: Server, file: dict[str, str]) -> list[Any]:
    """Decoded frames of a video the host saved, as Pillow images."""
    import av

    data = server.view(file["filename"], file["subfolder"], file["type"])
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def contact_sheet(frames: list[Any]) -> Any:
    """Eight frames, evenly spread, from the condition at the top left to the end; of very wide ones four."""
    from PIL import Image

    shape = frames[0].width / frames[0].height
    columns, rows = STACK if shape > 2 else GRID
    width = (WIDTH - GAP * (columns + 1)) // columns
    height = round(width / shape)
    sheet = Image.new("RGB", (WIDTH, GAP + rows * (height + GAP)), PAPER)
    count = columns * rows
    for i in range(count):
        frame = frames[round(i * (len(frames) - 1) / (count - 1))]
        place = (GAP + (i % columns) * (width + GAP), GAP + (i // columns) * (height + GAP))
        sheet.paste(frame.resize((width, height), Image.Resampling.LANCZOS), place)
    return sheet


def save(picture: Any, path: Path) -> None:
    """Write a jpg below the size limit."""
    for quality in (90, 80, 65, 50):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() < LIMIT:
            break
    path.write_bytes(buffer.getvalue())
    say(f"wrote {path.name}, {buffer.tell() // 1000} kB")
