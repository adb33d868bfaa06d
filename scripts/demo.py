"""Show the pack at work: train TIC-FT LoRAs on a dozen toy clips and judge the videos they make.

python scripts/demo.py            everything, below out/demo (about ten minutes on two CPU cores)
python scripts/demo.py --quick    one tiny round to see that it runs; its figures mean nothing
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from demo_prompts import WORKFLOW, Plan, describe
from demo_run import Run, finished, say
from host import find_or_build
from host_setup.commands import clean_environment
from host_setup.pins import PINS, ROOT, Host, HostError
from host_setup.server import Server
from workflow_files.prompt import to_prompt

QUICK = {"pairs": 2, "steps": 3, "test": 1, "sampling_steps": 3}
NEEDED = ("TICFTTrain", "TICFTContext", "FewShotToyVideoModel")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line of this script."""
    parser = argparse.ArgumentParser(description="Train and judge TIC-FT on toy clips, in a real ComfyUI.")
    add = parser.add_argument
    add("--out", type=Path, default=ROOT / "out" / "demo", help="new folder for the results (out/demo)")
    add("--pairs", type=_count, default=12, help="clip pairs to train on (12)")
    add("--steps", type=_count, default=80, help="training steps of each LoRA (80)")
    add("--test", type=_count, default=12, help="held-out conditions every arm is judged on (12)")
    add("--seed", type=int, default=0, help="of the clips, the training and the noise (0)")
    add("--cfg", type=float, default=1.0, help="guidance scale; 1 is none, as the workflow has it (1)")
    add("--sampling-steps", type=_count, default=24, help="steps of the sampler (24)")
    add("--quick", action="store_true", help="2 pairs, 3 steps, 1 condition: only to see that it runs")
    add("--version", choices=sorted(PINS), help="run in this ComfyUI version")
    options = parser.parse_args(arguments)
    if options.seed < 0 or options.test > 99:
        parser.error("--seed must be 0 or more, --test 99 or less")
    for name, value in QUICK.items() if options.quick else ():
        setattr(options, name, value)
    return options


def _count(text: str) -> int:
    """A whole number above 0."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def new_folder(wanted: Path) -> Path:
    """``wanted``, or the first of ``wanted-2``, ``wanted-3`` ... that holds nothing yet; made if need be."""
    wanted = wanted.expanduser().resolve()
    number, folder = 1, wanted
    while folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run_on_host(host: Host, plan: Plan, folder: Path) -> None:
    """Start the host, run the workflow for every arm, and stop the host again, whatever happens.

    Raises:
        HostError: The host, the pack in it or a prompt failed.
    """
    say(f"starting ComfyUI {host.version}")
    with Server(host, arguments=("--output-directory", str(folder))) as server:
        try:
            schemas = server.object_info()
            if absent := [name for name in NEEDED if name not in schemas]:
                raise HostError(
                    f"ComfyUI has no node {absent[0]}: the pack did not load. Run `{host.python} -m pip install "
                    f"-r {ROOT / 'requirements.txt'}` and see {folder / 'host.log'}"
                )
            say(f"running {describe()} for every arm")
            workflow = to_prompt(json.loads(WORKFLOW.read_text(encoding="utf-8")), schemas)
            run = Run(server, workflow, plan, folder, {"comfyui": host.version, "workflow": describe()})
            try:
                run.run()
            except BaseException:
                run.stop()
                raise
        finally:
            if (log := server.base / "host.log").is_file():
                shutil.copyfile(log, folder / "host.log")


def report(host: Host, folder: Path) -> None:
    """Judge the clips and draw the contact sheet, with the host's Python, which has what that needs.

    Raises:
        HostError: The report failed, and said why.
    """
    command = [str(host.python), str(Path(__file__).with_name("demo_report.py")), str(folder)]
    if subprocess.run(command, env=clean_environment(), check=False).returncode:
        raise HostError(f"the clips in {folder} could not be judged; see the lines above")


def print_end(folder: Path, seconds: float) -> None:
    """Say where everything is and how to go on."""
    print(f"\nDone in {seconds:.0f} s. Everything is in {folder}:")
    print("  contact_sheet.png      what each arm made of the same conditions")
    print("  table.md results.json  the judge's verdicts")
    print("  <arm>/clip_NN.mp4      the videos; ground_truth holds what they should show")
    print("  loras/                 the trained LoRAs")
    print("Open the workflow yourself: python scripts/host.py --serve", flush=True)


def print_leftovers(folder: Path) -> None:
    """Say what a run that did not end has left behind."""
    counts = finished(folder)
    what = ", ".join(f"{count} of {name}" for name, count in counts.items())
    say(f"finished clips: {what or 'none'}; everything so far is in {folder}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parse_arguments(arguments)
    plan = Plan(options.pairs, options.steps, options.test, options.seed, options.cfg, options.sampling_steps)
    folder = None
    try:
        host = find_or_build(options.version)
        folder, started = new_folder(options.out), time.monotonic()
        run_on_host(host, plan, folder)
        report(host, folder)
        print_end(folder, time.monotonic() - started)
    except (HostError, OSError, ValueError) as error:
        sentence = str(error).partition("\n  File ")[0].rstrip()  # the trace is in the log
        log = f"\n[demo] more in {folder / 'host.log'}" if folder and (folder / "host.log").is_file() else ""
        print(f"[demo] error: {sentence}{log}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("interrupted; the host is stopped")
        if folder is not None:
            print_leftovers(folder)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
