"""The timeline's own copy of the layout rules agrees with the nodes', number by number."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from patience import PATIENCE

from pack.methods import tic_ft, tic_ft_tasks
from pack.nodes.host.model.families import FAMILIES, Family
from pack.nodes.host.sampling import context

NODE = shutil.which("node")
LIB = Path(__file__).parents[2] / "js" / "lib"
COUNTS = (-1, 0, 1, 4)
FRAMES = (1, 36, 37, 40)
LEVELS = ("", "0.25, 0.5, 0.75", "0.1; .2 0.3 8e-1", "0.5, 0.2, 0.9", "0.5, 0.6, 1", "0", "low", " , ")
TRAINED = {"task": "keyframes", "condition_latents": 2, "buffer_latents": 3, "buffer_levels": [0.2, 0.4, 0.6]}

pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node.js, which runs the page's modules here")


def run_in_node(script: str, value: Any = None) -> Any:
    """What a module script of the pack's JavaScript prints, given ``value`` as ``given``."""
    assert NODE is not None
    source = f"const given = {json.dumps(value)};\n{script}"
    command = [NODE, "--input-type=module", "-"]
    done = subprocess.run(command, input=source, cwd=LIB, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def plans_of(numbers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The page's sequences."""
    script = """
        import { planSequence } from './timeline_layout.js'
        console.log(JSON.stringify(given.map((numbers) => {
            const { condition, buffer, target, levels, frames, kept, problems } = planSequence(numbers)
            return { condition, buffer, target, levels, frames, kept, problems }
        })))"""
    return run_in_node(script, numbers)


def layout_of(numbers: dict[str, Any], family: Family, settings: dict[str, Any]) -> tic_ft.Layout | None:
    """The node's layout; None where it refuses the numbers."""
    request = context.ContextRequest(
        numbers["task"], 64, 64, numbers["targetFrames"], numbers["condition"], numbers["buffer"], numbers["levels"],
        settings=settings,
    )  # fmt: skip
    try:
        layout = context.layout_of(request, numbers["lengths"], family)
        tic_ft_tasks.used_frames(request.task, numbers["lengths"], layout.condition, layout.buffer, family.compression)
    except ValueError:
        return None
    return layout


def cases(family: Family, settings: dict[str, Any], lengths: dict[str, list[int]]) -> list[dict[str, Any]]:
    """Numbers of a node with the conditions wired that each task wants."""
    model = {"compression": family.compression, "timePatch": family.time_patch}
    names = {"task": "task", "levels": "buffer_levels", "condition": "condition_latents", "buffer": "buffer_latents"}
    trained = {name: settings[key] for name, key in names.items() if settings}
    return [
        {**model, "task": task, "condition": condition, "buffer": buffer, "levels": levels, "targetFrames": frames,
         "trained": trained, "lengths": lengths[task], "connected": len(lengths[task])}
        for task, condition, buffer, levels, frames in itertools.product(lengths, COUNTS, COUNTS, LEVELS, FRAMES)
    ]  # fmt: skip


def compare(numbers: list[dict[str, Any]], family: Family, settings: dict[str, Any]) -> int:
    """Ask both; returns how many layouts were accepted."""
    accepted = 0
    for given, plan in zip(numbers, plans_of(numbers), strict=True):
        layout = layout_of(given, family, settings)
        refused = [problem for problem in plan["problems"] if "goes on with its last frame" not in problem["text"]]
        assert bool(refused) == (layout is None), (given, plan)
        if layout is None:
            continue
        accepted += 1
        assert [plan[part] for part in ("condition", "buffer", "target")] == [
            layout.condition, layout.buffer, layout.target,
        ], given  # fmt: skip
        assert plan["levels"] == pytest.approx(list(layout.levels)), given
        assert plan["frames"] == tic_ft.pixel_frames(layout.frames, family.compression)
        assert plan["kept"] == given["targetFrames"]
    return accepted


FITTING = {
    "image to video": [1],
    "video to video": [30],
    "keyframes": [1, 1],
    "multiple images": [3],
    "action transfer": [30, 1],
    "custom": [5, 1],
}


def test_the_page_has_the_tasks_of_the_methods():
    page = run_in_node("import { TASKS } from './tic_ft_tasks.js'\nconsole.log(JSON.stringify(TASKS))")
    own = {
        name: {"condition": task.condition, "buffer": task.buffer, "reads": task.reads}
        for name, task in tic_ft_tasks.TASKS.items()
    }
    assert page == own
    assert list(page) == list(own)  # the order of the menu


@pytest.mark.parametrize("name", ["Wan 2.1", "CogVideoX 1.5", "LTXV"])
def test_the_page_plans_what_the_node_plans(name):
    family = next(family for family in FAMILIES if family.name == name)
    assert compare(cases(family, {}, FITTING), family, {}) > 50


def test_the_page_plans_what_the_node_plans_with_the_settings_of_a_lora():
    assert compare(cases(FAMILIES[0], TRAINED, FITTING), FAMILIES[0], TRAINED) > 20


@pytest.mark.parametrize("lengths", [[], [1], [30], [1, 1], [3], [30, 1], [5, 1, 1], [2, 2]], ids=str)
def test_the_page_refuses_the_conditions_that_the_node_refuses(lengths):
    numbers = [
        {"task": task, "condition": condition, "buffer": 3, "levels": "", "targetFrames": 36,
         "lengths": lengths, "connected": len(lengths)}
        for task, condition in itertools.product(FITTING, (1, 2, 4))
    ]  # fmt: skip
    compare(numbers, FAMILIES[0], {})


def test_the_page_moves_the_frames_that_the_sampler_moves():
    layout = tic_ft.Layout(2, 3, 4, (0.2, 0.5, 0.75))
    sigmas = [0.0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.75, 0.9, 1.0]
    script = """
        import { framesAt, planSequence } from './timeline_layout.js'
        const { bars } = planSequence({ task: 'custom', condition: 2, buffer: 3, levels: '0.2, 0.5, 0.75', targetFrames: 16 })
        console.log(JSON.stringify(given.map((sigma) => framesAt(bars, sigma))))"""  # noqa: E501
    for sigma, frames in zip(sigmas, run_in_node(script, sigmas), strict=True):
        held = tic_ft.frozen_frames(layout, sigma)
        assert [frame["moves"] for frame in frames] == [i >= held for i in range(layout.frames)], sigma
        wanted = tic_ft.frame_sigmas(layout, torch.tensor([sigma]))[0].tolist()
        assert [frame["level"] for frame in frames] == pytest.approx(wanted)
