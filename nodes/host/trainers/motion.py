"""One-shot motion in the host: two runs, one for the appearance of a clip and one, on top of it, for its motion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ....training.core.config import TrainConfig
from ....training.core.methods import APPEARANCE, MOTION
from ....training.core.preview import PreviewSettings
from ....training.data.encoding import EncodedDataset, former_clips
from ....training.lora.file import LoraModel
from ....training.motion.objective import MotionTerms
from ....training.motion.recipe import AppearanceRecipe, MotionRecipe, plan_stride, still_captions
from ..model.sparse import stretched
from ..model.video_model import VideoModel
from ..runs.job import Job, check_config, run_job
from ..runs.kinds import LORA
from ..runs.live_runs import Stage
from ..runs.output import Trained
from ..runs.previews import Note, Preview, Sample, make_sample
from ..services.progress import encoding_progress
from ..session.session import Session
from .motion_loras import digest_of, known_appearance, no_lora, with_lora
from .motion_objectives import appearance_objective, motion_objective
from .motion_settings import MotionRequest, check_request, stage_config, stage_name


@dataclass(frozen=True)
class _Stages:
    """What both stages share."""

    video: VideoModel
    encoded: EncodedDataset
    request: MotionRequest
    asked: TrainConfig
    terms: MotionTerms
    vae: Any
    workflow: Mapping[str, str]
    before: str = ""  # id of the appearance run, once there is one

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are trained, in order."""
        return (APPEARANCE, MOTION) if self.request.appearance_steps and not self.request.classic else (MOTION,)

    def recipe(self, stride: int) -> MotionRecipe:
        """What the motion stage has encoded."""
        family = self.video.family
        return MotionRecipe(stride, family.compression, family.time_patch, self.video.channels, family.known_frames)

    def settings(self, latents: int) -> dict[str, Any]:
        """For the LoRA: size, rate and latents of what it was trained on, and how the node can make it again."""
        data = self.encoded.dataset
        counts = {"condition_latents": 0, "buffer_latents": 0, "target_latents": latents}
        form = {"width": data.width, "height": data.height, "fps": data.fps, **counts}
        return {**form, "asked": self.asked.to_dict(), "inputs": self.request.inputs}

    def job(
        self,
        stage: str,
        video: VideoModel,
        config: TrainConfig,
        identity: dict[str, Any],
        make_objective: Callable[[], Any],
        fps: float,
        former: Mapping[str, str],
    ) -> Job:
        def sample(of: Any, folder: Path, session: Session, note: Note) -> Sample:
            compression, request = video.family.compression, PreviewSettings(seed=config.seed)
            return make_sample(session, Preview(of, folder, fps, compression, self.vae, request), note)

        return Job(
            kind=LORA,
            model=video,
            config=config,
            run_name=stage_name(self.request.run_name, stage),
            unnamed=MOTION if stage == MOTION else f"{MOTION}_{stage}",
            identity={"method": stage, **identity, "noise process": video.process.digest},
            former=former,
            make_objective=make_objective,
            make_sample=sample,
            can_validate=False,
            on_change=self.request.on_change,
            clip_names=[sample.name for sample in self.encoded.dataset.samples] if stage == MOTION else (),
            workflow=self.workflow,
            sets={"encoded": self.encoded},
            stage=Stage(stage, self.names, self.before) if len(self.names) > 1 else None,
        )


def train_motion(
    video: VideoModel,
    encoded: EncodedDataset,
    config: TrainConfig,
    request: MotionRequest,
    vae: Any = None,
    workflow: Mapping[str, str] | None = None,
) -> tuple[Trained, LoraModel]:
    """Train the LoRAs of a clip's motion and of its appearance, or return those of finished runs of the same request.

    Two runs, each of which is returned when it is finished and goes on when it is not. The second one is trained on
    the model with the first one's LoRA patched in, frozen and active; both are for the bare model.

    Args:
        video: the MODEL; it is not changed.
        encoded: The clip, or several of one motion.
        config: Settings of the motion run.
        request: The node's other inputs.
        vae: Decodes previews; without it they show colours of the latents.
        workflow: For the LoRAs' metadata, as the host's savers write it.

    Raises:
        ValueError: the model, the data or the request does not fit.
    """
    stride = plan_stride(encoded.dataset, request.sparse_latents, video.family.compression)
    check_request(encoded.dataset, config, request, video.family, stride)
    stages = _Stages(video, encoded, request, config, request.terms, vae, workflow or {})
    motion = stage_config(config, video, request.classic)
    check_config(LORA, video, motion)  # before the appearance is trained
    appearance = None
    if APPEARANCE in stages.names:
        appearance = _train_appearance(stages, stage_config(config, video, steps=request.appearance_steps), stride)
        stages = replace(stages, before=appearance.run)
    lora = appearance.file if appearance else no_lora()
    return _train_motion(stages, motion, stride, lora), lora


def _train_appearance(stages: _Stages, config: TrainConfig, stride: int) -> Trained:
    encoded, caption = stages.encoded, stages.request.still_caption.strip()
    stills = still_captions(caption, encoded.dataset)
    known = stages.video.family.known_frames
    known = known and known.leading
    recipe = AppearanceRecipe(channels=stages.video.channels, known=known, stills=stills)
    identity = {"training clips": encoded.key(recipe)}
    settings = {**stages.settings(1), "still_caption": caption}

    def objective() -> Any:
        # The other stage's, too: a run that leaves the graph in this one finds both in the cache.
        encoded.encode(stages.recipe(stride), encoding_progress())
        return appearance_objective(stages.video, encoded, recipe, config, settings)

    former = former_clips(recipe, encoded)
    job = stages.job(APPEARANCE, stages.video, config, identity, objective, encoded.dataset.fps, former)
    motion_run = replace(job, run_name=stage_name(stages.request.run_name, MOTION)).name
    return run_job(job, lambda: known_appearance(job, motion_run))


def _train_motion(stages: _Stages, config: TrainConfig, stride: int, appearance: LoraModel) -> Trained:
    encoded, request = stages.encoded, stages.request
    family = stages.video.family
    video = stages.video.with_model(stretched(with_lora(stages.video.model, appearance), family.positions, stride))
    recipe = stages.recipe(stride)
    chosen = {
        "classic": request.classic, "stride": stride, "debiased_weight": stages.terms.debiased,
        "direction_weight": stages.terms.direction,
    }  # fmt: skip
    identity = {**chosen, "appearance": digest_of(appearance), "training clips": encoded.key(recipe)}
    latents = max(recipe.latents_of(sample) for sample in encoded.dataset.samples)
    settings = {**stages.settings(latents), **chosen}

    def objective() -> Any:
        return motion_objective(video, encoded, recipe, config, stages.terms, settings)

    former = former_clips(recipe, encoded)
    return run_job(stages.job(MOTION, video, config, identity, objective, encoded.dataset.fps / stride, former))
