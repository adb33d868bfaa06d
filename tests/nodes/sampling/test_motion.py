"""A LoRA in a window of the sampling: exact inside and outside it with any sampler, and the model left as it was."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import comfy.hooks
import comfy.model_management
import comfy.samplers
import pytest
import tiny_families as tiny
import torch
from tiny_sampling import Scene, sample, scene, tiny_model
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.nodes.host.sampling.motion import Schedule
from pack.nodes.host.services.keys import MOTION_KEY
from pack.nodes.motion import FewShotMotionApply
from pack.training.lora.file import LoraModel
from pack.training.lora.metadata import to_metadata

pytestmark = pytest.mark.usefixtures("own_output")

STEPS = 6
QUERIES = ("self_attn.q", "cross_attn.q")


def lora(
    seed: int = 0, rank: int = 2, names: tuple[str, ...] = QUERIES, size: int = 48, metadata: Any = None
) -> LoraModel:
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for block in range(2):
        for name in names:
            key = f"diffusion_model.blocks.{block}.{name}"
            tensors[f"{key}.lora_up.weight"] = torch.randn(size, rank, generator=generator) * 0.3
            tensors[f"{key}.lora_down.weight"] = torch.randn(rank, size, generator=generator) * 0.3
            tensors[f"{key}.alpha"] = torch.tensor(float(rank))
    return LoraModel(tensors, metadata)


def begin() -> Scene:
    """Four latents of noise, always the same."""
    return scene(Layout(0, 0, 4), seed=5)


def applied(model: Any, what: Any = None, strength: float = 1.0, start: float = 0.0, end: float = 1.0) -> Any:
    """The node as the executor runs it."""
    with torch.inference_mode():
        return FewShotMotionApply.execute(model, lora() if what is None else what, strength, start, end).result[0]


def stock(model: Any, what: Any = None, strength: float = 1.0) -> Any:
    import comfy.sd

    with torch.inference_mode():
        return comfy.sd.load_lora_for_models(model, None, dict(lora() if what is None else what), strength, 0.0)[0]


def video(model: Any, **options: Any) -> Tensor:
    return sample(model, begin(), **{"cfg": 3.0, "steps": STEPS, **options})


def weights(model: Any) -> dict[str, Tensor]:
    """The model's own, whatever was merged into the shared network before."""
    comfy.model_management.load_models_gpu([model])
    return {name: value.detach().clone() for name, value in model.model.diffusion_model.state_dict().items()}


def heard(monkeypatch: Any, run: Any) -> list[tuple[float, Tensor]]:
    """Sigma and the query weights of the first block at each evaluation of a run."""
    calls: list[tuple[float, Tensor]] = []
    calc = comfy.samplers._calc_cond_batch

    def listen(model: Any, conds: Any, x: Any, timestep: Any, options: Any) -> Any:
        out = calc(model, conds, x, timestep, options)  # the weights are those of the last evaluation
        calls.append((float(timestep[0]), model.diffusion_model.blocks[0].self_attn.q.weight.detach().clone()))
        return out

    with monkeypatch.context() as patch:
        patch.setattr(comfy.samplers, "_calc_cond_batch", listen)
        run()
    return calls


def test_a_full_window_is_the_stock_loader_bit_for_bit():
    full, loaded, base = (video(model) for model in (applied(tiny_model()), stock(tiny_model()), tiny_model()))
    assert torch.equal(full, loaded)
    assert (full - base).abs().max() > 1e-3


@pytest.mark.parametrize("strength", [0.5, -1.0])
def test_its_strength_is_that_of_the_stock_loader(strength):
    assert torch.equal(video(applied(tiny_model(), strength=strength)), video(stock(tiny_model(), strength=strength)))


@pytest.mark.parametrize("values", [{"strength": 0.0}, {"start": 0.7, "end": 0.3}])
def test_at_strength_0_and_in_no_window_it_is_the_base_bit_for_bit(values):
    model = applied(tiny_model(), **values)
    assert torch.equal(video(model), video(tiny_model()))
    assert not model.hook_patches


def test_the_lora_is_in_the_weights_inside_its_window_and_only_there(monkeypatch):
    base = weights(tiny_model())["blocks.0.self_attn.q.weight"]
    video(stock(tiny_model()))
    merged = tiny_model().model.diffusion_model.blocks[0].self_attn.q.weight.detach().clone()
    sampling = tiny_model().get_model_object("model_sampling")
    first, last = (float(sampling.percent_to_sigma(share)) for share in (0.3, 0.7))
    seen = heard(monkeypatch, lambda: video(applied(tiny_model(), start=0.3, end=0.7)))
    inside = [last <= sigma <= first for sigma, _ in seen]
    assert len(seen) == STEPS
    assert 0 < sum(inside) < STEPS
    assert not inside[0]
    for (_, weight), held in zip(seen, inside, strict=True):
        assert torch.equal(weight, merged if held else base)


def test_the_video_differs_from_that_of_a_full_window_only_where_the_window_has_ended():
    half = applied(tiny_model(), end=0.5)
    steps: dict[str, list[Tensor]] = {"half": [], "full": []}
    video(half, callback=lambda _i, denoised, *_: steps["half"].append(denoised.clone()))
    video(stock(tiny_model()), callback=lambda _i, denoised, *_: steps["full"].append(denoised.clone()))
    assert torch.equal(steps["half"][0], steps["full"][0])
    assert not torch.equal(steps["half"][-1], steps["full"][-1])


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2s_ancestral", "uni_pc", "dpm_adaptive"])
def test_every_evaluation_of_a_sampler_has_the_weights_of_its_own_level(sampler, monkeypatch):
    sampling = tiny_model().get_model_object("model_sampling")
    border = float(sampling.percent_to_sigma(0.5))
    base = weights(tiny_model())["blocks.0.self_attn.q.weight"]
    seen = heard(monkeypatch, lambda: video(applied(tiny_model(), end=0.5), sampler=sampler))
    assert {torch.equal(weight, base) for _, weight in seen} == {True, False}
    assert all(torch.equal(weight, base) == (sigma < border) for sigma, weight in seen)


def test_a_sampler_that_goes_back_up_gets_the_lora_back(monkeypatch):
    base = weights(tiny_model())["blocks.0.self_attn.q.weight"]
    sigmas = torch.tensor([1.0, 0.2, 0.9, 0.1, 0.0])
    seen = heard(monkeypatch, lambda: video(applied(tiny_model(), end=0.5), sigmas=sigmas))
    assert [torch.equal(weight, base) for _, weight in seen] == [False, True, False, True]


def test_two_loras_add_up_each_in_its_own_window(monkeypatch):
    one, two = lora(1), lora(2)
    both = applied(applied(tiny_model(), one), two, 0.5)
    torch.testing.assert_close(video(both), video(stock(stock(tiny_model(), one), two, 0.5)), atol=1e-5, rtol=1e-5)
    windows = applied(applied(tiny_model(), one, end=0.5), two, start=0.5)
    seen = [weight for _, weight in heard(monkeypatch, lambda: video(windows))]
    assert torch.equal(seen[0], _merged(one))
    assert torch.equal(seen[-1], _merged(two))


def _merged(what: LoraModel) -> Tensor:
    video(stock(tiny_model(), what), steps=1)
    return tiny_model().model.diffusion_model.blocks[0].self_attn.q.weight.detach().clone()


def test_the_same_lora_twice_counts_twice():
    what = lora(3)
    twice = applied(applied(tiny_model(), what), what)
    torch.testing.assert_close(video(twice), video(stock(tiny_model(), what, 2.0)), atol=1e-5, rtol=1e-5)


def test_a_stock_lora_below_it_stays_outside_its_window(monkeypatch):
    one, two = lora(1), lora(2)
    seen = heard(monkeypatch, lambda: video(applied(stock(tiny_model(), one), two, end=0.5)))
    assert torch.equal(seen[-1][1], _merged(one))
    assert not torch.equal(seen[0][1], seen[-1][1])


def test_hooks_of_a_prompt_work_on_in_and_outside_the_window():
    one, two = lora(1), lora(2)
    prompts = []
    for prompt in begin().prompts:
        hooks = comfy.hooks.create_hook_lora(dict(one), 1.0, 0.0)
        prompts.append(comfy.hooks.set_hooks_for_conditioning(prompt, hooks))
    hooked = scene(Layout(0, 0, 4), seed=5, prompts=tuple(prompts))
    alone = sample(tiny_model(), hooked, steps=STEPS, cfg=3.0)
    torch.testing.assert_close(alone, video(stock(tiny_model(), one)), atol=1e-5, rtol=1e-5)
    both = sample(applied(tiny_model(), two), hooked, steps=STEPS, cfg=3.0)
    torch.testing.assert_close(both, video(stock(stock(tiny_model(), one), two)), atol=1e-5, rtol=1e-5)


def test_split_sampling_equals_whole_sampling():
    model = applied(tiny_model(), end=0.5)
    sampling = tiny_model().get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "simple", STEPS)
    whole = sample(model, begin(), cfg=3.0, sigmas=sigmas)
    for at in (2, 3, 4):
        from_middle = begin()
        first = sample(model, begin(), cfg=3.0, sigmas=sigmas[: at + 1], force_full_denoise=False)
        from_middle.latent, from_middle.noise = first, torch.zeros_like(first)
        rest = sample(model, from_middle, cfg=3.0, sigmas=sigmas[at:], disable_noise=True)
        torch.testing.assert_close(rest, whole, atol=1e-5, rtol=1e-5)


def test_nothing_is_left_on_the_model_or_in_memory():
    before = weights(tiny_model())
    model = applied(tiny_model(), end=0.5)
    video(model)
    assert not model.hook_backup
    assert not model.cached_hook_patches
    assert model.current_hooks is None
    left = tiny_model().model.diffusion_model.state_dict()  # as the run has left them
    assert all(torch.equal(value, before[name]) for name, value in left.items())
    assert not tiny_model().hook_patches
    tensors = [weakref.ref(hook_ref) for hook_ref in model.hook_patches]
    del model
    gc.collect()
    assert not any(ref() for ref in tensors)


def test_an_interrupted_run_leaves_the_base_as_it_was():
    before = weights(tiny_model())

    def stop(step: int, *_: Any) -> None:
        if step == 1:
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        video(applied(tiny_model()), callback=stop)
    left = tiny_model().model.diffusion_model.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in left.items())


@pytest.mark.parametrize("family", tiny.COGVIDEOX, ids=lambda family: family.name)
def test_a_cogvideox_model_is_repaired_and_takes_the_window(family):
    network = tiny.model_of(family.name).model.diffusion_model
    what = lora(names=("q", "k"), size=network.dim)
    what = LoraModel({key: value for key, value in what.items() if int(key.split(".")[2]) < len(network.blocks)})
    start = scene(Layout(0, 0, 4), seed=5, model=tiny.model_of(family.name),
                  prompts=(family.conditioning(1), family.conditioning(2)))  # fmt: skip
    off = applied(start.model, what, 0.0)
    full = applied(start.model, what)
    assert not torch.equal(sample(off, start), sample(start.model, start))  # repaired, which the loader is not
    assert torch.equal(sample(full, start), sample(stock(off, what), start))


def test_one_wrapper_serves_all_loras_of_a_model():
    model = applied(applied(tiny_model(), end=0.5), lora(1), start=0.2)
    (schedule,) = model.get_wrappers("calc_cond_batch", MOTION_KEY)
    assert isinstance(schedule, Schedule)
    assert [(one.start, one.end) for one in schedule.loras] == [(0.0, 0.5), (0.2, 1.0)]


def test_an_empty_lora_changes_nothing():
    assert torch.equal(video(applied(tiny_model(), LoraModel({}))), video(tiny_model()))


def test_a_plain_dict_as_the_hosts_own_loader_gives_is_taken():
    assert torch.equal(video(applied(tiny_model(), dict(lora()))), video(applied(tiny_model())))


def test_a_lora_of_another_base_is_refused_and_both_are_named():
    trained_on = {"base_family": "CogVideoX 5B", "base_model": "CogVideoX with 5.57 M parameters"}
    other = lora(metadata={**to_metadata(trained_on), "modelspec.title": "jump_motion"})
    with pytest.raises(ValueError, match=r"^jump_motion was trained on CogVideoX with 5.57 M .* model is WAN21"):
        applied(tiny_model(), other)
    with pytest.raises(ValueError, match="none of them is in WAN21"):
        applied(tiny_model(), lora(names=("nothing",)))
    with pytest.raises(ValueError, match="trained on"):
        applied(tiny_model(), lora(size=24))


def test_paged_weights_take_no_schedule_unless_they_can_be_loaded_again():
    from pack.nodes.host.sampling import motion as motion_apply

    class Paged:
        cached_patcher_init = None

        def is_dynamic(self) -> bool:
            return True

        def get_non_dynamic_delegate(self) -> str:
            return "fixed"

    paged = Paged()
    with pytest.raises(ValueError, match="--disable-dynamic-vram"):
        motion_apply.hookable(paged)
    paged.cached_patcher_init = ()
    assert motion_apply.hookable(paged) == "fixed"
