"""What failed, told once more where a log ends: the stages are long, and of a long log often only the end is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

TOLD = 10  # tests of a stage that are told with their reports; of the others, the names
LINES = 25  # of one test's report, from its end, where the error is


def failed_tests(report: Path) -> Iterator[tuple[str, str]]:
    """Name and report of each test that failed, out of a file by pytest's ``--junit-xml``; none without the file."""
    if not report.exists():
        return
    for case in ElementTree.parse(report).iter("testcase"):
        for outcome in case:
            if outcome.tag in ("failure", "error"):
                yield f"{case.get('classname')}::{case.get('name')}", outcome.text or outcome.get("message", "")


def told_again(title: str, report: Path, code: int) -> list[str]:
    """Lines on a stage that failed.

    Args:
        title: Of the stage.
        report: The file that pytest wrote about it.
        code: What pytest ended with.
    """
    lines = [f"failed in {title}: pytest ended with code {code}"]
    for number, (name, text) in enumerate(failed_tests(report)):
        lines.append(f"failed in {title}: {name}")
        if number < TOLD:
            lines += [f"    {line}" for line in text.rstrip().splitlines()[-LINES:]]
    return lines
