"""The host's Context Windows on a MODEL with a TIC-FT context: every window begins with the condition."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import tiny_sampling as tiny
import torch
from comfy.context_windows import ContextFuseMethods, ContextSchedules
from comfy_extras.nodes_context_windows import ContextWindowsManualNode, WanContextWindowsManualNode

from pack.methods.tic_ft import Layout
from pack.nodes.host.sampling.wrappers import Context

LAYOUT = Layout.linear(1, 3, 9)
USUAL = {"context_schedule": "standard_static", "context_stride": 1, "closed_loop": False, "fuse_method": "pyramid"}


def windowed(length: int = 8, overlap: int = 2, layout: Layout = LAYOUT, **changed: Any) -> tuple[Any, tiny.Scene]:
    """The tiny model with a context and the host's node behind it."""
    start = tiny.scene(layout)
    per_frame = changed.pop("per_frame", False)
    model = Context(layout, start.x0, per_frame_timesteps=per_frame).put_on(tiny.tiny_model())
    options = {**USUAL, "dim": 2, "freenoise": False, **changed}
    return ContextWindowsManualNode.execute(model, length, overlap, **options).args[0], start


def single(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """A velocity that asks for no other frame."""
    return torch.sin(2.0 * x + sigma.view(-1, 1, 1, 1, 1)) + 0.5 * x


def test_every_window_begins_with_the_condition_and_the_buffers():
    model, start = windowed()
    model, calls = tiny.record(model)
    output = tiny.sample(model, start)
    assert {call.x.shape[2] for call in calls} == {8}
    by_level: dict[float, list[tiny.Call]] = {}
    for call in calls:
        by_level.setdefault(call.sigma, []).append(call)
        assert torch.allclose(call.x[:, :, :1], start.clean[:, :, :1], atol=1e-5)
    assert {len(same) for same in by_level.values()} == {4}  # 9 targets in windows of 4 that move on by 2
    for first, second in ((same[0], same[-1]) for same in by_level.values()):
        assert torch.equal(first.x[:, :, :4], second.x[:, :, :4])
        assert not torch.allclose(first.x[:, :, 4:], second.x[:, :, 4:])
    assert torch.equal(output[:, :, :1], start.x0[:, :, :1])


@pytest.mark.parametrize("fuse", ContextFuseMethods.LIST_STATIC)
@pytest.mark.parametrize("schedule", [ContextSchedules.STATIC_STANDARD, ContextSchedules.UNIFORM_STANDARD,
                                      ContextSchedules.UNIFORM_LOOPED, ContextSchedules.BATCHED])  # fmt: skip
def test_windows_change_nothing_where_frames_stand_alone(schedule, fuse):
    if (schedule, fuse) == (ContextSchedules.BATCHED, ContextFuseMethods.OVERLAP_LINEAR):
        pytest.skip("the host fails on its own where the last batch is shorter than the overlap")
    model, start = windowed(context_schedule=schedule, fuse_method=fuse)
    plain = Context(LAYOUT, start.x0).put_on(tiny.tiny_model())
    expected = tiny.sample(tiny.record(plain, single)[0], start)
    assert torch.allclose(tiny.sample(tiny.record(model, single)[0], start), expected, atol=1e-4)


@pytest.mark.parametrize("fuse", ContextFuseMethods.LIST_STATIC)
def test_target_frames_are_weighed_as_the_host_weighs_them_without_a_prefix(fuse):
    def own_place(x: torch.Tensor, _sigma: torch.Tensor) -> torch.Tensor:
        places = torch.arange(4.0).repeat(3)[: x.shape[2]].view(1, 1, -1, 1, 1)
        return x * 0 + places

    bare = Layout(0, 0, 9)
    alone, empty = windowed(4, layout=bare, fuse_method=fuse, causal_window_fix=False)
    expected = tiny.sample(tiny.record(alone, own_place)[0], empty, steps=1)
    model, start = windowed(fuse_method=fuse)
    start.noise[:, :, 4:] = empty.noise
    output = tiny.sample(tiny.record(model, own_place)[0], start, steps=1)
    assert (output[:, :, 4:] - expected).abs().max() < 1e-4


def test_windows_get_the_timesteps_of_their_own_frames():
    model, start = windowed(per_frame=True)
    model, calls = tiny.record(model)
    tiny.sample(model, start)
    for call in calls:
        expected = LAYOUT.max_sigmas().clamp(max=call.sigma)[:8] * 1000
        assert torch.allclose(call.timestep, expected.expand(1, -1), atol=1e-2)


def test_freenoise_leaves_the_noise_of_the_prefix_alone():
    def first_noise(freenoise: bool) -> list[torch.Tensor]:
        model, start = windowed(freenoise=freenoise)
        model, calls = tiny.record(model)
        tiny.sample(model, start)
        return [call.x for call in calls[:4]]

    plain, shuffled = first_noise(False), first_noise(True)
    assert all(torch.allclose(a[:, :, :4], b[:, :, :4], atol=1e-5) for a, b in zip(plain, shuffled, strict=True))
    repeated = {float(frame.sum()) for x in shuffled for frame in x[0, 0, 4:]}
    assert len(repeated) == 4  # of nine frames: noise of the first window comes again


def test_the_node_for_wan_counts_in_frames_of_video():
    start = tiny.scene(LAYOUT)
    model = Context(LAYOUT, start.x0).put_on(tiny.tiny_model())
    options = {name: USUAL[name] for name in USUAL}
    model = WanContextWindowsManualNode.execute(model, 29, 8, freenoise=False, **options).args[0]
    model, calls = tiny.record(model)
    tiny.sample(model, start)
    assert {call.x.shape[2] for call in calls} == {8}


def test_a_run_leaves_the_node_behind_it_as_it_was():
    model, start = windowed()
    handler = model.model_options["context_handler"]
    before = dict(vars(handler))
    first, second = tiny.sample(model, start), tiny.sample(model, start)
    assert torch.equal(first, second)
    assert model.model_options["context_handler"] is handler
    assert vars(handler) == before


def test_a_sequence_that_fits_one_window_is_sampled_as_without_windows():
    model, start = windowed(length=13)
    expected = tiny.sample(Context(LAYOUT, start.x0).put_on(tiny.tiny_model()), start)
    assert torch.equal(tiny.sample(model, start), expected)


def test_windows_with_no_room_behind_the_condition_are_refused():
    for length, overlap in pairwise((6, 2, 1)):
        model, start = windowed(length, overlap)
        with pytest.raises(ValueError, match=r"begins with the 4 condition and buffer latents; set its context_length"):
            tiny.sample(model, start)


def test_windows_of_another_pack_are_refused():
    model, start = windowed()
    model.model_options["context_handler"] = type("Foreign", (), {})()
    with pytest.raises(ValueError, match=r"of another pack \(Foreign\).* take that node off"):
        tiny.sample(model, start)
