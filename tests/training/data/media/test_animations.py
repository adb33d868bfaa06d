"""Animated pictures, transparency and colour profiles, as browsers show them."""

from __future__ import annotations

import numpy as np
import pytest
from odd_clips import display_p3, levels_off, picture, write_clip
from PIL import Image

from pack.training.data.clips import TensorClip
from pack.training.data.folder import read_folder
from pack.training.data.media.decode import probe, read_frames, read_image
from pack.training.data.media.kinds import folder_images, is_animated
from pack.training.data.media.options import ReadOptions

SAVED = {"a.webp": {"lossless": True}, "a.png": {}, "a.avif": {"quality": 100}, "a.gif": {}, "a.apng": {}}


def steps(count=8):
    """Pictures that brighten by 20 levels each."""
    return [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(count)]


def animate(path, pictures, duration=100, **options):
    first, *rest = [Image.fromarray(p) for p in pictures]
    kind = {"format": "PNG"} if path.suffix == ".apng" else {}
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0, **kind, **options)
    return path


@pytest.mark.parametrize("name", SAVED)
def test_an_animation_is_a_clip_with_its_own_times(tmp_path, name):
    path = animate(tmp_path / name, steps(), [100, 100, 300, 100, 100, 100, 100, 100], **SAVED[name])
    info = probe(path)
    assert is_animated(path)
    assert (info.frames, info.width, info.height) == (8, 48, 32)
    assert info.duration == pytest.approx(1.0)
    taken = [round(float(frame.mean()) / 20) for frame in read_frames(path, info, 10, 10)]
    # At 0.3 s frames 2 (0.2) and 3 (0.5) are as near as 0.1 and 0.2 s; each output takes the nearest.
    assert taken == [0, 1, 2, 2, 3, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("name", SAVED)
def test_a_last_picture_that_is_held_for_long_is_told(tmp_path, name):
    info = probe(animate(tmp_path / name, steps(), [100] * 7 + [5000], **SAVED[name]))
    assert info.duration == pytest.approx(5.7)
    assert info.warnings == ("its last frame is held for 5.0 s, the others for 100 ms",)


def test_an_animation_as_target_and_condition_is_read_from_a_folder(tmp_path):
    animate(tmp_path / "a.webp", steps(), lossless=True)
    animate(tmp_path / "a.condition.png", steps())
    (tmp_path / "a.txt").write_text("it brightens")
    sample = read_folder(tmp_path, 48, 32, 8, 10)[0]
    assert sample.target.count == 8
    assert sample.conditions[0].count == 8


def test_a_picture_that_does_not_move_is_still_no_target(tmp_path):
    for name in ("a.webp", "a.png", "a.avif"):
        Image.fromarray(picture()).save(tmp_path / name)
        assert not is_animated(tmp_path / name)
    assert [path.name for path in folder_images(tmp_path)] == ["a.avif", "a.png", "a.webp"]


def test_a_folder_of_animations_is_an_action_and_no_clip(tmp_path):
    (tmp_path / "walk").mkdir()
    animate(tmp_path / "walk" / "one.webp", steps(), lossless=True)
    (tmp_path / "walk" / "one.txt").write_text("a walk")
    assert [sample.name for sample in read_folder(tmp_path, 48, 32, 8, 10).samples] == ["walk/one"]


@pytest.mark.parametrize(("delay", "shown"), [(10, 0.1), (0, 0.1), (20, 0.02)])
def test_too_fast_a_gif_is_slowed_down_as_in_browsers_and_told(tmp_path, delay, shown):
    info = probe(animate(tmp_path / "a.gif", steps(), delay))
    assert info.duration == pytest.approx(8 * shown)
    assert bool(info.notes) == (shown == 0.1)


def see_through(frames=6):
    """Magenta that cannot be seen, and a white square that moves."""
    out = np.zeros((frames, 48, 64, 4), np.uint8)
    out[..., :3] = (255, 0, 255)
    for i in range(frames):
        out[i, 16:32, 8 + 4 * i : 24 + 4 * i] = 255
    return out


def written(folder, name):
    frames, path = see_through(), folder / name
    if name in ("a.gif", "a.apng", "a.webp"):
        return animate(path, frames, **SAVED[name])
    if name == "a.webm":
        alpha = {"tune": lambda _c, stream: stream.metadata.__setitem__("alpha_mode", "1")}
        return write_clip(path, "libvpx-vp9", frames, pix_fmt="yuva420p", **alpha)
    codec, pix_fmt = ("prores_ks", "yuva444p10le") if name == "prores.mov" else ("png", "rgba")
    return write_clip(path, codec, frames, pix_fmt=pix_fmt)


@pytest.mark.parametrize("name", ["a.gif", "a.apng", "a.webp", "a.webm", "prores.mov", "png.mov"])
@pytest.mark.parametrize(("background", "level"), [("black", 0), ("white", 255), ("grey", 128)])
def test_what_is_transparent_shows_the_background_and_is_told(tmp_path, name, background, level):
    path = written(tmp_path, name)
    (tmp_path / f"{path.stem}.txt").write_text("a square")
    dataset = read_folder(tmp_path, 64, 48, 4, 10, options=ReadOptions(background))
    assert np.abs(dataset[0].target.frames()[0, 4, 4].numpy() * 255 - level).max() <= 2
    assert f"transparent, laid over {background}" in dataset.report


def test_transparent_pictures_and_batches_show_the_background():
    import torch

    frames = torch.from_numpy(see_through()).float() / 255
    assert TensorClip(frames).frames()[0, 4, 4].tolist() == [0, 0, 0]
    assert TensorClip(frames, "white").frames()[0, 4, 4].tolist() == [1, 1, 1]
    assert TensorClip(torch.from_numpy(see_through()), "white").frames()[0, 4, 4].tolist() == [1, 1, 1]
    assert torch.equal(TensorClip(frames[..., :3]).frames()[0, 4, 4], torch.tensor([1.0, 0, 1]))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_transparent_picture_of_any_mode_shows_the_background(tmp_path, mode):
    given = Image.fromarray(see_through(1)[0])
    given.convert(mode).save(tmp_path / "a.png") if mode != "P" else given.quantize().save(tmp_path / "a.png")
    assert np.abs(read_image(tmp_path / "a.png", ReadOptions("white"))[4, 4].astype(int) - 255).max() <= 2


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.avif", "a.tif"])
def test_a_picture_with_a_colour_profile_is_converted(tmp_path, name):
    kind = {"quality": 100, "subsampling": 0} if name == "a.jpg" else {"lossless": True} if "webp" in name else {}
    Image.fromarray(picture()).save(tmp_path / name, icc_profile=display_p3(), **kind)
    shown = read_image(tmp_path / name)
    assert 20 < levels_off(shown) < 50  # what the numbers are away from the colours
    # Independently: linear light, Display P3 to sRGB (CSS Color 4), and back.
    codes = np.array([200, 200, 40]) / 255
    matrix = np.array([[1.2249, -0.2249, 0], [-0.0421, 1.0421, 0], [-0.0196, -0.0786, 1.0983]])
    linear = (matrix @ codes**2.2).clip(0, 1)
    meant = np.where(linear < 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(shown[36, 48] - meant).max() <= 6
    assert "colour profile Display P3 converted to sRGB" in probe(tmp_path / name).notes


def test_a_damaged_profile_is_told_and_left_out(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "a.png", icc_profile=b"nonsense" * 20)
    assert levels_off(read_image(tmp_path / "a.png")) == 0
    assert any("its colour profile cannot be used" in warning for warning in probe(tmp_path / "a.png").warnings)


def test_a_deep_grey_picture_is_not_clipped_to_white(tmp_path):
    Image.fromarray(np.full((16, 16), 100 * 257, np.uint16)).save(tmp_path / "a.png")
    assert np.unique(read_image(tmp_path / "a.png")).tolist() == [100]


@pytest.mark.parametrize("name", ["a.bmp", "a.tif", "a.avif", "a.jpeg"])
def test_other_pictures_are_conditions(tmp_path, name):
    Image.fromarray(picture()).save(tmp_path / f"c.condition.{name[2:]}", quality=100)
    write_clip(tmp_path / "c.mp4")
    (tmp_path / "c.txt").write_text("c")
    shown = read_folder(tmp_path, 64, 48, 4, 10)[0].conditions[0].frames()
    assert levels_off(shown[0].numpy() * 255) <= 3


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.gif", "a.jpg"])
def test_a_cut_off_picture_is_refused_by_name(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:1500])
    with pytest.raises(ValueError, match=rf"{name} (cannot be read|is damaged)"):
        probe(tmp_path / name)
