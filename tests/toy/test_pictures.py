"""Pictures of the toy world are seeded, told truly, and judged like clips."""

from __future__ import annotations

import numpy as np
import pytest

from pack.toy import judge, pictures, world


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    return [pictures.draw_picture(rng) for _ in range(count)]


def test_pictures_are_seeded():
    assert drawn(20) == drawn(20)
    assert drawn(20) != drawn(20, seed=1)


def test_held_out_objects_are_one_in_six_and_every_pair_of_words_was_shown():
    held_out, shown = pictures.objects(True), pictures.objects(False)
    assert len(held_out) * 6 == len(held_out) + len(shown)
    assert not set(held_out) & set(shown)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert {(t[a], t[b]) for t in held_out} <= {(t[a], t[b]) for t in shown}
    assert {t[0] for t in held_out} == set(world.SHAPES)
    assert {t[1] for t in held_out} == set(world.COLOURS)


def test_no_drawn_picture_is_of_a_held_out_object():
    held_out = set(pictures.objects(True))
    assert not [s for s, _ in drawn(600) if (s.shape, s.colour, s.background) in held_out]


def test_captions_never_lie_and_one_in_three_leaves_something_open():
    found = [(scene, caption) for scene, caption in drawn(900) if scene.look == "plain"]
    open_ones = 0
    for scene, caption in found:
        words = set(caption.split())
        wrong = {*world.COLOURS, *world.SHAPES, *world.BACKGROUNDS} - {scene.colour, scene.shape, scene.background}
        assert not words & wrong
        assert not words & {*world.UNNAMED_SHAPES, *world.UNNAMED_COLOURS, "slides", "still"}
        open_ones += caption != pictures.caption_of(scene)
    assert 0.28 < open_ones / len(found) < 0.39


def test_an_object_without_a_name_comes_only_where_the_caption_leaves_it_open():
    scenes = [scene for scene, _ in drawn(900)]
    assert {scene.shape for scene in scenes} == {*world.SHAPES, *world.UNNAMED_SHAPES}
    assert {scene.colour for scene in scenes} == {*world.COLOURS, *world.UNNAMED_COLOURS}


def test_blueprints_are_some_of_the_pictures_and_say_so():
    found = [(scene, caption) for scene, caption in drawn(900) if scene.look == "blueprint"]
    assert 0.09 < len(found) / 900 < 0.16
    assert {caption for _, caption in found} == {f"a blueprint of a {shape}" for shape in world.SHAPES}


def test_objects_lie_anywhere_but_at_the_edge():
    for scene, _ in drawn(300):
        centre, _ = scene.pose(1)
        assert centre.min() >= pictures.MARGIN
        assert centre.max() <= world.SIZE - pictures.MARGIN
    centres = np.concatenate([scene.pose(1)[0] for scene, _ in drawn(300)])
    assert centres.std(0).min() > 9


def test_the_judge_knows_every_true_picture_and_refuses_another():
    for scene in pictures.held_out_pictures(24, 0):
        frame = world.render(scene, 1)[0]
        assert judge.judge_picture(frame, scene).all_right == 1
        other = world.Scene("ring" if scene.shape != "ring" else "disc", "red", "white", scene.motion)
        assert judge.judge_picture(frame, other).shape == 0
    empty = np.full((64, 64, 3), 0.5, np.float32)
    assert judge.judge_picture(empty, scene).found == 0


@pytest.mark.parametrize("shape", world.SHAPES)
@pytest.mark.parametrize("background", list(world.BACKGROUNDS))
def test_the_judge_tells_a_blueprint_from_a_plain_picture(shape, background):
    for look in world.LOOKS:
        scene = world.Scene(shape, "blue", background, "stays still", look=look)
        assert judge.name_look(world.render(scene, 1)[0]) == look


def test_held_out_pictures_come_in_every_kind_before_any_comes_again():
    kinds = [(s.shape, s.colour, s.background) for s in pictures.held_out_pictures(24, 0)]
    assert set(kinds[:12]) == set(pictures.objects(True))
    assert kinds[:12] == kinds[12:]
