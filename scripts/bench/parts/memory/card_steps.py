"""Steps that are run on the card at hand: counted and true peak, time and use of the card, resident and lent."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from parts.memory.public_models import Public, true_size

GIB = 2**30
STEPS = 3  # of which the fastest counts
LENT = 0.25  # share of the weights that stays on the card where they are lent
COLUMNS = (
    "model", "weights", "place", "checkpointing", "on the card, GiB", "counted, GiB", "peak, GiB", "s a step", "in use"
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What is run."""

    public: Public
    blocks: int | None  # None: all
    shape: tuple[int, int, int]  # latent frames, height, width
    rank: int


def table(settings: list[Setting], clip_of: Callable[..., Any], types: dict[str, Any]) -> str:
    """A line for each model, type of weights and place; then what an out-of-memory error leads to."""
    lines, notes = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"], []
    for setting in settings:
        for name, dtype in types.items():
            model = filled(true_size(setting.public, dtype, "cpu", setting.blocks))
            for place, share in (("resident", 1.0), ("lent", LENT)):
                lines.append(f"| {setting.public.name} | {name} | {place} | {line(setting, model, share, clip_of)} |")
            notes.append(f"{setting.public.name}, {name}, out of memory: {without_room(setting, model, clip_of)}")
    return "\n".join([*lines, "", *notes]) + "\n"


def prepared(setting: Setting, model: Any, clip_of: Callable[..., Any]) -> tuple[Any, Any, Any]:
    """What the MODEL is, the clip, and the settings of a run."""
    import torch

    from pack.nodes.host.model.video_model import video_model
    from pack.training.core.config import TrainConfig

    with torch.inference_mode():
        video = video_model(model)
    return video, clip_of(setting.public, video, setting.shape), TrainConfig(rank=setting.rank)


def line(setting: Setting, model: Any, share: float, clip_of: Callable[..., Any]) -> str:
    """The cells of a run with so much of the weights on the card."""
    import torch

    from pack.nodes.host.plan.memory_profile import counted_steps
    from pack.nodes.host.session.placement import Room
    from pack.nodes.host.session.session import training_session

    video, clip, config = prepared(setting, model, clip_of)
    config = replace(config, checkpointing="blocks")
    step = counted_steps(video, config, clip)[config.checkpointing]
    room = Room(step, share * model.model_size() if share < 1.0 else float("inf"))
    with torch.inference_mode(), training_session(video, config, room) as session:
        resident = session.placed.resident
        peak, seconds, use = run(session, config, clip)
    cells = [config.checkpointing, f"{resident / GIB:.2f}", f"{step / GIB:.2f}", f"{peak / GIB:.2f}", f"{seconds:.2f}"]
    return " | ".join([*cells, use])


def run(session: Any, config: Any, clip: Any) -> tuple[float, float, str]:
    """Peak beside the weights, seconds of the fastest step, and how busy the card was."""
    from pack.nodes.host.plan import memory_profile

    memory_profile.TIMED = STEPS
    with busy() as seen:
        found = memory_profile.profile_step(session, config, clip, tuple(clip.x0.shape))
    return found.memory, found.seconds, f"{statistics.mean(seen):.0f} %" if seen else "unknown"


class busy:  # noqa: N801 - used as a statement
    """How many percent of the time the card computes, asked ten times a second; nothing where no driver tells."""

    def __enter__(self) -> list[int]:
        self.seen: list[int] = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self.seen

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def _watch(self) -> None:
        import torch

        while torch.cuda.is_available() and not self.ended.wait(0.1):
            try:
                self.seen.append(torch.cuda.utilization())
            except Exception:  # whatever the driver's library says
                return


def without_room(setting: Setting, model: Any, clip_of: Callable[..., Any]) -> str:
    """What follows an out-of-memory error: the card is left less than a step without checkpointing needs."""
    import torch

    from pack.nodes.host.session.memory_use import is_out_of_memory
    from pack.nodes.host.session.placement import Room, has_own_memory
    from pack.nodes.host.session.session import training_session
    from pack.training.core.placement import Way, leaner_way

    if not torch.cuda.is_available():
        return "not tried, there is no CUDA device."
    video, clip, config = prepared(setting, model, clip_of)
    way: Way | None = Way(config.checkpointing)
    told = []
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(min(1.0, (0.6 * model.model_size() + 8 * GIB) / total))
    try:
        while way is not None:
            own = replace(config, checkpointing=way.checkpointing)
            error, placed = _tried(training_session, video, own, Room(0.0, way.most), clip)
            told.append(f"{way.checkpointing}, {placed.resident / GIB:.1f} GiB on the card: {error or 'trained'}")
            if error is None or not is_out_of_memory(error):
                break
            way = leaner_way(way, placed.resident, placed.lent, has_own_memory(placed.device))
            torch.cuda.empty_cache()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    return "; then ".join(text.splitlines()[0][:120] for text in told) + "."


def _tried(opened: Any, video: Any, config: Any, room: Any, clip: Any) -> tuple[Exception | None, Any]:
    import torch

    with torch.inference_mode(), opened(video, config, room) as session:
        try:
            run(session, config, clip)
        except Exception as error:  # is looked at by the caller
            return error.with_traceback(None), session.placed
        return None, session.placed


def filled(model: Any) -> Any:
    """Give a network on the CPU the same million random numbers again and again, in whatever type it has."""
    import comfy.model_management as management
    import torch

    noise = torch.randn(2**20, generator=torch.Generator().manual_seed(0)) * 0.02
    for parameter in model.model.parameters():
        flat = parameter.data.view(-1)
        for start in range(0, len(flat), len(noise)):
            part = flat[start : start + len(noise)]
            part.copy_(noise[: len(part)])
    model.load_device = management.get_torch_device()
    return model
