"""Reading the help pages: their sections and the rows of their tables."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "js" / "docs"


def page(node_id: str) -> str:
    """The English help page of a node."""
    return (PAGES / node_id / "en.md").read_text(encoding="utf-8")


def pictures(text: str) -> list[Path]:
    """Files of the pictures in a page; ComfyUI looks for them from ``js/docs`` and not from the page's own folder."""
    return [PAGES / name for name in re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", text)]


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next one; empty where there is no such heading."""
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return match[1] if match else ""


def table(text: str, first: str) -> list[list[str]]:
    """Cells of the table whose first column is called ``first``, without its head; backticks are taken off."""
    rows: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first:
            inside = True
        elif inside and not set(cells[0]) <= set("-:"):
            rows.append([cells[0].strip("`"), *cells[1:]])
    return rows
