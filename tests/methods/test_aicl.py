"""Sizes of an AICL adapter, its start, and guidance."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pack.methods.action_prism import PrismSizes
from pack.methods.aicl import (
    PRESETS,
    AdapterSizes,
    DropRates,
    add_action,
    build,
    chosen,
    new_adapter,
    parameter_counts,
    preset_sizes,
    three_way,
)

SIZES = AdapterSizes(PrismSizes(3, 5, 8, 2, 1, token=6), {"blocks.0": 8, "blocks.1": 12}, inner=4)


def test_an_adapter_without_blocks_is_refused():
    with pytest.raises(ValueError, match="at least one block"):
        replace(SIZES, blocks={})


def test_a_start_is_a_function_of_the_seed_and_of_nothing_else():
    torch.manual_seed(1)
    first = new_adapter(SIZES, 3)
    torch.manual_seed(2)
    second, other = new_adapter(SIZES, 3), new_adapter(SIZES, 4)
    for part in range(2):
        state = second[part].state_dict()
        assert all(torch.equal(value, state[name]) for name, value in first[part].state_dict().items())
        assert not all(torch.equal(value, state[name]) for name, value in other[part].state_dict().items())


def test_only_what_integrations_give_out_starts_at_zero():
    prism, integrations = new_adapter(SIZES)
    zeros = {name for name, value in integrations.named_parameters() if not value.any()}
    outs = {f"blocks.{i}.attention.to_out.{kind}" for i in range(2) for kind in ("weight", "bias")}
    assert zeros == outs | {f"blocks.{i}.norm.bias" for i in range(2)}
    assert all(value.any() for name, value in prism.named_parameters() if not name.endswith("bias"))


def test_parameters_are_counted_without_making_them():
    made = [sum(value.numel() for value in part.parameters()) for part in new_adapter(SIZES)]
    assert list(parameter_counts(SIZES)) == made


def test_the_paper_s_preset_has_its_layers_heads_and_width():
    sizes = preset_sizes("paper", 4, 1024, {f"blocks.{i}": 640 for i in range(4)}, size=(16, 32, 32))
    prism = sizes.prism
    assert (prism.layers, prism.heads, prism.width // prism.heads, prism.token_channels) == (18, 8, 80, 4096)
    assert len(sizes.blocks) == 4
    # Of the authors' 493 M a fourth attention and feed-forward in every layer is left out.
    assert 345e6 < parameter_counts(sizes)[0] < 375e6


def test_presets_grow():
    blocks = {f"blocks.{i}": 1536 for i in range(30)}
    counts = [sum(parameter_counts(preset_sizes(name, 16, 4096, blocks))) for name in PRESETS]
    assert counts == sorted(counts)
    assert [preset_sizes(name, 16, 4096, blocks).inner for name in PRESETS] == [512, 768, 1280]
    with pytest.raises(ValueError, match="preset 'huge' is not known; use one of small, base, paper"):
        preset_sizes("huge", 16, 4096, blocks)


def test_every_nth_block_is_chosen_and_at_least_one():
    blocks = dict.fromkeys("abcde", 8)
    assert list(chosen(blocks, 2)) == ["b", "d"]
    assert list(chosen(blocks, 1)) == list("abcde")
    assert list(chosen(blocks, 9)) == ["a"]


def test_modules_are_built_of_the_layers_that_are_given():
    class Casting:
        class Linear(torch.nn.Linear):
            pass

        class LayerNorm(torch.nn.LayerNorm):
            pass

    for part in build(SIZES, Casting):
        kinds = {type(module) for module in part.modules() if isinstance(module, (torch.nn.Linear, torch.nn.LayerNorm))}
        assert kinds == {Casting.Linear, Casting.LayerNorm}


def test_guidance_by_text_and_action_is_the_formula_and_has_the_usual_limits():
    nothing, text, both = torch.randn(3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    out = three_way(nothing, text, both, 5.0, 3.0)
    torch.testing.assert_close(out, nothing + 5 * (text - nothing) + 3 * (both - text))
    torch.testing.assert_close(three_way(nothing, text, both, 4.0, 4.0), nothing + 4 * (both - nothing))
    torch.testing.assert_close(three_way(nothing, text, both, 1.0, 1.0), both)
    torch.testing.assert_close(add_action(text, text, both, 1.0), both)


def test_captions_and_references_are_dropped_as_often_as_told():
    rates = DropRates(caption=0.2, references=0.3, both=0.1)
    draws = [rates.kept((i + 0.5) / 1000) for i in range(1000)]
    assert draws.count((False, False)) == 100
    assert draws.count((False, True)) == 200
    assert draws.count((True, False)) == 300
    assert draws.count((True, True)) == 400


@pytest.mark.parametrize("rates", [(-0.1, 0.1, 0.1), (0.5, 0.5, 0.1)])
def test_impossible_drop_rates_are_refused(rates):
    with pytest.raises(ValueError, match="drop rates"):
        DropRates(*rates)
