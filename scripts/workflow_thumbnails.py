"""Pictures of the workflows: frames of what they make, or their graph where the model is not at hand."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from host_pins import HostError, say
from host_server import Server
from workflow_prompt import Prompt, shortened, to_prompt

WIDTH = 512  # pixels
GRID, STACK = (4, 2), (1, 4)  # columns and rows; clips side by side are stacked
GAP = 4
PAPER = (24, 26, 30)
LIMIT = 200_000  # bytes


def write_thumbnails(server: Server, schemas: dict[str, Any], paths: list[Path], quick: bool) -> None:
    """Write the .jpg beside each workflow file.

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
        else:
            picture = draw_graph(workflow)
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


def draw_graph(workflow: dict[str, Any]) -> Any:
    """The graph as the canvas shows it from afar: groups, nodes and links."""
    from PIL import Image, ImageDraw

    nodes = {node["id"]: node for node in workflow["nodes"] if node["type"] != "MarkdownNote"}
    boxes = [group["bounding"] for group in workflow["groups"]]
    right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
    scale = 2 * (WIDTH - 2 * GAP) / right  # drawn at twice the size, then made smaller
    picture = Image.new("RGB", (2 * WIDTH, int(bottom * scale) + 4 * GAP), PAPER)
    draw = ImageDraw.Draw(picture)

    def at(x: float, y: float) -> tuple[float, float]:
        return 2 * GAP + x * scale, 2 * GAP + y * scale

    for x, y, width, height in boxes:
        draw.rounded_rectangle([at(x, y), at(x + width, y + height)], 8, fill=(34, 52, 66))
    for _, source, output, target, slot, _ in workflow["links"]:
        (x, y), (width, _) = nodes[source]["pos"], nodes[source]["size"]
        end = nodes[target]["pos"]
        line = [at(x + width, y + 14 + 20 * output), at(end[0], end[1] + 14 + 20 * slot)]
        draw.line(line, fill=(120, 150, 170), width=2)
    for node in nodes.values():
        (x, y), (width, height) = node["pos"], node["size"]
        fill = node.get("bgcolor", "#3a3d42")
        draw.rounded_rectangle([at(x, y - 30), at(x + width, y + height)], 6, fill=fill, outline=(90, 96, 104))
        draw.rectangle([at(x + 4, y - 26), at(x + width - 4, y - 6)], fill=node.get("color", "#55606c"))
    return picture.resize((WIDTH, picture.height // 2), Image.Resampling.LANCZOS)


def save(picture: Any, path: Path) -> None:
    """Write a jpg below the size limit."""
    for quality in (90, 80, 65, 50):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() < LIMIT:
            break
    path.write_bytes(buffer.getvalue())
    say(f"wrote {path.name}, {buffer.tell() // 1000} kB")
