"""AICL training: what of a clip and its references is encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from ...methods.tic_ft import latent_frames, pixel_frames
from ..core.methods import AICL
from ..data.known_frames import KNOWN, KnownFrames
from ..tic_ft.layout import check_channels
from .augmentation import NONE, augmented
from .groups import FILES

if TYPE_CHECKING:
    from ..data.dataset import Sample

LEAST = 2  # latents in which something can move


@dataclass(frozen=True)
class AiclRecipe:
    """A clip becomes the target ``x0`` and the reference ``reference_0``, as it is and in augmented variants behind it.

    With reference files the reference is the file beside the clip. Else every clip is also a reference of others, and
    as it is it is encoded only once.
    """

    group_by: str
    leak_control: str = NONE
    variants: int = 0  # augmented ones of each reference
    compression: int = 4  # pixel frames a later latent stands for
    time_patch: int = 1  # latents of a token
    channels: int | None = None  # latent channels of the model; None: any
    known: KnownFrames | None = None  # further inputs of an image-to-video network: the clip's first frame

    @property
    def augmentations(self) -> int:
        """Augmented variants of each reference; without leak control there is nothing to vary."""
        return 0 if self.leak_control == NONE else self.variants

    @property
    def key(self) -> str:
        """Everything that changes the latents."""
        source = "files" if self.group_by == FILES else "clips"
        varied = f" {self.augmentations} {self.leak_control}" if self.augmentations else ""
        known = self.known.key if self.known else ""
        return f"{AICL} 1 {source} x{self.compression} patch {self.time_patch}{varied}{known}"

    def clips(self, sample: Sample) -> dict[str, Tensor]:
        """``target``, and ``reference_i``.

        Raises:
            ValueError: one of them is too short to move, or there is no reference.
        """
        target = _whole(sample.target.frames(), self.compression, self.time_patch, "the clip")
        found = {"target": target}
        if self.group_by != FILES:
            source = target
        elif sample.reference is None:
            raise ValueError("it has no reference; put NAME.reference beside it")
        else:
            source = _whole(sample.reference.frames(), self.compression, 1, "the reference")
            found["reference_0"] = source
        if self.known:
            found[KNOWN] = self.known.clip(target, 1, self.compression)
        return found | {
            f"reference_{i}": augmented(source, self.leak_control, i) for i in range(1, self.augmentations + 1)
        }

    def assemble(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        """``x0 [C, T, h, w]``, the references, and what an image-to-video network is given, as the VAE gives them.

        Raises:
            ValueError: the latents are of another model's VAE; said at the first clip.
        """
        if self.channels is not None:
            check_channels(latents["target"], self.channels)
        x0 = latents["target"]
        references = {name: value for name, value in latents.items() if name.startswith("reference_")}
        return {"x0": x0, **references, **(self.known.inputs(x0, latents, 1) if self.known else {})}

    @property
    def reference(self) -> str:
        """What the reference as it is is called among the latents."""
        return "reference_0" if self.group_by == FILES else "x0"

    def references(self, latents: dict[str, Tensor]) -> list[Tensor]:
        """The reference as it is, then its variants, of what ``assemble`` gave."""
        variants = [latents[f"reference_{i}"] for i in range(1, self.augmentations + 1)]
        return [latents[self.reference], *variants]

    def captions(self, sample: Sample) -> dict[str, str]:
        """The target's caption, and the reference's."""
        reference = sample.reference_caption if self.group_by == FILES else sample.caption
        return {"caption": sample.caption, "reference": reference}

    def latents_of(self, frames: int) -> int:
        """Latents of a target of so many frames."""
        return latent_frames(frames, self.compression) // self.time_patch * self.time_patch


def _whole(frames: Tensor, compression: int, patch: int, what: str) -> Tensor:
    """The frames from the start that fill whole latents."""
    count = latent_frames(len(frames), compression) // patch * patch
    if count < LEAST:
        need = pixel_frames(-(-LEAST // patch) * patch, compression)
        raise ValueError(f"{what} has {len(frames)} frames, in which nothing moves; at least {need} are needed")
    return frames[: pixel_frames(count, compression)]
