"""What the user chooses of how files are read, and the name of the rule they are read by."""

from __future__ import annotations

from dataclasses import dataclass

RULE = 3  # raise it when the same file gives other pixels, so that no old latents are used and runs say so
BACKGROUNDS = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128)}
TONE_MAP, REFUSE = HDR = ("tone-map", "refuse")


@dataclass(frozen=True)
class ReadOptions:
    """Choices that decide pixels."""

    background: str = "black"  # one of ``BACKGROUNDS``: what is seen through transparent parts
    hdr: str = TONE_MAP  # one of ``HDR``

    def __post_init__(self) -> None:
        """Refuse unknown choices.

        Raises:
            ValueError: ``background`` or ``hdr`` is none of the known ones.
        """
        if self.background not in BACKGROUNDS:
            raise ValueError(f"background is {self.background!r}; choose one of {', '.join(BACKGROUNDS)}")
        if self.hdr not in HDR:
            raise ValueError(f"hdr is {self.hdr!r}; choose one of {', '.join(HDR)}")

    def key(self) -> str:
        """The rule and the choices, as text."""
        return f"rule {RULE} over {self.background} hdr {self.hdr}"


DEFAULT = ReadOptions()


def decoder_of(still: bool) -> str:
    """Name and version of the library that decodes pictures (``still``) or videos."""
    if still:
        import PIL

        return f"Pillow {PIL.__version__}"
    import av

    return f"PyAV {av.__version__} libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"
