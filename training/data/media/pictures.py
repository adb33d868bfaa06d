"""Pictures and animations through Pillow: upright, in sRGB, without transparency."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .alpha import flattened, transparency_note
from .notes import Notes
from .options import ReadOptions
from .timing import ClipInfo, Times, as_shown

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "AVIF", "GIF")
DEEP = {"I;16": 257.0, "I;16L": 257.0, "I;16B": 257.0, "I": 257.0}  # by what grey values are brought to 8 bits


def read_picture(path: Path, options: ReadOptions, notes: Notes) -> np.ndarray:
    """One picture as uint8 RGB, shape [H, W, 3]; of an animation the first frame.

    Raises:
        ValueError: It is damaged, no picture, or of a kind the installed Pillow cannot read.
    """
    with _opened(path) as picture:
        return shown(picture, options, notes)


def shown(picture: Any, options: ReadOptions, notes: Notes) -> np.ndarray:
    """A picture of Pillow as a browser shows it: turned by its EXIF tag, colours in sRGB, over the background."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode in DEEP:  # Pillow's own conversion clips to 255
        grey = np.asarray(picture).astype(np.float64) / DEEP[picture.mode]
        picture = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    profile, transparent = picture.info.get("icc_profile"), picture.has_transparency_data
    alpha = picture.convert("RGBA").getchannel("A") if transparent else None
    picture = _in_srgb(picture, profile, notes)
    if alpha is not None and alpha.getextrema()[0] < 255:
        picture.putalpha(alpha)
        picture = flattened(picture, options.background)
        notes.say(transparency_note(options.background))
    return np.array(picture)


def probe_animation(path: Path, options: ReadOptions) -> ClipInfo:
    """Size, length and rate of an animation; every frame of it is decoded."""
    notes, durations, size = Notes(), [], (0, 0)
    for seconds, picture in _animation(path, options, notes):
        durations.append(seconds)
        size = picture.shape[1], picture.shape[0]
    shown_for, changed = as_shown(durations)
    if changed:
        notes.say("frames of 1/100 s and less shown for 1/10 s, as browsers do")
    starts = tuple(float(start) for start in np.cumsum([0.0, *shown_for[:-1]]))
    return Times(starts, shown_for[-1]).info(*size, notes.said)


def animation_frames(path: Path, options: ReadOptions, notes: Notes) -> Iterator[tuple[float, np.ndarray]]:
    """Time in seconds from the first, and picture, of every frame."""
    time = 0.0
    for seconds, picture in _animation(path, options, notes):
        yield time, picture
        time += as_shown([seconds])[0][0]


def _animation(path: Path, options: ReadOptions, notes: Notes) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds the file says, and picture, of every frame."""
    with _opened(path) as picture:
        first = int(bool(picture.info.get("default_image")))  # of a PNG, what is shown where it cannot move
        for number in range(first, getattr(picture, "n_frames", 1)):
            picture.seek(number)
            picture.load()
            seconds = float(picture.info.get("duration") or 0) / 1000
            yield seconds, shown(picture.copy(), options, notes)


def _in_srgb(picture: Any, profile: bytes | None, notes: Notes) -> Any:
    """The picture as RGB; its own colour profile is converted, a damaged or foreign one is left out and told."""
    from PIL import ImageCms

    if profile and picture.mode in ("RGB", "RGBA", "L", "LA", "CMYK", "P", "PA"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode = picture.mode if picture.mode in ("CMYK", "L") else "RGB"
            plain = picture if picture.mode == mode else picture.convert(mode)
            name = (ImageCms.getProfileDescription(source) or "").strip()
            if mode == "L" and _space(source) != "GRAY":
                plain, mode = picture.convert("RGB"), "RGB"
            result = ImageCms.profileToProfile(plain, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            notes.warn(f"its colour profile cannot be used ({error})")
        else:
            if "srgb" not in name.lower():
                notes.say(f"colour profile {name or 'without a name'} converted to sRGB")
            return result
    return picture.convert("RGB") if picture.mode != "RGB" else picture.copy()


def _space(profile: Any) -> str:
    """Colour space of an ICC profile: RGB, GRAY, CMYK."""
    return profile.profile.xcolor_space.strip()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Pillow's picture, with its errors as sentences."""
    from PIL import Image, UnidentifiedImageError, features

    try:
        if not path.stat().st_size:
            raise ValueError(f"{path.name} cannot be read (the file is empty); copy or export it again, or remove it")
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as picture:
            yield picture
    except UnidentifiedImageError as error:
        if path.suffix.lower() == ".avif" and not features.check("avif"):
            raise ValueError(
                f"{path.name} needs a Pillow with AVIF (11.3 or newer); update it, or export as PNG"
            ) from None
        raise ValueError(f"{path.name} cannot be read (no known picture); replace or remove it") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path.name} cannot be read ({error}); make it smaller") from error
    except (OSError, SyntaxError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ValueError(f"{path.name} cannot be read ({reason}); replace or remove it") from error
