"""The dataset check's findings in plain words, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .buckets import BY_ASPECT, BY_ASPECT_AND_LENGTH, ONE_SIZE
from .check import BOTH_TAGS, MUCH_CROPPED, MUCH_ENLARGED, WRONG_TAGS, ClipCheck, FileCheck, buckets_of, number


@dataclass(frozen=True)
class RequestedFormat:
    """What the folder was to be read as."""

    width: int  # pixels
    height: int  # pixels
    frames: int  # of each target
    fps: float  # frames a second
    buckets: str = ONE_SIZE


def report_text(
    checks: Sequence[ClipCheck], ignored: Mapping[str, str], asked: RequestedFormat, notes: Sequence[str] = ()
) -> str:
    """The whole report: totals, each clip, what was left out, what to look at, what to do."""
    used = [check for check in checks if check.used]
    left_out = [check for check in checks if not check.used]
    lines = [*_totals(used, asked), *(line for check in used for line in clip_lines(check, asked))]
    if left_out:
        lines += [f"{len(left_out)} left out:", *(f"{check.name}: {check.reason}" for check in left_out)]
    if ignored:
        lines += ["not part of a clip:", *(f"{name}: {reason}" for name, reason in ignored.items())]
    lines += notes
    warnings = [f"{check.name}: {warning}" for check in used for warning in check.warnings]
    if warnings:
        lines += ["look at:", *warnings]
    if advice := list(advice_on(checks, asked)):
        lines += ["advice:", *advice]
    return "\n".join(lines)


def clip_lines(check: ClipCheck, asked: RequestedFormat) -> list[str]:
    """What became of a clip that is used, and of its conditions and reference where they were changed."""
    target = check.target
    if target is None:
        return []
    has = [_count(check.conditions, "condition") if check.conditions else "no condition"]
    has += ["reference"] if check.reference else []
    timing = target.timing() or [f"{target.frames} frames at {number(target.fps)} fps"]
    bucket = [] if asked.buckets == ONE_SIZE else [f"bucket {check.bucket}"]
    parts = (", ".join(timing), *target.picture(), *bucket, ", ".join(["caption", *has]))
    lines = [f"{target.file}: {'; '.join(parts)}"]
    for other in check.others:
        if changes := [*other.timing(), *other.picture()]:
            lines.append(f"{other.file}: {', '.join(changes)}")
    return lines


def warnings_on(target: FileCheck, others: Sequence[FileCheck], tags: str) -> Iterator[str]:
    """What to look at in one clip, though it can be used."""
    for file in (target, *others):
        if file.info.variable:
            gaps = f"{1000 * file.info.shortest:.0f} to {1000 * file.info.longest:.0f} ms a frame"
            yield f"{file.file} has a variable frame rate ({gaps}); it is taken by its timestamps"
        yield from (f"{file.file}: {warning}" for warning in file.warned)
        if file.enlarged > MUCH_ENLARGED:
            yield f"{file.file} is enlarged {number(file.enlarged)} times and teaches blur; use a larger file"
    if tags == WRONG_TAGS:
        yield "the caption's tags are incomplete; write [CONDITION] and then [VIDEO] in capitals, or neither"


def advice_on(checks: Sequence[ClipCheck], asked: RequestedFormat) -> Iterator[str]:
    """What would make the set better."""
    used = [check for check in checks if check.used]
    cropped = [check for check in used if check.target and check.target.cropped > MUCH_CROPPED]
    if cropped and asked.buckets == ONE_SIZE:
        share = f"{len(cropped)} of {_count(len(used), 'clip')} cropped by more than a quarter"
        yield f'{share}: choose buckets "{BY_ASPECT}", or a width and height of that shape'
    short = sum(check.too_short for check in checks)
    if short and asked.buckets != BY_ASPECT_AND_LENGTH:
        yield f'{_count(short, "clip")} too short: choose buckets "{BY_ASPECT_AND_LENGTH}", or fewer frames'
    yield from _advice_on_pairs(used)
    lone = sum(count == 1 for count in buckets_of(used).values())
    if lone and len(used) > 1:
        yield f"{_count(lone, 'bucket')} of one clip: with a batch_size above 1 such a clip fills its batches alone"


def _advice_on_pairs(used: Sequence[ClipCheck]) -> Iterator[str]:
    count = _count(len(used), "clip")
    bare = sum(not check.conditions for check in used)
    if bare == len(used):
        yield "no clip has a condition: TIC-FT needs NAME.condition.<ext> beside each, other methods do not"
    elif bare:
        yield f"{bare} of {count} without a condition: TIC-FT needs one for each"
    elif len({check.conditions for check in used}) > 1:
        yield "clips with different numbers of conditions: give each as many as the task reads"
    tagged = sum(check.tags == BOTH_TAGS for check in used)
    if 0 < tagged < len(used):
        yield f"{tagged} of {len(used)} captions with the tags [CONDITION] and [VIDEO]: write all in one form"
    if copies := sum(bool(check.duplicate_of) for check in used):
        yield f"{copies} of {count} copied from another: remove it, or keep it to have it seen more often"


def _totals(used: Sequence[ClipCheck], asked: RequestedFormat) -> list[str]:
    buckets = buckets_of(used)
    if len(buckets) == 1:
        lines = [f"{_count(len(used), 'clip')}, {next(iter(buckets))} at {number(asked.fps)} fps"]
    else:
        size = f"near {asked.width}x{asked.height}, up to {asked.frames} frames at {number(asked.fps)} fps"
        lines = [f"{_count(len(used), 'clip')} in {len(buckets)} buckets {size}"]
        lines += [f"{bucket}: {_count(count, 'clip')}" for bucket, count in buckets.items()]
    targets = [check.target for check in used if check.target]
    frames, kept = sum(target.available for target in targets), sum(target.frames for target in targets)
    have = sum(bool(check.conditions) for check in used), sum(check.reference for check in used)
    lines.append(f"{kept} of {frames} frames are used; {have[0]} with condition, {have[1]} with reference")
    return lines


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
