"""Judge the clips of a demo run and write its table, results and contact sheet.

Run by demo.py with the host's Python, which has numpy, torch, av and Pillow:
python scripts/demo_report.py FOLDER      also by hand, for a run that was interrupted
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from demo_prompts import ARMS, GROUND_TRUTH, KIND, TARGET_FRAMES, clip_name
from demo_run import RECORD
from demo_sheet import Row, draw_sheet
from host_setup.pins import ROOT

SHARES = {"colour": "colour", "shape": "shape", "background": "background", "motion": "motion", "all": "all_right"}
GOAL = 0.80  # all right, with a LoRA
SHEET_SAMPLES = 4
OBJECTS = "large"  # of Toy Clips in the workflow
CHANCE_SAMPLES = 48  # more than a run has, so that the figure means something
TITLES = {GROUND_TRUTH: "ground truth", **{arm.name: arm.title for arm in ARMS}}


@dataclass
class ArmResult:
    """What the judge says of one arm's clips."""

    title: str
    verdicts: dict[int, Any] = field(default_factory=dict)  # sample number -> toy.judge.Verdict
    summary: dict[str, float] = field(default_factory=dict)  # means, from toy.judge.summary
    seconds: dict[str, Any] = field(default_factory=dict)  # "training", and "clips" one by one


def load_toy() -> tuple[Any, Any]:
    """The checkout's ``toy.clips`` and ``toy.judge``, without hiding anybody's modules by ours."""
    if "toy" not in sys.modules:
        spec = importlib.util.spec_from_file_location("toy", ROOT / "toy" / "__init__.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules["toy"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["toy"])
    return importlib.import_module("toy.clips"), importlib.import_module("toy.judge")


def read_clip(path: Path) -> np.ndarray:
    """Frames of a video file, float32 ``[T, H, W, 3]`` in [0, 1]."""
    import av

    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames).astype(np.float32) / 255.0


def read_arm(folder: Path, count: int) -> dict[int, np.ndarray]:
    """Those clips of an arm that are finished, by sample number."""
    paths = {index: folder / f"{clip_name(index)}.mp4" for index in range(count)}
    return {index: read_clip(path) for index, path in paths.items() if path.is_file()}


def judge_clips(clips: dict[int, np.ndarray], samples: list[Any], judge: Any) -> dict[int, Any]:
    """The judge's verdict on each clip.

    Raises:
        ValueError: A clip has another number of frames than the demo makes.
    """
    for index, clip in clips.items():
        if len(clip) != TARGET_FRAMES:
            raise ValueError(f"clip {index} has {len(clip)} frames, the demo makes {TARGET_FRAMES}; run it again")
    return {i: judge.judge(clip, samples[i].scene, samples[i].start) for i, clip in clips.items()}


def table(results: list[ArmResult], chance: dict[str, float]) -> str:
    """The results as a Markdown table that is readable as plain text, too."""
    head = ["arm", "clips", *SHARES, "path error (px)", "training (s)", "a clip (s)"]
    rows = [_cells(result) for result in results]
    goal = [f"{GOAL:.2f}" if name == "all" else "" for name in SHARES]
    rows.append(["goal, LoRA", "", *goal, "", "", ""])
    rows.append(["chance", "", *_shares(chance), f"{chance['path_error']:.1f}", "", ""])
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def _cells(result: ArmResult) -> list[str]:
    """One row of the table."""
    training, clips = result.seconds.get("training"), result.seconds.get("clips")
    return [
        result.title,
        str(len(result.verdicts)),
        *_shares(result.summary),
        f"{result.summary['path_error']:.1f}",
        "" if training is None else f"{training:.0f}",
        f"{statistics.median(clips):.1f}" if clips else "",
    ]


def _shares(summary: dict[str, float]) -> list[str]:
    return [f"{summary[name]:.2f}" for name in SHARES.values()]


def missed(verdict: Any) -> str:
    """What a clip got wrong, in a few words."""
    wrong = [name for name, key in SHARES.items() if name != "all" and getattr(verdict, key) < 1]
    return f"wrong: {', '.join(wrong)}" if wrong else "all right"


def sheet_rows(clips: dict[str, dict[int, np.ndarray]], results: dict[str, ArmResult], samples: list[Any]) -> list[Row]:
    """Rows of the contact sheet: the first samples, each with every arm that has it."""
    rows = []
    for index, sample in enumerate(samples[:SHEET_SAMPLES]):
        condition, caption = sample.conditions[0].frames().numpy()[0], sample.caption
        for name in TITLES:
            if index in clips.get(name, {}):
                verdict = missed(results[name].verdicts[index])
                rows.append(Row(TITLES[name], verdict, clips[name][index], condition, caption))
                condition, caption = None, ""  # with the first row of a sample only
    return rows


def write_report(folder: Path) -> str:
    """Judge a run's clips, write ``table.md``, ``results.json`` and ``contact_sheet.png``; the table.

    Raises:
        ValueError: The folder holds no clip of the demo.
    """
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    toy_clips, judge = load_toy()
    size = toy_clips.SIZES[OBJECTS]
    samples = toy_clips.make_samples(KIND, record["test"], record["seed"], "held out", size)
    clips = {name: read_arm(folder / name, record["test"]) for name in TITLES}
    results: dict[str, ArmResult] = {}
    for name, title in TITLES.items():
        if verdicts := judge_clips(clips[name], samples, judge):
            seconds = record["arms"].get(name, {}).get("seconds", {})
            results[name] = ArmResult(title, verdicts, judge.summary(list(verdicts.values())), seconds)
    if not results:
        raise ValueError(f"{folder} holds no finished clip; run scripts/demo.py again")
    others = toy_clips.make_samples(KIND, CHANCE_SAMPLES, record["seed"], "held out", size)
    chance = judge.chance([sample.scene for sample in others], TARGET_FRAMES)
    text = table(list(results.values()), chance)
    (folder / "table.md").write_text(f"{_caption(record)}\n\n{text}\n", encoding="utf-8")
    content = {**record, "arms": {n: _as_dict(r) for n, r in results.items()}, "chance": chance}
    (folder / "results.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    draw_sheet(sheet_rows(clips, results, samples)).save(folder / "contact_sheet.png")
    return text


def _as_dict(result: ArmResult) -> dict[str, Any]:
    return {
        "title": result.title,
        "summary": result.summary,
        "seconds": result.seconds,
        "clips": {clip_name(index): asdict(verdict) for index, verdict in result.verdicts.items()},
    }


def _caption(record: dict[str, Any]) -> str:
    """What the table shows, in one paragraph."""
    return (
        f"`{KIND}` on the toy model: {record['pairs']} pairs, {record['steps']} training steps, "
        f"{record['test']} held-out conditions, seed {record['seed']}; euler/simple, {record['sampling_steps']} "
        f"steps, CFG {record['cfg']:g}; ComfyUI {record['comfyui']}. Shares of clips that are as told, judged "
        "from the mp4 files by `toy/judge.py`; chance: true clips against other samples' scenes."
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1:
        print("usage: python scripts/demo_report.py FOLDER", file=sys.stderr)
        return 2
    try:
        print(f"\n{write_report(Path(given[0]))}", flush=True)
    except (OSError, ValueError, ImportError) as error:
        print(f"[demo] error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
