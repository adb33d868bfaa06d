"""A filter graph of FFmpeg that turns decoded frames into upright RGB with square pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from .colour import Colour, Tags, frame_colour
from .geometry import square_size, turns_of
from .options import ReadOptions

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame

EXACT = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
DEINTERLACE = "mode=send_frame:parity=auto:deint=interlaced"  # one frame out for one in; progressive ones pass


@dataclass(frozen=True)
class Setup:
    """All that a graph depends on; a frame with another one needs a graph of its own."""

    width: int  # pixels as stored
    height: int  # pixels as stored
    format: str
    alpha: bool
    time_base: Fraction
    aspect: Fraction  # of a stored pixel
    colour: Colour
    turns: tuple[tuple[str, str], ...]
    interlaced: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in square pixels, before it is turned."""
        return square_size(self.width, self.height, self.aspect)

    def notes(self) -> list[str]:
        """What is done to such frames, in words."""
        said = list(self.colour.notes)
        if self.interlaced:
            said.append("interlaced, deinterlaced")
        if self.size != (self.width, self.height):
            shape = f"{self.aspect.numerator}:{self.aspect.denominator}"
            said.append(f"pixels of {shape} made square, {self.size[0]}x{self.size[1]}")
        if any(name in ("hflip", "vflip") or "flip" in arguments for name, arguments in self.turns):
            said.append("mirrored or turned over as its header says")
        return said


def setup_of(frame: VideoFrame, aspect: Fraction, tags: Tags, options: ReadOptions, interlaced: bool) -> Setup:
    """What a frame needs; ``interlaced`` where one before it was.

    Raises:
        ValueError: Its colours cannot be read.
    """
    return Setup(
        frame.width,
        frame.height,
        frame.format.name,
        any(part.is_alpha for part in frame.format.components) or frame.format.name == "pal8",
        frame.time_base or Fraction(1, 1000),
        aspect,
        frame_colour(frame, tags, options),
        turns_of(frame),
        interlaced or bool(frame.interlaced_frame),
    )


def filters_of(setup: Setup) -> Iterator[tuple[str, str]]:
    """Names and arguments, in order, between source and sink."""
    colour = setup.colour
    if colour.matrix:
        yield "setparams", f"colorspace={colour.matrix}:range={colour.range}"
    if setup.interlaced:
        yield "bwdif", DEINTERLACE
    if colour.mapped:
        yield "setparams", f"color_primaries={colour.primaries}:color_trc={colour.transfer or 'bt709'}"
        # Straight to 8 bits the hues are several levels off.
        intent = "perceptual" if colour.transfer else "relative_colorimetric"
        yield "scale", f"out_transfer=bt709:out_primaries=bt709:intent={intent}:{EXACT}"
        yield "format", "gbrap16le" if setup.alpha else "gbrp16le"
    yield "scale", f"w={setup.size[0]}:h={setup.size[1]}:{EXACT}"
    yield "format", "rgba" if setup.alpha else "rgb24"
    yield from setup.turns


class FrameGraph:
    """A graph for frames of one setup."""

    def __init__(self, setup: Setup, frame: VideoFrame) -> None:
        self.setup = setup
        self._graph = _linked(_source_arguments(setup, frame), filters_of(setup))

    def push(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """Converted frames that are ready; None for those that are left."""
        from av.error import BlockingIOError as NotYetError
        from av.error import EOFError as EndError

        self._graph.push(frame)
        while True:
            try:
                yield self._graph.pull()  # type: ignore[misc]  # of a video graph these are video frames
            except (NotYetError, EndError):
                return


def _linked(source: str, filters: Iterator[tuple[str, str]]) -> Graph:
    from av.filter import Graph

    graph = Graph()
    last = graph.add("buffer", source)
    for name, arguments in (*filters, ("buffersink", "")):
        step = graph.add(name, arguments) if arguments else graph.add(name)
        last.link_to(step)
        last = step
    graph.configure()
    return graph


def _source_arguments(setup: Setup, frame: VideoFrame) -> str:
    """What the source is promised; FFmpeg warns of every frame that has other tags than it was promised."""
    base = setup.time_base
    arguments = [
        f"video_size={setup.width}x{setup.height}",
        f"pix_fmt={setup.format}",
        f"time_base={base.numerator}/{base.denominator}",
        "pixel_aspect=1/1",
    ]
    own = {"colorspace": frame.colorspace, "range": frame.color_range}
    arguments += [f"{name}={int(value)}" for name, value in own.items() if value is not None]
    return ":".join(arguments)
