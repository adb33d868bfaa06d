"""The trainers that ``train.py`` compares, each as something that makes one step on command."""

from __future__ import annotations

import importlib
import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from parts import bare_loop
from parts.host_pack import BEFORE

CLIPS, TEXT_DIM, TOKENS, CHANNELS = 4, 64, 16, 16
MODES = ("ours", "ours, blocks", "bare loop", "core", "core, fp32", "ours, bf16", "ours, bf16, blocks",
         "ours, bf16, keep attention", "ours, half of the blocks", "ours, bf16, half of the blocks", "ours, compiled",
         "ours, blocks, compiled", "ours, bf16, keep attention, compiled")  # fmt: skip
COMPILED, HALF = ", compiled", ", half of the blocks"
EARLIER = ", before"  # behind one of ours: of an older commit


@dataclass(frozen=True)
class Work:
    """What every trainer is given."""

    path: Path  # of the network's file
    layers: int  # blocks of the network
    frames: int  # latent frames: 1 condition, 3 buffers, the rest is the target
    size: int  # latent height and width
    rank: int
    threads: int
    dtype: Any = None  # that the host keeps the weights in; None: as it chooses

    def data(self) -> tuple[list[Any], list[Any]]:
        """Latents ``[C, T, h, w]`` and text ``[L, D]`` of the clips."""
        import torch

        generator = torch.Generator().manual_seed(0)
        shape = (CHANNELS, self.frames, self.size, self.size)
        clips = [torch.randn(shape, generator=generator) for _ in range(CLIPS)]
        return clips, [torch.randn(TOKENS, TEXT_DIM, generator=generator) for _ in range(CLIPS)]

    def model(self) -> Any:
        """The host's MODEL, loaded as a node would."""
        import comfy.sd
        import torch

        with torch.inference_mode():
            return comfy.sd.load_diffusion_model(str(self.path), {"dtype": self.dtype} if self.dtype else {})


class Enough(BaseException):
    """Ends a trainer that has made its steps."""


class Stepped:
    """A whole training run in a thread that waits after each step until it may go on."""

    def __init__(self, run: Callable[[Callable[..., None]], None], threads: int) -> None:
        self._go, self._done, self._end, self._error = threading.Event(), threading.Event(), False, None
        self._thread = threading.Thread(target=self._work, args=(run, threads), daemon=True)
        self._thread.start()
        self._wait()  # the first step is made here, for warmth

    def __call__(self) -> None:
        """One step."""
        self._go.set()
        self._wait()

    def close(self) -> None:
        """End the run as an error would."""
        self._end = True
        self._go.set()
        self._thread.join()

    def _work(self, run: Callable[[Callable[..., None]], None], threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        try:
            with torch.inference_mode():  # as the host's executor
                run(self._between)
        except Enough:
            pass
        except BaseException as error:  # shown by the main thread
            self._error = error
        self._done.set()

    def _between(self, *_values: Any) -> None:
        self._done.set()
        self._go.wait()
        self._go.clear()
        if self._end:
            raise Enough

    def _wait(self) -> None:
        self._done.wait()
        self._done.clear()
        if self._error is not None:
            raise self._error


def make(mode: str, work: Work, loaded: Callable[[], None] = lambda: None) -> Stepped:
    """A trainer by its name in ``MODES``; calling it makes a step. ``loaded`` is called when its model is there.

    With ``EARLIER`` behind its name it is that of the commit that ``host_pack.start_before`` has imported.
    """
    package = BEFORE if mode.endswith(EARLIER) else "pack"
    mode = mode.removesuffix(EARLIER)
    if mode == "bare loop":
        return Stepped(lambda between: run_bare(work, between, loaded), work.threads)
    model = work.model()
    loaded()
    if mode.startswith("core"):
        dtype = {"training_dtype": ["fp32"], "lora_dtype": ["fp32"]} if mode == "core, fp32" else {}
        return Stepped(lambda between: run_core(model, work, between, dtype), work.threads)
    if "bf16" in mode:
        import torch

        model.set_model_compute_dtype(torch.bfloat16)
    return Stepped(
        lambda between: run_ours(model, work, between, settings_of(mode, work.layers), package), work.threads
    )


def settings_of(mode: str, layers: int) -> dict[str, Any]:
    """Settings of a run of ours by its name in ``MODES``, on a network of so many blocks."""
    settings: dict[str, Any] = {"compile_blocks": True} if mode.endswith(COMPILED) else {}
    mode = mode.removesuffix(COMPILED)
    if mode.endswith(HALF):
        return settings | {"checkpointing": "blocks", "kept_blocks": layers // 2}
    settings["checkpointing"] = next((kept for kept in ("blocks", "keep attention") if mode.endswith(kept)), "off")
    return settings


def known_before(modes: list[str]) -> list[str]:
    """Those of our ``modes`` whose settings the commit that ``host_pack.start_before`` has imported takes."""
    config, known = importlib.import_module(f"{BEFORE}.training.core.config"), []
    for mode in modes:
        try:
            config.TrainConfig(**settings_of(mode, 1))
        except (TypeError, ValueError) as error:  # no such setting, or no such value of it
            print(f"left out, as that commit does not know it: {mode}{EARLIER} ({error})")
        else:
            known.append(mode)
    return known


def run_bare(work: Work, between: Callable[..., None], loaded: Callable[[], None]) -> None:
    """``bare_loop.py`` on the bare network."""
    import comfy.model_management as management
    import comfy.sd
    import torch

    from pack.methods.tic_ft import Layout

    with torch.inference_mode(False):
        network = comfy.sd.load_diffusion_model(str(work.path)).model.diffusion_model
        loaded()
        layout = Layout.linear(1, 3, work.frames - 4)
        step = bare_loop.make_step(network, *work.data(), layout.max_sigmas(), layout.prefix, work.rank, 1)
        while True:
            management.in_training = True  # else the host uses kernels without a backward pass
            step()
            between()


def run_ours(
    model: Any, work: Work, between: Callable[..., None], settings: dict[str, Any], package: str = "pack"
) -> None:
    """The pack's loop, objective, predictor and adapters as in a run; without files."""
    part = partial(importlib.import_module, package=package)
    tic_ft, objectives = part(".methods.tic_ft"), part(".training.tic_ft.objective")
    video_model = part(".nodes.host.model.video_model").video_model

    recipe = objectives.TicftRecipe("custom", tic_ft.Layout.linear(1, 3, work.frames - 4))
    config = part(".training.core.config").TrainConfig(rank=work.rank, steps=10**6, **settings)
    with part(".nodes.host.session.session").training_session(video_model(model), config) as session:
        clips, texts = work.data()
        conditioning = [{"cross_attn": text} for text in texts]
        objective = objectives.TicftObjective(clips, conditioning, conditioning[0], recipe, config)
        loop = part(".training.core.loop")
        loop.train(objective, session.predict, session.trained.parameters(), config, on_step=between)


def run_core(model: Any, work: Work, between: Callable[..., None], values: dict[str, list[Any]]) -> None:
    """The host's ``TrainLoraNode`` with its defaults, but for rank and ``values``."""
    import torch
    from comfy_extras.nodes_train import TrainLoraNode, TrainSampler

    clips, texts = work.data()
    given = {
        "model": [model],
        "latents": [{"samples": torch.stack(clips)}],
        "positive": [[[text[None], {}] for text in texts]],
        "steps": [10**6],
        "rank": [work.rank],
        **values,
    }
    defaults = {
        entry.id: [entry.default] for entry in TrainLoraNode.define_schema().inputs if hasattr(entry, "default")
    }
    names = inspect.signature(TrainLoraNode.execute).parameters
    step, made = TrainSampler._train_step_standard_mode, []

    def stepping(self: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.current_thread() is own and made:
            between()
        made.append(1)
        return step(self, *args, **kwargs)

    own = threading.current_thread()
    TrainSampler._train_step_standard_mode = stepping
    try:
        TrainLoraNode.execute(
            **{
                name: value
                for name, value in {**defaults, **given, "existing_lora": ["[None]"]}.items()
                if name in names
            }
        )
    finally:
        TrainSampler._train_step_standard_mode = step
