"""One-shot motion in the host: what is asked for, and which layers a stage trains."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, replace
from typing import Any

from ....training.core.config import ATTENTION_PRESET, TrainConfig
from ....training.core.methods import APPEARANCE, MOTION
from ....training.data.dataset import Dataset
from ....training.motion.objective import MotionTerms
from ....training.motion.recipe import MotionRecipe, still_captions
from ....training.runs.changes import REFUSE
from ....training.runs.folder import RunFolder
from ..model.experts import resolved
from ..model.families import Family
from ..model.video_model import VideoModel
from ..runs.kinds import LORA
from ..runs.opening import runs_folder, runs_stamp
from ..sampling.context import check_size


@dataclass(frozen=True)
class MotionRequest:
    """What FewShotMotionTrain is asked for besides the optimiser's settings, in its widgets' terms."""

    classic: bool = False  # queries alone, plain loss, no appearance stage
    appearance_steps: int = 300  # 0: no appearance stage
    debiased_weight: float = 1.0
    direction_weight: float = 0.1
    sparse_latents: int = 0  # 0: all of them
    still_caption: str = ""  # "": the clip's own
    run_name: str = ""  # "": new runs
    on_change: str = REFUSE

    @property
    def inputs(self) -> dict[str, Any]:
        """The node's inputs that decide what is trained."""
        return {name: value for name, value in asdict(self).items() if name not in ("run_name", "on_change")}

    @property
    def terms(self) -> MotionTerms:
        """Weights of the motion stage's loss."""
        return MotionTerms(0.0, 0.0) if self.classic else MotionTerms(self.debiased_weight, self.direction_weight)


def stage_config(
    config: TrainConfig, video: VideoModel, classic: bool = False, steps: int | None = None
) -> TrainConfig:
    """The settings of the motion stage, or with ``steps`` those of the appearance stage.

    Appearance is learned at all noise levels and in attention and feed-forward layers, whatever is set for the motion.

    Raises:
        ValueError: the settings do not suit the model, or name other layers than the classic ones.
    """
    if classic and config.target_modules != ATTENTION_PRESET:
        raise ValueError(
            f"classic trains the queries alone and the settings name {config.target_modules!r}; "
            f'set target_modules to "{ATTENTION_PRESET}", or switch classic off'
        )
    if steps is not None:
        whole = {"density": "uniform", "sigma_low": 0.0, "sigma_high": 1.0}
        config = replace(config, steps=steps, target_modules=_exactly(video.family.appearance), **whole)
    elif config.target_modules == ATTENTION_PRESET:
        config = replace(config, target_modules=_exactly(video.family.classic if classic else video.family.motion))
    return resolved(config, video.model, video.family)


def _exactly(pattern: str) -> str:
    """The pattern as ``target_modules``, matched by whole names."""
    return f"regex:^(?:{pattern})$"


def check_request(dataset: Dataset, config: TrainConfig, request: MotionRequest, family: Family, stride: int) -> None:
    """Refuse what one-shot motion cannot be trained with, before anything is encoded.

    Raises:
        ValueError: a setting, the data or the model does not fit.
    """
    if config.per_frame_timesteps:
        raise ValueError("one-shot motion has one noise level for all frames; switch per_frame_timesteps off")
    if stride > 1 and not family.positions:
        raise ValueError(
            f"{family.name} puts two neighbouring latents into one token, and sparse latents are no neighbours; set "
            "sparse_latents to 0"
        )
    if stride > 1 and family.known_frames:
        raise ValueError(
            f"{family.name} is given the first frame of a clip, which sparse latents may not have; "
            "set sparse_latents to 0"
        )
    for bucket in dataset.buckets():
        check_size(bucket.width, bucket.height, family)
    recipe = MotionRecipe(stride, family.compression, family.time_patch)
    for sample in dataset.samples:
        recipe.latents_of(sample)  # refuses what is too short
    still_captions(request.still_caption, dataset)  # refuses what does not fit the clips


def stage_name(name: str, stage: str) -> str:
    """Name of a stage's run: ``name_stage``, or the name itself where that is such a run; empty for a new one.

    Raises:
        ValueError: the name could lead elsewhere.
    """
    name = name.strip()
    if not name:
        return ""
    LORA.files(name)
    run, own = RunFolder(runs_folder() / name), False
    with contextlib.suppress(ValueError):  # a folder of something else
        own = run.read() and run.record["identity"].get("method") == stage
    return name if own else f"{name}_{stage}"


def stages_stamp(name: str) -> str:
    """How far the runs of a name are, see ``runs_stamp``."""
    names = (name.strip(), f"{name.strip()}_{APPEARANCE}", f"{name.strip()}_{MOTION}") if name.strip() else ()
    return " ".join(map(runs_stamp, names))
