"""Where AICL adds: between attention and feed-forward, with the host's block as it is around it."""

from __future__ import annotations

from functools import partial

import pytest
import tiny_aicl
import torch
from torch import nn

from pack.nodes.host.aicl.sites import NORMS, BeforeFeedForward, BehindBlock, base_of
from pack.nodes.host.model.noise import loaded_model


class Block(nn.Module):
    """A transformer block as they all are."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attend, self.norm, self.ff = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 8)

    def forward(self, x, transformer_options=None):  # noqa: ARG002 - as the host calls it
        x = x + self.attend(x)
        return x + self.ff(self.norm(x))


def insert(block, norm, addition):
    """Replace both forwards as the host's object patches do."""
    insertion = BeforeFeedForward(addition)
    block.forward = partial(insertion.block, partial(type(block).forward, block))
    norm.forward = partial(insertion.norm, partial(type(norm).forward, norm))


def test_the_addition_goes_through_the_feed_forward_and_stays_in_the_result():
    block, x = Block(), torch.randn(2, 3, 8)
    inside = x + block.attend(x)
    wanted = (inside + 2.0 * inside) + block.ff(block.norm(3.0 * inside))
    plain = block(x)
    seen = []
    insert(block, block.norm, lambda tokens, options: (seen.append(options), 2.0 * tokens)[1])
    torch.testing.assert_close(block(x, transformer_options={"a": 1}), wanted)
    assert seen == [{"a": 1}]
    insert(block, block.norm, lambda _tokens, _options: None)
    assert torch.equal(block(x), plain)


def test_gradients_pass_also_where_the_block_runs_again():
    from torch.utils.checkpoint import checkpoint

    block, x = Block(), torch.randn(2, 3, 8)
    scale = torch.ones(8, requires_grad=True)
    insert(block, block.norm, lambda tokens, _options: tokens * scale)
    block(x).sum().backward()
    direct, scale.grad = scale.grad, None
    checkpoint(block, x, use_reentrant=False).sum().backward()
    torch.testing.assert_close(scale.grad, direct)


def test_the_host_s_temporal_block_is_added_to_in_front_of_its_feed_forward():
    model = tiny_aicl.model_of("SVD")
    name = next(iter(base_of(loaded_model(model)).blocks))
    block = model.model.diffusion_model.get_submodule(name)
    seen = []

    def addition(tokens, _options):
        seen.append(tokens)
        return torch.ones_like(tokens)

    insertion = BeforeFeedForward(addition)
    original, norm = partial(type(block).forward, block), partial(type(block.norm3).forward, block.norm3)
    with torch.inference_mode():
        block.norm3.forward = partial(insertion.norm, norm)
        try:
            x = torch.randn(4, 3, base_of(loaded_model(model)).blocks[name])
            out = insertion.block(original, x, context=torch.randn(4, 1, 32), transformer_options={})
        finally:
            del block.norm3.forward
        moved = seen[0] + 1.0
        torch.testing.assert_close(out, moved + block.ff(norm(moved)))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("Wan 2.1", 2),
        ("Wan 2.2 5B", 2),
        ("CogVideoX 5B", 2),
        ("CogVideoX 2B", 1),
        ("SVD", 7),
        ("LTXV", 2),
        ("LTX-2", 2),
        ("LTX-2.3", 2),
        ("HunyuanVideo", 2),
        ("HunyuanVideo 1.5", 2),
        ("Kandinsky 5", 2),
    ],
)
def test_every_block_of_a_base_is_found_with_its_channels(name, count):
    base = base_of(loaded_model(tiny_aicl.model_of(name)))
    assert (base.family, len(base.blocks)) == (name, count)
    modules = dict(tiny_aicl.model_of(name).model.diffusion_model.named_modules())
    assert base.blocks.keys() <= modules.keys()
    assert f"{name} with {count} blocks of" in str(base)


def call_of(name, block):
    """Arguments of the first call of a block while its network samples: their names, and the tokens' place or name."""
    calls = []
    handle = block.register_forward_pre_hook(
        lambda _block, args, options: calls.append((args, dict(options))), with_kwargs=True
    )
    tiny_aicl.plain(name, tiny_aicl.start(name), steps=1)
    handle.remove()
    return calls[0]


@pytest.mark.parametrize("name", ["HunyuanVideo", "HunyuanVideo 1.5", "Kandinsky 5"])
def test_what_is_added_is_there_for_the_feed_forward_and_not_for_the_attention(name):
    """Tokens x with the difference to those of y added behind the attention are those of y from there on."""
    base = base_of(loaded_model(tiny_aicl.model_of(name)))
    block = tiny_aicl.model_of(name).model.diffusion_model.get_submodule(next(iter(base.blocks)))
    with torch.inference_mode():
        args, options = call_of(name, block)
        given = options["img"] if "img" in options else args[0]
        fixed = {part: value.clone() for part, value in options.items() if part == "txt"}

        def run(tokens, addition):
            """The video's tokens behind the block, and those its norm was shown."""
            seen = []
            insertion = BeforeFeedForward(lambda x, _options: (seen.append(x.clone()), addition(x))[1])
            norm = block.get_submodule(NORMS[base.kind])
            norm.forward = partial(insertion.norm, partial(type(norm).forward, norm))
            call = partial(insertion.block, partial(type(block).forward, block))
            tokens = tokens.clone()  # the host's blocks may change them in place
            more = {**options, **{part: value.clone() for part, value in fixed.items()}}
            try:
                out = call(**{**more, "img": tokens}) if "img" in options else call(tokens, *args[1:], **more)
            finally:
                del norm.forward
            return out if isinstance(out, torch.Tensor) else out[0], seen[0]

        wanted, middle = run(given + 0.5 * torch.randn_like(given), lambda _x: None)
        plain, before = run(given, lambda _x: None)
        moved, _ = run(given, lambda x: middle - x)
    assert tiny_aicl.differs(plain, wanted)
    assert tiny_aicl.differs(before, middle)
    torch.testing.assert_close(moved, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["LTXV", "LTX-2", "LTX-2.3"])
def test_what_is_added_behind_a_block_goes_into_the_next_one(name):
    model = tiny_aicl.model_of(name)
    first, second = (model.model.diffusion_model.transformer_blocks[i] for i in range(2))
    begin, seen = tiny_aicl.start(name), []
    handle = second.register_forward_pre_hook(lambda _block, args: seen.append(video_of(args[0]).clone()))
    with torch.inference_mode():
        tiny_aicl.plain(name, begin, steps=1)
        insertion = BehindBlock(lambda tokens, _options: torch.full_like(tokens, 2.0))
        first.forward = partial(insertion.block, partial(type(first).forward, first))
        try:
            tiny_aicl.plain(name, begin, steps=1)
        finally:
            del first.forward
            handle.remove()
    torch.testing.assert_close(seen[1], seen[0] + 2.0)


def video_of(tokens):
    """Of a block's tokens those of the video."""
    return tokens if isinstance(tokens, torch.Tensor) else tokens[0]


def additions_of(name, samples):
    """What a base with one trained action adds in its blocks, and the keys of its first block."""
    from pack.methods.action_tokens import stacked
    from pack.nodes.host.aicl.apply import put_on
    from pack.nodes.host.aicl.encode import Action
    from pack.nodes.host.aicl.evaluation import Applied

    adapter = tiny_aicl.host_adapter(name)
    actions = [tiny_aicl.action_of(name, (seed,)) for seed in range(samples)]
    tokens = stacked([one.tokens for one in actions], 12) if samples > 1 else actions[0].tokens
    block = next(iter(adapter.sizes.blocks))
    keys = [adapter.integrations.model[block].keys_values(one.tokens) for one in actions]
    kind, clone = base_of(loaded_model(tiny_aicl.model_of(name))).kind, tiny_aicl.model_of(name).clone()
    return put_on(clone, [Applied(Action(adapter, tokens))], kind), block, keys


@pytest.mark.parametrize("samples", [1, 2])
def test_rows_of_svd_are_positions_over_time_of_the_right_sample(samples):
    from pack.nodes.host.aicl.evaluation import Evaluation

    with torch.inference_mode():
        additions, name, keys = additions_of("SVD", samples)
        layer = additions.applied[0].action.adapter.integrations.model[name]
        parts, positions, frames = 2, 3, 4
        x = torch.randn(parts * samples * positions, frames, layer.attention.to_q.in_features)
        times = torch.tensor([0.1, 0.2, 0.5, 0.9])
        out = additions.added(name, x, Evaluation([0], times), {"cond_or_uncond": [1, 0]})
        for row in range(len(x)):
            own = keys[row // positions % samples]
            alone = layer(x[row][None, :, None], own, times=times)[0, :, 0]
            torch.testing.assert_close(out[row], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["Wan 2.1", "CogVideoX 5B"])
def test_tokens_of_transformers_lie_frame_after_frame(name):
    from pack.nodes.host.aicl.evaluation import Evaluation

    with torch.inference_mode():
        additions, block, keys = additions_of(name, 1)
        layer = additions.applied[0].action.adapter.integrations.model[block]
        x, times = torch.randn(1, 3 * 4, layer.attention.to_q.in_features), torch.tensor([0.1, 0.5, 0.9])
        out = additions.added(block, x, Evaluation([0], times), {"grid_sizes": (3, 2, 2)})
        for token in range(12):
            frame = token // 4
            alone = layer(x[:, None, token : token + 1], keys[0], times=times[frame : frame + 1])[:, 0, 0]
            torch.testing.assert_close(out[:, token], alone, atol=1e-4, rtol=1e-4)


def test_tokens_that_are_not_the_video_s_are_reported():
    from pack.nodes.host.aicl.evaluation import Evaluation

    with pytest.raises(RuntimeError, match="16 tokens in 3 x 2 x 2 positions"):
        Evaluation([0], torch.zeros(3), size=(2, 2)).frames_of("LTX", torch.zeros(1, 16, 8), {})
    with pytest.raises(RuntimeError, match="16 tokens in 3 x 2 x 2 positions"):
        Evaluation([0], torch.zeros(3)).frames_of("WAN", torch.zeros(1, 16, 8), {"grid_sizes": (3, 2, 2)})
