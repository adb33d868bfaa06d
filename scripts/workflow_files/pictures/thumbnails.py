"""Pictures of the template browser: of a toy workflow from a run of it, of the others a drawn scheme; some move."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from host_setup.pins import ROOT, HostError, say
from host_setup.server import Server

from workflow_files.names import key_of
from workflow_files.pictures import moving
from workflow_files.pictures.schemes import scheme
from workflow_files.pictures.sheet import TALL, save, sheet, sheet_beside, spread
from workflow_files.prompt import Prompt, shortened, to_prompt

MOVING = ROOT / "js" / "docs" / "images"  # help pages find them there, and the README, too
TOYS = ("FewShotToyVideoModel", "FewShotToyImageModel")
FRAMES = 3  # of each clip
# What goes in, by the node and its inputs that say it best: the first of these that a workflow has.
TAKEN = {
    "TICFTContext": ("condition", "condition_2"),
    "TICFTLongVideo": ("source",),
    "AICLEncodeAction": ("reference", "reference_2", "reference_3"),
    "FewShotDatasetClip": ("target",),
}
WORDS = {  # of what goes in and what comes out
    "tic_ft_image_to_video_toy": ("a still", "a video from it"),
    "tic_ft_train_toy": ("a still", "a video from it, and its score"),
    "tic_ft_zero_shot_toy": ("a still, and all of it in words", "a video, with no training"),
    "tic_ft_video_to_video_toy": ("a clip", "the clip as a blueprint"),
    "tic_ft_keyframes_toy": ("key frames", "a video through them"),
    "tic_ft_multiple_images_toy": ("an object, a background", "one video of both"),
    "tic_ft_action_transfer_toy": ("an action, a scene", "the action in the scene"),
    "tic_ft_template_clips_toy": ("a real clip", "edited as the pairs were"),
    "tic_ft_grid_toy": ("a still", "checkpoints side by side"),
    "tic_ft_long_video_toy": ("a long clip", "all of it as a blueprint"),
    "tune_a_video_toy": ("a clip", "the clip, and three edits"),
    "motion_toy": ("a clip", "its motion, another object"),
    "aicl_toy": ("clips of a motion", "that motion, another object"),
    "aicl_train_toy": ("a clip of a motion", "after a short training"),
}


def write_thumbnails(server: Server, schemas: dict[str, Any], paths: list[Path], quick: bool) -> None:
    """Write the .jpg beside each workflow file, and the moving pictures of those that have one.

    Raises:
        HostError: Pillow is missing, or a workflow failed.
    """
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        python = server.host.python
        raise HostError(f"pictures need {error.name}; run this script with {python}") from error
    for path in paths:
        key = key_of(path.stem)
        prompt = to_prompt(json.loads(path.read_text(encoding="utf-8")), schemas)
        if any(node["class_type"] in TOYS for node in prompt.values()):
            say(f"running {path.stem}")
            taken, made = of_a_run(server, shortened(prompt) if quick else prompt)
            save(still(taken, made, key), path.with_suffix(".jpg"))
            if key in moving.NAMES:
                frames = moving.moving(taken, WORDS[key][0], made, WORDS[key][1])
                moving.save(frames, MOVING / f"{moving.NAMES[key]}.webp")
        else:
            save(scheme(key, path.stem.rpartition(" - ")[2]), path.with_suffix(".jpg"))


def of_a_run(server: Server, prompt: Prompt) -> tuple[list[list[Any]], list[Any]]:
    """Run a workflow; the frames of each clip or image that goes into it, and of what comes out."""
    taken, made = sources(prompt)
    shown = {f"shown {i}": link for i, link in enumerate([*taken, made])}
    for name, link in shown.items():
        prompt[name] = {"class_type": "PreviewImage", "inputs": {"images": link}}
    entry = server.wait(server.queue(prompt), timeout=3600)
    *clips, result = ([read(server, file) for file in entry["outputs"][name]["images"]] for name in shown)
    return clips, result


def still(clips: list[list[Any]], result: list[Any], key: str) -> Any:
    """The picture of what goes in and what comes out: three to six frames."""
    each = {1: FRAMES, 2: 2}.get(sum(len(clip) > 1 for clip in clips), 1)  # of a clip
    first = [frame for clip in clips for frame in spread(clip, each if len(clip) > 1 else 1)]
    if result[0].width < TALL * result[0].height:  # a grid, of which one frame is all that can be made out
        return sheet_beside(first, WORDS[key][0], result[-1], WORDS[key][1])
    return sheet(first, WORDS[key][0], spread(result, FRAMES), WORDS[key][1])


def sources(prompt: Prompt) -> tuple[list[list[Any]], list[Any]]:
    """Links to the IMAGEs that go in, and to that which comes out: of the first video that is saved.

    A video that comes as a file is read by a node that is added to the prompt.

    Raises:
        HostError: the workflow takes or saves nothing that this knows.
    """
    for kind, names in TAKEN.items():
        nodes = [node["inputs"] for node in prompt.values() if node["class_type"] == kind]
        taken = [inputs[name] for inputs in nodes[:1] for name in names if isinstance(inputs.get(name), list)]
        if taken:
            break
    else:
        raise HostError("the workflow takes no clip and no image that is known; see TAKEN")
    saved = next((node for node in prompt.values() if node["class_type"] == "SaveVideo"), None)
    if saved is None:
        raise HostError("the workflow saves no video")
    video = saved["inputs"]["video"]
    if prompt[video[0]]["class_type"] == "CreateVideo":
        return taken, prompt[video[0]]["inputs"]["images"]
    prompt["shown video"] = {"class_type": "GetVideoComponents", "inputs": {"video": video}}
    return taken, ["shown video", 0]


def read(server: Server, file: dict[str, str]) -> Any:
    """A picture that the host shows, as a Pillow image."""
    from PIL import Image

    return Image.open(io.BytesIO(server.view(file["filename"], file["subfolder"], file["type"]))).convert("RGB")
