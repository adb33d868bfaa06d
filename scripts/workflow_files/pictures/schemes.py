"""Drawn schemes for the workflows of real models, whose weights are not at hand where the pictures are made."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin
from typing import Any

from workflow_files.pictures.sheet import ACCENT, INK, PAPER, sheet

SIDE = 160  # pixels of a frame
TIMES = (0.0, 0.5, 1.0)  # of a clip, from its first frame to its last
DAY, DUSK, SNOW = ((150, 190, 224), (112, 148, 96)), ((92, 72, 120), (60, 52, 78)), ((206, 216, 226), (238, 240, 244))
RED, GREEN, YELLOW, BLUE = (214, 84, 70), (70, 168, 116), (238, 196, 64), (64, 124, 214)


@dataclass(frozen=True)
class Look:
    """What a frame shows: sky and ground, who is in it, and whether it is drawn as a blueprint."""

    place: tuple[tuple[int, int, int], tuple[int, int, int]] = DAY
    who: str = "disc"
    color: tuple[int, int, int] = RED
    blueprint: bool = False


def frame(look: Look, time: float, still: bool = False) -> Any:
    """A frame of somebody hopping from left to right; a ``still`` shows who it is, in the middle."""
    from PIL import Image, ImageDraw

    sky, ground = ((22, 52, 110), (22, 52, 110)) if look.blueprint else look.place
    picture = Image.new("RGB", (SIDE, SIDE), sky)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, SIDE * 2 // 3, SIDE, SIDE), ground)
    if look.blueprint:
        for line in range(0, SIDE, 20):
            draw.line((line, 0, line, SIDE), (52, 88, 156))
            draw.line((0, line, SIDE, line), (52, 88, 156))
    x = SIDE / 2 if still else SIDE * (0.2 + 0.6 * time)
    y = SIDE * (0.62 - (0 if still else 0.34 * sin(pi * time)))
    box = (x - 26, y - 26, x + 26, y + 26)
    colors: dict[str, Any] = {"fill": look.color, "outline": (20, 20, 20), "width": 2}
    if look.blueprint:
        colors = {"outline": INK, "width": 3}
    if look.who == "disc":
        draw.ellipse(box, **colors)
    elif look.who == "square":
        draw.rectangle(box, **colors)
    else:
        draw.polygon([(x, y - 28), (x + 28, y + 26), (x - 28, y + 26)], **colors)
    return picture


def clip(look: Look) -> list[Any]:
    """Three frames of a clip."""
    return [frame(look, time) for time in TIMES]


def card(text: str) -> Any:
    """A file."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (SIDE, SIDE), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((22, 6, SIDE - 22, SIDE - 6), 12, (44, 48, 56), ACCENT, 3)
    draw.text((SIDE // 2, SIDE // 2), text, INK, ImageFont.load_default(size=25), anchor="mm", align="center")
    return picture


DISC, SQUARE, SNOWY = Look(), Look(DUSK, "square", YELLOW), Look(SNOW, "triangle", BLUE)


def scheme(key: str, model: str) -> Any:
    """The picture of a workflow by its key, with the name of its model.

    Raises:
        ValueError: it is of no kind that is drawn here.
    """
    for start, drawn in KINDS.items():
        if key.startswith(start):
            return sheet(*drawn(), model)
    raise ValueError(f"there is no scheme of workflow {key}; add one to scripts/workflow_files/pictures/schemes.py")


def _pairs() -> list[Any]:
    return [_still(), *clip(DISC)[1:]]


def _still() -> Any:
    return frame(DISC, 0, still=True)


MANY = "10 to 30 pairs: image, clip"
EDITS = (Look(who="square"), Look(SNOW), Look(blueprint=True))
BLUE_THING = Look(DAY, "triangle", BLUE)
# What goes in, what comes out, each with its words; the first that a key starts with counts.
KINDS: dict[str, Any] = {
    "tic_ft_train": lambda: (_pairs(), MANY, [card("LoRA")], "a LoRA"),
    "tic_ft_hunyuan15": lambda: (_pairs(), MANY, [card("LoRA"), *clip(SQUARE)[:2]], "a LoRA, a video"),
    "tic_ft_image_to_video": lambda: ([_still(), card("LoRA")], "an image, your LoRA", _pairs(), "a video from it"),
    "tic_ft_long_video": lambda: (clip(DISC), "a long clip, your LoRA", clip(Look(blueprint=True)), "all of it"),
    "tic_ft_lora_files": lambda: (
        [card("LoRA")],
        "a LoRA",
        [card("diffusers"), card("kohya"), card("how it\nwas made")],
        "for other tools",
    ),
    "bernini": lambda: (
        [_still(), frame(SNOWY, 0, still=True)],
        "an image, a reference",
        [_still(), frame(BLUE_THING, 0.5), frame(BLUE_THING, 1.0)],
        "one video of both",
    ),
    "motion_wan22": lambda: (
        [*clip(DISC), frame(SQUARE, 0, still=True)],
        "one clip, your picture",
        clip(SQUARE),
        "that motion in it",
    ),
    "motion": lambda: (clip(DISC), "one clip", clip(SQUARE), "its motion, another subject"),
    "aicl": lambda: (
        [*(frame(look, 0.5) for look in (DISC, SQUARE)), *clip(DISC)[1:]],
        "clips of many actions, one clip",
        [card("adapter"), *clip(SNOWY)[:2]],
        "an adapter; its action, by another",
    ),
    "tune_a_video": lambda: (clip(DISC), "one clip", [frame(look, 0.5) for look in EDITS], "subject, place, style"),
}
