"""Square pixels, display matrices and EXIF: pictures come as they are shown."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from odd_clips import COLOURS, levels_off, picture, with_display_matrix, write_clip
from PIL import Image

from pack.training.data.media.decode import probe, read_frames, read_image
from pack.training.data.media.geometry import square_size, turns_of_matrix

# What is shown of the quadrants TL TR BL BR, for EXIF orientation 1 to 8. Source: EXIF 2.3, tag 0x0112.
EXIF = {
    1: "TL TR BL BR", 2: "TR TL BR BL", 3: "BR BL TR TL", 4: "BL BR TL TR",
    5: "TL BL TR BR", 6: "BL TL BR TR", 7: "BR TR BL TL", 8: "TR BR TL BL",
}  # fmt: skip
MATRIX = {  # a b c d x y of the display matrix, and the EXIF orientation that shows the same
    1: (1, 0, 0, 1, 0, 0), 2: (-1, 0, 0, 1, 64, 0), 3: (-1, 0, 0, -1, 64, 48), 4: (1, 0, 0, -1, 0, 48),
    5: (0, 1, 1, 0, 0, 0), 6: (0, 1, -1, 0, 48, 0), 7: (0, -1, -1, 0, 48, 64), 8: (0, -1, 1, 0, 0, 64),
}  # fmt: skip


def wanted(orientation):
    return dict(zip(COLOURS, (COLOURS[name] for name in EXIF[orientation].split()), strict=True))


@pytest.mark.parametrize("orientation", EXIF)
def test_a_picture_is_turned_and_mirrored_as_its_exif_tag_says(tmp_path, orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    for name in ("a.jpg", "a.png", "a.webp", "a.tif"):
        kind = {"quality": 100, "subsampling": 0} if name == "a.jpg" else {"lossless": True} if "webp" in name else {}
        Image.fromarray(picture()).save(tmp_path / name, exif=tags, **kind)
        shown = read_image(tmp_path / name)
        assert shown.shape[:2] == ((64, 48) if orientation > 4 else (48, 64))
        assert levels_off(shown, wanted(orientation)) <= 2


@pytest.mark.parametrize("orientation", MATRIX)
def test_a_clip_is_turned_and_mirrored_as_its_display_matrix_says(tmp_path, orientation):
    plain = write_clip(tmp_path / "plain.mp4").read_bytes()
    path = tmp_path / "a.mp4"
    path.write_bytes(with_display_matrix(plain, *MATRIX[orientation]))
    info = probe(path)
    shown = next(read_frames(path, info, info.fps, 1))
    assert (info.width, info.height) == ((48, 64) if orientation > 4 else (64, 48))
    assert levels_off(shown, wanted(orientation)) <= 2
    assert any("mirrored" in note for note in info.notes) == (orientation not in (1, 6, 8))


def test_an_oblique_matrix_takes_the_nearest_turn_and_a_damaged_one_none():
    assert turns_of_matrix((10, 65000, 0, -65000, 10, 0, 0, 0, 0)) == (("transpose", "clock"),)
    assert turns_of_matrix((0,) * 9) == ()


@pytest.mark.parametrize(("aspect", "size"), [
    (Fraction(64, 45), (102, 48)), (Fraction(1), (64, 48)), (Fraction(8, 9), (64, 54)),
])  # fmt: skip
def test_oblong_pixels_become_square_without_losing_any(aspect, size):
    # 64 * 64 / 45 = 91
    assert square_size(64, 48, aspect) == ((91, 48) if aspect > 1 else size)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.mpg", "mpeg2video")])
def test_a_circle_stays_a_circle(tmp_path, name, codec):
    y, x = np.mgrid[:144, :256]
    wide = np.where(((x - 128) ** 2 + (y - 72) ** 2 < 50**2)[..., None], 255, 0).astype(np.uint8).repeat(3, 2)
    stored = np.asarray(Image.fromarray(wide).resize((180, 144)))

    def oblong(_container, stream):
        stream.codec_context.sample_aspect_ratio = Fraction(64, 45)

    path = write_clip(tmp_path / name, codec, [stored] * 4, tune=oblong, fps=25)
    info = probe(path)
    shown = next(read_frames(path, info, 25, 1))
    assert (info.width, info.height) == (256, 144)
    assert any("pixels of 64:45 made square, 256x144" in note for note in info.notes)
    on = shown[..., 1] > 127
    assert on.any(0).sum() == pytest.approx(on.any(1).sum(), abs=3)
