"""Run the demo's prompts on a host, one arm after the other, and say how far it is."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo_prompts import ARMS, GROUND_TRUTH, Arm, Plan, Prompt, clip_name, clip_prompt, training_prompt, truth_prompt
from host_setup.client import Client
from host_setup.events import Progress
from host_setup.pins import HostError

RECORD = "run.json"  # what was done, for the report
ACTIONS = {"TICFTTrain": "training", "KSampler": "sampling", "VAEDecode": "decoding", "SaveVideo": "saving"}
EVERY = 8.0  # seconds between two progress lines


def say(message: str) -> None:
    """Show progress on stderr, so that stdout keeps only the results."""
    print(f"[demo] {message}", file=sys.stderr, flush=True)


class Run:
    """One run of the demo on a host that is up.

    Args:
        client: The host; it writes its output into ``folder``.
        workflow: The shipped workflow as a prompt.
        plan: What to do.
        folder: Where the results go.
        record: What the record holds beside the plan, e.g. the host's version.
    """

    def __init__(self, client: Client, workflow: Prompt, plan: Plan, folder: Path, record: dict[str, Any]) -> None:
        self.client, self.workflow, self.plan, self.folder = client, workflow, plan, folder
        self.record = {**record, **plan.as_dict(), "arms": {}}
        self.progress: Progress | None = None
        self.said = 0.0  # when the last progress line was printed

    def run(self) -> None:
        """Save the true clips, then train and sample every arm.

        Raises:
            HostError: A prompt failed.
        """
        self._save_record()
        with Progress(self.client.url) as self.progress:
            self._clips(GROUND_TRUTH, "true clips", lambda index: truth_prompt(self.workflow, self.plan, index))
            for arm in ARMS:
                self._arm(arm)

    def _arm(self, arm: Arm) -> None:
        """Train an arm's LoRA when it has one, then sample with it."""
        seconds: dict[str, Any] = {}
        if arm.lora:
            prompt = training_prompt(self.workflow, self.plan, arm)
            seconds["training"] = self._wait(self.client.queue(prompt), prompt, arm.title)
            say(f"{arm.title}: {self.plan.steps} training steps took {seconds['training']:.0f} s")
        seconds["clips"] = self._clips(
            arm.name, arm.title, lambda index: clip_prompt(self.workflow, self.plan, arm, index)
        )
        self.record["arms"][arm.name] = {"title": arm.title, "seconds": seconds}
        self._save_record()

    def _clips(self, folder: str, title: str, build: Callable[[int], Prompt]) -> list[float]:
        """Make an arm's clips, all queued at once so that the host never waits; the seconds each took."""
        prompts = [build(index) for index in range(self.plan.test)]
        queued = [self.client.queue(prompt) for prompt in prompts]
        seconds = []
        for index, (prompt_id, prompt) in enumerate(zip(queued, prompts, strict=True)):
            seconds.append(self._wait(prompt_id, prompt, f"{title}, clip {index + 1} of {len(prompts)}"))
            self._rename(prompt_id, folder, index)
        say(f"{title}: {len(prompts)} clips in {sum(seconds):.0f} s")
        return seconds

    def _wait(self, prompt_id: str, prompt: Prompt, title: str) -> float:
        """Wait for a prompt and return the seconds the host worked on it."""
        entry = self.client.wait(prompt_id, poll=0.2, tick=lambda _: self._show(prompt, title))
        times = {kind: details.get("timestamp", 0) for kind, details in entry["status"]["messages"]}
        return (times.get("execution_success", 0) - times.get("execution_start", 0)) / 1000

    def _show(self, prompt: Prompt, title: str) -> None:
        """Print a line about the step the host is at, not too often."""
        if time.monotonic() - self.said < EVERY:
            return
        self.said = time.monotonic()
        node_id, done, total = (self.progress and self.progress.latest) or ("", 0, 0)
        action = ACTIONS.get(prompt.get(node_id, {}).get("class_type", ""), "working")
        if action == "training" and total != self.plan.steps:
            action = "encoding clips"  # the trainer does that first
        say(f"{title}: {action}{f', {done} of {total}' if total > 1 else ''}")

    def _rename(self, prompt_id: str, folder: str, index: int) -> None:
        """Give a saved video its plain name; the host adds a number."""
        entry = self.client.history(prompt_id) or {"outputs": {}}
        saved = [file for output in entry["outputs"].values() for file in output.get("images", [])]
        if len(saved) != 1:
            raise HostError(f"the host saved {len(saved)} files for {folder}/{clip_name(index)}, not one")
        path = self.folder / saved[0]["subfolder"] / saved[0]["filename"]
        path.replace(path.with_name(f"{clip_name(index)}{path.suffix}"))

    def _save_record(self) -> None:
        """Write the record, whole or not at all."""
        path = self.folder / RECORD
        draft = path.with_suffix(".tmp")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(self.record, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def stop(self, patience: float = 10.0) -> None:
        """Drop what is queued and stop what runs, as the host's own buttons do; it may be gone already."""
        with contextlib.suppress(OSError, HostError):
            self.client.post("/queue", {"clear": True})
            self.client.interrupt()
            deadline = time.monotonic() + patience
            while self.client.get("/queue")["queue_running"] and time.monotonic() < deadline:
                time.sleep(0.2)  # a trainer keeps what it has learned so far


def finished(folder: Path) -> dict[str, int]:
    """Number of finished clips of every arm that has any."""
    names = (GROUND_TRUTH, *(arm.name for arm in ARMS))
    counts = {name: len(list((folder / name).glob("clip_??.mp4"))) for name in names}
    return {name: count for name, count in counts.items() if count}
