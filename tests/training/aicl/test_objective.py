"""AICL's objective: what a step draws, which references a clip reads, and what is lost."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pack.methods.action_prism import ActionPrism, PrismSizes
from pack.methods.aicl import AdapterSizes, DropRates, new_adapter
from pack.methods.ddpm import DdpmProcess
from pack.training.aicl.groups import Groups
from pack.training.aicl.objective import READINGS, AiclData, AiclObjective, AiclSettings
from pack.training.aicl.reading import Reading, Reference, read_actions, split_reading, with_reading
from pack.training.aicl.sizes import sizes_from_text
from pack.training.aicl.validation import WITHOUT_NAME, WRONG_NAME, reference_losses
from pack.training.core.batches import FlowBatch, StepGenerators
from pack.training.core.config import TrainConfig

SIZES = AdapterSizes(PrismSizes(2, 3, 8, 2, 1, token=6, queries=2, grid=2), {"blocks.0": 8}, inner=4)
NOTHING_DROPPED = DropRates(0.0, 0.0, 0.0)


def groups(clips: int) -> Groups:
    choices = tuple(tuple(j for j in range(clips) if j != i and j % 2 == i % 2) for i in range(clips))
    return Groups(choices, tuple("ab"[i % 2] for i in range(clips)))


def objective(clips: int = 8, drops: DropRates = NOTHING_DROPPED, most: int = 3, **changes: Any) -> AiclObjective:
    """Reference i is full of ``10 i + variant``."""
    generator = torch.Generator().manual_seed(0)
    x0 = [torch.randn(2, 3, 2, 2, generator=generator) for _ in range(clips)]
    conditioning = [{"cross_attn": torch.full((1, 3), float(i + 1))} for i in range(clips)]
    references = [
        Reference(tuple(torch.full((2, 2, 2, 2), 10.0 * i + v) for v in range(2)), torch.full((1, 3), float(i)))
        for i in range(clips)
    ]
    data = AiclData(x0, conditioning, {"cross_attn": torch.zeros(1, 3)}, references, groups(clips))
    order = AiclSettings(SIZES, drops, most, **changes)
    return AiclObjective(data, order, TrainConfig(), "a set", {"size": "small"})


def drawn(of: AiclObjective, clip: int, seed: int, step: int) -> tuple[dict[str, Tensor], Reading]:
    batch = of.batch([clip], StepGenerators.at(seed, step))
    return split_reading(batch.conditioning[0])


def numbers(reading: Reading) -> list[int]:
    """Which references were drawn."""
    return [int(latents.mean()) // 10 for latents, _ in reading.references]


def test_a_clip_reads_one_to_three_others_of_its_action_in_any_variant():
    found = [drawn(objective(), 2, 5, step)[1] for step in range(200)]
    assert all(reading.read and 1 <= len(reading.references) <= 3 for reading in found)
    assert all(len(set(numbers(reading))) == len(reading.references) for reading in found)
    assert {number for reading in found for number in numbers(reading)} == {0, 4, 6}  # never itself
    assert {len(reading.references) for reading in found} == {1, 2, 3}
    assert {int(latents.mean()) % 10 for reading in found for latents, _ in reading.references} == {0, 1}
    assert all(
        int(text.mean()) == int(latents.mean()) // 10 for reading in found for latents, text in reading.references
    )
    assert {len(drawn(objective(most=1), 2, 5, step)[1].references) for step in range(20)} == {1}


def test_a_step_is_a_function_of_seed_and_number():
    first, again = (objective().batch([1, 4], StepGenerators.at(3, 7)) for _ in range(2))
    for one, other in zip(first.conditioning, again.conditioning, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert torch.equal(first.noise, again.noise)
    runs = [[numbers(drawn(objective(), 2, seed, step)[1]) for step in range(12)] for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


def test_dropping_changes_neither_noise_nor_which_references_are_drawn():
    for step in range(10):
        plain, dropping = (
            objective(drops=drops).batch([2], StepGenerators.at(1, step)) for drops in (NOTHING_DROPPED, DropRates())
        )
        assert torch.equal(plain.noise, dropping.noise)
        assert torch.equal(plain.sigma, dropping.sigma)
        one, other = (numbers(split_reading(batch.conditioning[0])[1]) for batch in (plain, dropping))
        assert one == other


def test_captions_and_references_are_dropped_at_their_rates():
    of = objective(drops=DropRates(0.2, 0.3, 0.1))
    count = 3000
    seen = Counter()
    for step in range(count):
        conditioning, reading = drawn(of, 0, 0, step)
        seen[bool(conditioning["cross_attn"].any()), reading.read] += 1
    shares = {kept: number / count for kept, number in seen.items()}
    wanted = {(False, False): 0.1, (False, True): 0.2, (True, False): 0.3, (True, True): 0.4}
    assert all(abs(shares[kept] - share) < 0.03 for kept, share in wanted.items())


@pytest.mark.parametrize("process", [None, DdpmProcess(torch.linspace(0.1, 9.0, 50))])
def test_the_loss_is_the_mean_squared_error_to_the_network_s_own_target(process):
    of = objective() if process is None else objective(process=process)
    batch = of.batch([0, 3], StepGenerators.at(0, 0))
    asked = {}

    def predict(xt: Tensor, sigma: Tensor, conditioning: Any) -> Tensor:
        asked.update(xt=xt, sigma=sigma, count=len(conditioning))
        return torch.full_like(xt, 0.3)

    found = of.loss(predict, batch)
    s = batch.sigma if process is None else process.sigma_at(batch.sigma)
    wide = s.view(-1, 1, 1, 1, 1)
    if process is None:
        xt, target = (1 - wide) * batch.x0 + wide * batch.noise, batch.noise - batch.x0
    else:
        scale = (1 + wide**2).sqrt()
        xt, target = (batch.x0 + wide * batch.noise) / scale, (batch.noise - wide * batch.x0) / scale
    torch.testing.assert_close(asked["xt"], xt)
    torch.testing.assert_close(asked["sigma"], s)
    torch.testing.assert_close(found.per_sample, (0.3 - target).square().mean((1, 2, 3, 4)))
    assert torch.equal(found.sigma, batch.sigma)


def test_clips_of_several_shapes_are_grouped_and_never_mixed():
    of = objective()
    of.data.x0[1] = torch.zeros(2, 2, 2, 2)
    of = AiclObjective(of.data, of.aicl, of.config)
    assert of.groups == ((0, 2, 3, 4, 5, 6, 7), (1,))
    with pytest.raises(ValueError, match="are of several buckets"):
        of.batch([0, 1], StepGenerators.at(0, 0))


def test_metadata_tell_sizes_rates_and_data():
    record = objective(drops=DropRates(0.2, 0.3, 0.1)).metadata()
    assert json.loads(record["method"]) == "aicl"
    assert sizes_from_text(record["sizes"]) == SIZES
    assert json.loads(record["drop_rates"]) == [0.2, 0.3, 0.1]
    assert record["training_data"] == "a set"
    assert json.loads(record["size"]) == "small"


def test_statistics_are_those_of_the_references_as_they_are():
    mean, std = objective(clips=4).data.statistics()
    torch.testing.assert_close(mean, torch.full((2,), 15.0))
    torch.testing.assert_close(std, torch.full((2,), (125 * 32 / 31) ** 0.5), rtol=1e-4, atol=0)
    constant = AiclData([torch.zeros(1, 2, 1, 1)], [{}], {}, [Reference((torch.ones(1, 2, 1, 1),), torch.ones(1, 1))],
                        Groups(((0,),), ("",)))  # fmt: skip
    assert float(constant.statistics()[1]) > 0  # it is divided by


def test_statistics_need_no_second_copy_of_all_latents():
    class Largest(TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            self.numbers = max(self.numbers, out.numel() if isinstance(out, torch.Tensor) else 0)
            return out

    latents = torch.randn(2, 3, 8, 8)
    many = [Reference((latents,), torch.ones(1, 1))] * 50
    groups = Groups(((0,),) * 50, ("",) * 50)
    data = AiclData([latents] * 50, [{}] * 50, {}, many, groups)
    with Largest() as largest:
        mean, std = data.statistics()
    assert largest.numbers <= latents.numel()
    flat = torch.cat([latents.flatten(1)] * 50, dim=1)
    torch.testing.assert_close((mean, std), (flat.mean(1), flat.std(1)))


def test_sets_without_clips_or_with_parts_missing_are_refused():
    full = objective(clips=4).data
    with pytest.raises(ValueError, match=r"the data set has \[1, 4\] clips, captions and references"):
        AiclData(full.x0, full.conditioning[:1], {}, full.references, full.groups)
    with pytest.raises(ValueError, match=r"the data set has \[0\] clips"):
        AiclData([], [], {}, [], Groups((), ()))
    with pytest.raises(ValueError, match="0 references were asked for"):
        AiclSettings(SIZES, most=0)


# What a sample reads


def prism() -> ActionPrism:
    return new_adapter(SIZES, 1)[0]


def reading(*frames: int, read: bool = True, seed: int = 0) -> Reading:
    generator = torch.Generator().manual_seed(seed)
    pairs = tuple(
        (torch.randn(2, count, 4, 4, generator=generator), torch.randn(2, 3, generator=generator)) for count in frames
    )
    return Reading(pairs, read)


def test_a_reading_comes_back_from_a_conditioning():
    given = {"cross_attn": torch.ones(1, 3)}
    plain, back = split_reading(with_reading(given, reading(2, 3, read=False)))
    assert plain.keys() == given.keys()
    assert not back.read
    assert [latents.shape[1] for latents, _ in back.references] == [2, 3]
    assert split_reading(given) == (given, Reading((), False))


def test_tokens_of_a_batch_are_those_of_each_sample_alone():
    samples = [reading(2, seed=1), reading(3, 2, seed=2), reading(2, read=False, seed=3)]
    module = prism()
    together = read_actions(module, samples, "cpu")
    assert together.mask is not None
    assert together.mask.sum(1).tolist() == [4, 10, 0]
    for i, sample in enumerate(samples[:2]):
        alone = read_actions(module, [sample], "cpu")
        assert alone.mask is None
        count = alone.tokens.shape[1]
        torch.testing.assert_close(together.tokens[i : i + 1, :count], alone.tokens)
        torch.testing.assert_close(together.times[i : i + 1, :count], alone.times)


def test_references_of_one_shape_go_through_the_prism_together():
    calls = []
    module = prism()
    module.register_forward_hook(lambda _m, args, _out: calls.append(len(args[0])))
    tokens = read_actions(module, [reading(2, 2, seed=1), reading(2, 2, seed=2)], "cpu")
    assert calls == [4]
    assert tokens.mask is None
    assert tokens.tokens.shape == (2, 8, 6)


def test_a_sample_without_any_reference_is_refused():
    with pytest.raises(ValueError, match="came without references"):
        read_actions(prism(), [Reading((), True)], "cpu")


# Validation


class Reader(nn.Module):
    """Is right by as much as the reference it reads says."""

    def __call__(self, xt: Tensor, _sigma: Tensor, conditioning: Any) -> Tensor:
        _, found = split_reading(conditioning[0])
        level = float(found.references[0][0].mean()) if found.read else -1.0
        return torch.full_like(xt, level)


def test_validation_has_the_right_a_wrong_and_no_reference_on_the_same_noise():
    of = objective(clips=4)
    losses = reference_losses(of, Reader(), "cpu", (0.3, 0.6))
    assert list(losses) == ["mean", "0.3", "0.6", WRONG_NAME, WITHOUT_NAME]
    assert losses["mean"] == pytest.approx((losses["0.3"] + losses["0.6"]) / 2)

    def expected(level_of: Any) -> float:
        total = 0.0
        for i in range(4):
            batch = of.fixed_batch(i, 0.3)
            total += float((level_of(i) - (batch.noise - batch.x0)).square().mean())
        return total / 4

    assert losses["0.3"] == pytest.approx(expected(lambda i: 10.0 * (i + 2 if i < 2 else i - 2)), rel=1e-4)
    assert losses[WRONG_NAME] == pytest.approx(expected(lambda i: 10.0 * [1, 2, 3, 0][i]), rel=1e-4)
    assert losses[WITHOUT_NAME] == pytest.approx(expected(lambda _: -1.0), rel=1e-4)


def test_where_no_clip_has_another_action_there_is_no_wrong_reference():
    of = objective(clips=4)
    one = AiclData(of.data.x0, of.data.conditioning, {}, of.data.references, Groups(of.data.groups.choices, ("a",) * 4))
    alone = AiclObjective(one, of.aicl, of.config)
    assert WRONG_NAME not in reference_losses(alone, Reader(), "cpu", (0.5,))
    with pytest.raises(ValueError, match="no wrong reference; give clips of a second action"):
        alone.fixed_batch(0, 0.5, READINGS[1])


def test_a_fixed_batch_does_not_depend_on_the_reading():
    batches: list[FlowBatch] = [objective().fixed_batch(1, 0.4, kind) for kind in READINGS]
    assert all(torch.equal(batch.noise, batches[0].noise) for batch in batches)
    found = [split_reading(batch.conditioning[0])[1] for batch in batches]
    assert [one.read for one in found] == [True, True, False]
    assert (numbers(found[0]), numbers(found[1])) == ([3], [2])
