"""AICL in the host's sampling: integrations look at action tokens, in any stock sampler, the base model untouched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from ....methods.action_integration import Keys
from ....methods.action_tokens import ActionTokens
from ....methods.aicl import add_action
from ..model.changes import COMPILE_OPTION
from ..model.fingerprint import patch_of
from ..model.forwards import replace_forward
from ..model.noise import loaded_model
from ..services.devices import DEVICE, module_on
from ..services.keys import AICL_KEY
from .encode import Action
from .evaluation import GUIDED, Applied, Evaluation, SigmaWindow, positions_of, refuse_guides, times_of
from .sites import LTX, NORMS, SVD, WAN, BeforeFeedForward, BehindBlock


def apply_action(
    model: Any, action: Action, strength: float, start: float = 0.0, end: float = 1.0, guidance: float = 0.0
) -> Any:
    """A clone of ``model`` that performs the action; actions of several calls add up, in any order.

    Args:
        start: share of the sampling from which on it acts, in [0, 1]; with ``end`` before it never.
        guidance: 0, or the scale ``s_act`` of guidance by text and action separately, which costs one evaluation more.

    Raises:
        ValueError: the adapter was trained on another base model.
    """
    loaded = loaded_model(model)
    base = action.adapter.check_base(loaded)
    clone = loaded.model.clone()
    if strength == 0.0 or start > end:
        return clone
    applied = [*(clone.get_attachment(AICL_KEY) or ()), Applied(action, strength, start, end, guidance)]
    clone.set_attachments(AICL_KEY, applied)
    put_on(clone, applied, base.kind)
    return clone


def put_on(clone: Any, applied: Sequence[Applied], kind: str) -> Additions:
    """Patch a clone so that ``applied`` act in it, in place of what did before; the host loads their adapters.

    Args:
        kind: that of the ``Base`` which the clone is.
    """
    patchers = {id(one.action.adapter): one.action.adapter.integrations for one in applied}
    clone.set_additional_models(AICL_KEY, list(patchers.values()))
    return patch(clone, applied, kind)


def patch(clone: Any, applied: Sequence[Applied], kind: str) -> Additions:
    """As ``put_on``, for adapters that somebody else brings to the model's device."""
    from comfy.patcher_extension import WrappersMP

    frames, _, side = patch_of(clone) or (1, 1, 1)
    additions = Additions(applied, kind, frames, side)
    wrappers = {WrappersMP.DIFFUSION_MODEL: additions.network, WrappersMP.OUTER_SAMPLE: additions.sampling}
    for kind, wrapper in wrappers.items():
        clone.remove_wrappers_with_key(kind, AICL_KEY)
        clone.add_wrapper_with_key(kind, AICL_KEY, wrapper)
    if additions.kind == WAN:
        options = clone.model_options["transformer_options"]
        patches = options.setdefault("patches", {})
        patches["attn2_patch"] = [p for p in patches.get("attn2_patch", ()) if not isinstance(p, WanPatch)]
        clone.set_model_patch(WanPatch(additions), "attn2_patch")
    else:
        for name in dict.fromkeys(name for one in applied for name in one.action.adapter.sizes.blocks):
            _put_in(clone, name, additions)
    _guide(clone, additions)
    return additions


def _put_in(clone: Any, name: str, additions: Additions) -> None:
    """Patch a block of a network whose blocks have no hook of the host."""
    norm, addition = NORMS.get(additions.kind), additions.for_block(name)
    if norm is None:
        replace_forward(clone, name, BehindBlock(addition).block)
        return
    insertion = BeforeFeedForward(addition)
    replace_forward(clone, name, insertion.block)
    replace_forward(clone, f"{name}.{norm}", insertion.norm)


def _guide(clone: Any, additions: Additions) -> None:
    functions = clone.model_options.get("sampler_post_cfg_function", [])
    functions = [function for function in functions if not isinstance(function, Guidance)]
    if any(one.guidance for one in additions.applied):
        functions.append(Guidance(additions.window))
    clone.model_options["sampler_post_cfg_function"] = functions


class Additions:
    """What all actions on a MODEL add in its blocks.

    Args:
        applied: the actions.
        kind: how blocks of the base are reached.
        patch: latent frames of a token.
        side: latent pixels of a token, each way.
    """

    def __init__(self, applied: Sequence[Applied], kind: str, patch: int = 1, side: int = 1) -> None:
        self.applied = list(applied)
        self.kind, self.patch, self.side = kind, patch, side
        self.window = SigmaWindow(self.applied)
        self.keys: dict[Any, Keys] | None = None  # of each action in each block, while a run is under way
        self.times: dict[Any, Tensor] | None = None  # those of its frames, likewise
        self.model: Any = None  # the host MODEL of the run under way

    def sampling(self, executor: Any, *args: Any, **options: Any) -> Any:
        """One sampler run; keys and values are worked out once in it. Runs may nest."""
        refuse_compiled(executor.class_obj.model_patcher)
        earlier = self.keys, self.times, self.window.span, self.model
        self.model = executor.class_obj.model_patcher
        self.keys, self.times, self.window.span = {}, {}, self.window.span_in(self.model)
        try:
            return executor(*args, **options)
        finally:
            self.keys, self.times, self.window.span, self.model = earlier

    def network(self, executor: Callable[..., Any], x: Any, *args: Any, **options: Any) -> Any:
        """One evaluation: which actions act is found out once, not in every block.

        ``x`` is what the network takes: a tensor, or the video's and the sound's.
        """
        told = options.get("transformer_options") or [{}, *(a for a in args if isinstance(a, dict))][-1]
        video: Tensor = x if isinstance(x, Tensor) else x[0]
        frames = options.get("num_video_frames", len(video)) if self.kind == SVD else None
        if self.kind == LTX:
            refuse_guides(args, options)
        times = times_of(video, self.patch, self.window.span.before, told, frames, self.times)
        size = positions_of(video, self.side)
        told[AICL_KEY] = Evaluation(self.window.acting(told), times, tuple(self.applied), size)
        try:
            return executor(x, *args, **options)
        finally:
            told.pop(AICL_KEY, None)

    def for_block(self, name: str) -> Callable[[Tensor, Any], Tensor | None]:
        """What is added in a block, for its tokens and the transformer options."""

        def addition(x: Tensor, options: Any) -> Tensor | None:
            evaluation = options.get(AICL_KEY)
            return None if evaluation is None else self.added(name, x, evaluation, options)

        return addition

    def added(self, name: str, x: Tensor, evaluation: Evaluation, options: dict[str, Any]) -> Tensor | None:
        """The sum of ``strength * integration(x)`` over the actions that act and know the block, or None."""
        total = None
        for number in evaluation.acting:
            one = (evaluation.applied or self.applied)[number]
            if name not in one.action.adapter.integrations.model:
                continue
            part = self._one(name, x, number, one.action, evaluation, options)
            part = part if one.strength == 1.0 else one.strength * part
            total = part if total is None else total + part
        return total

    def _one(
        self, name: str, x: Tensor, number: int, action: Action, evaluation: Evaluation, options: dict[str, Any]
    ) -> Tensor:
        from comfy.ldm.modules.attention import optimized_attention

        def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
            return optimized_attention(q, k, v, heads, transformer_options=options)

        block = self._blocks(action, options)[name]
        keys, mask = self._keys(name, block, number, action.tokens, x)
        if self.kind == SVD:  # samples and positions lie in the batch, and each row is one position over time
            samples = len(action.tokens.tokens)
            rows = 1 if samples == 1 else samples * len(options["cond_or_uncond"])
            out = block(rearrange(x, "(b p) t c -> b t p c", b=rows), keys, mask, evaluation.times, attend)
            return rearrange(out, "b t p c -> (b p) t c")
        frames = evaluation.frames_of(self.kind, x, options)
        out = block(rearrange(x, "b (t p) c -> b t p c", t=frames), keys, mask, evaluation.times, attend)
        return rearrange(out, "b t p c -> b (t p) c")

    def _blocks(self, action: Action, options: dict[str, Any]) -> Any:
        """The integrations of an action on the device that a call is on."""
        integrations = action.adapter.integrations
        return (
            integrations.model
            if self.model is None
            else module_on(options.get(DEVICE), integrations, self.model, AICL_KEY)
        )

    def _keys(self, name: str, block: Any, number: int, tokens: ActionTokens, x: Tensor) -> tuple[Keys, Tensor | None]:
        """Keys and values; outside a run, where weights may change between calls, worked out anew."""
        mask = None if tokens.mask is None else tokens.mask.to(x.device)
        if self.keys is None or torch.is_grad_enabled():
            return block.keys_values(tokens.to(x)), mask
        key = (name, number, x.device, x.dtype)
        if key not in self.keys:
            self.keys[key] = block.keys_values(tokens.to(x))
        return self.keys[key], mask


def refuse_compiled(model: Any) -> None:
    """Refuse a MODEL that the host's compile node was put on: it lets compiled graphs be used where they do not fit.

    That node drops all guards on the transformer options, and those say which action acts, and when.

    Raises:
        ValueError: the model has the option of that node.
    """
    if COMPILE_OPTION in model.model_options:
        raise ValueError(
            "the model is compiled in a way that does not notice which AICL actions act, so that it would make a wrong "
            "video; take the Torch Compile node off, or AICL Apply"
        )


class WanPatch:
    """What the host calls behind the text's cross-attention of a Wan block."""

    def __init__(self, additions: Additions) -> None:
        self.additions = additions

    def __call__(self, args: dict[str, Any]) -> Tensor:
        x, options = args["x"], args["transformer_options"]
        added = self.additions.for_block(f"blocks.{options['block_index']}")(x, options)
        return x if added is None else x + added


class Guidance:
    """Guidance by actions apart from the text, behind the host's own guidance.

    An action with a guidance of its own is left out of the host's two predictions; one more prediction has it, and
    ``s_act`` times what it changes is added.
    """

    def __init__(self, window: SigmaWindow) -> None:
        self.window = window

    def __call__(self, args: dict[str, Any]) -> Tensor:
        from comfy.samplers import calc_cond_batch

        result, sigma = args["denoised"], args["sigma"]
        for number, one in enumerate(self.window.applied):
            if not one.guidance or not self.window.holds(number, sigma):
                continue
            options = {**args["model_options"]}
            options["transformer_options"] = {**options.get("transformer_options", {}), GUIDED: number}
            (both,) = calc_cond_batch(args["model"], [args["cond"]], args["input"], sigma, options)
            result = add_action(result, args["cond_denoised"], both, one.guidance)
        return result
