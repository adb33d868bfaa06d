"""Help pages in the language that the front end asks for, or in English where there is none in it.

The front end asks for ``docs/NODE/LANGUAGE.md``; without an answer it shows the node's description and tooltips alone.
"""

from __future__ import annotations

import re
from pathlib import Path

PACK = Path(__file__).parents[3]  # not resolved: of a linked folder the host's addresses have the link's name
ROUTE = "/extensions/{pack}/docs/{{node}}/{{language}}.md"
PLAIN = re.compile(r"[\w .+()-]+")  # what a folder's name may hold to stand in a route
NAME = re.compile(r"[\w-]{1,64}", re.ASCII)
SOURCE = "en"


def help_route() -> str | None:
    """The route of the help pages; None where the folder's name has signs that a route would take for its own."""
    return ROUTE.format(pack=PACK.name) if PLAIN.fullmatch(PACK.name) else None


def help_page(node: str, language: str) -> Path | None:
    """The file of a node's help page; None where the node has none."""
    if not (NAME.fullmatch(node) and NAME.fullmatch(language)):
        return None
    paths = [PACK / "js" / "docs" / node / f"{code}.md" for code in (language, SOURCE)]
    return next((path for path in paths if path.is_file()), None)
