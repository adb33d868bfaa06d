"""Marked and lit objects in front of backdrops: drawn as told, and judged without fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pack.toy import judge, looks, rich, world

MARKED = world.Scene(
    "square", "red", "grey", "slides left quickly", marking="stripe", mark_colour="yellow", backdrop="checked", lit=True
)


def rich_scenes(count: int, seed: int = 3) -> list[world.Scene]:
    rng = np.random.default_rng(seed)
    return [rich.enrich(world.sample_scene(rng, held_out=bool(i % 2)), rng) for i in range(count)]


@pytest.mark.parametrize("frames", [24, 49])
def test_the_judge_finds_nothing_wrong_with_the_truth(frames):
    found = judge.ceiling(rich_scenes(60), frames)
    rights = ("colour", "shape", "marking", "background", "motion", "every_frame", "same", "all_right")
    assert {name: found[name] for name in rights} == dict.fromkeys(rights, 1.0)
    assert found["flicker"] == 0.0
    assert found["path_error"] < 0.3


def test_every_shape_background_and_look_is_told_apart():
    scenes = [
        replace(MARKED, shape=shape, background=background, marking=marking, backdrop=backdrop,
                mark_colour="yellow" if marking != "plain" else "")
        for shape in world.SHAPES
        for background in world.BACKGROUNDS
        for marking in looks.MARKINGS
        for backdrop in looks.BACKDROPS
    ]  # fmt: skip
    assert all(judge.judge(world.render(scene, 9), scene).all_right for scene in scenes)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"marking": "side"}, "marking"),
        ({"marking": "plain", "mark_colour": ""}, "marking"),
        ({"mark_colour": "cyan"}, "marking"),
        ({"backdrop": "striped"}, "background"),
        ({"backdrop": "plain"}, "background"),
        ({"background": "black"}, "background"),
        ({"colour": "blue"}, "colour"),
        ({"shape": "disc"}, "shape"),
        ({"motion": "slides up quickly"}, "motion"),
    ],
)
def test_the_judge_sees_each_single_fault(change, wrong):
    verdict = judge.judge(world.render(replace(MARKED, **change), 49), MARKED)
    rights = {name: getattr(verdict, name) for name in ("colour", "shape", "marking", "background", "motion")}
    assert [name for name, right in rights.items() if not right] == [wrong]
    assert verdict.same == 1


@pytest.mark.parametrize("change", [{"mark_colour": "cyan"}, {"marking": "top"}, {"shape": "disc"}, {"colour": "blue"}])
def test_an_object_that_becomes_another_on_the_way_is_not_the_same(change):
    still = replace(MARKED, motion="stays still")
    video = np.concatenate([world.render(still, 30), world.render(replace(still, **change), 19)])
    assert judge.judge(video, still).same == 0


def test_light_and_shadow_alone_are_no_fault():
    plain = replace(MARKED, lit=False)
    assert judge.judge(world.render(plain, 24), MARKED).all_right
    assert not np.array_equal(world.render(plain, 1), world.render(MARKED, 1))


def test_a_background_that_flickers_is_measured():
    video = world.render(MARKED, 24)
    video[::2] += 4.0 / 255.0
    steady, flickering = judge.judge(world.render(MARKED, 24), MARKED), judge.judge(video, MARKED)
    assert steady.flicker == 0.0
    assert flickering.flicker == pytest.approx(4.0, abs=0.01)
    assert flickering.all_right


def test_captions_tell_markings_and_backdrops():
    assert MARKED.caption() == "a red square with a yellow stripe slides left quickly on a grey checked background"
    plain = replace(MARKED, marking="plain", mark_colour="", backdrop="plain")
    assert plain.caption() == "a red square slides left quickly on a grey background"


def test_a_blueprint_shows_lines_alone():
    drawn = replace(MARKED, look="blueprint")
    plain = replace(drawn, marking="plain", backdrop="plain", lit=False)
    assert np.array_equal(world.render(drawn, 5), world.render(plain, 5))


@pytest.mark.parametrize("call", [lambda: looks.pattern("wavy", 64, 64), lambda: looks.marked("plain", *np.ones(3))])
def test_unknown_looks_are_refused(call):
    with pytest.raises(ValueError, match="not of the toy world; use one of"):
        call()
