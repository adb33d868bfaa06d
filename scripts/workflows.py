"""Write every file of workflows/ from its description, with the node schemas of a real ComfyUI.

python scripts/workflows.py                 write the .json files
python scripts/workflows.py --thumbnails    run the toy workflows and write their pictures, too (minutes)
python scripts/workflows.py --check         write nothing; fail when a file differs from its description
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from host import find_or_build
from host_setup.pins import ROOT, HostError, say
from host_setup.server import Server
from workflow_files.catalogue import all_graphs
from workflow_files.names import key_of
from workflow_files.writer import Writer

FOLDER = ROOT / "workflows"


def as_text(workflow: dict[str, Any]) -> str:
    """The file's content."""
    return json.dumps(workflow, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the files of workflows/.")
    parser.add_argument("names", nargs="*", help="keys or titles (default: all)")
    parser.add_argument("--thumbnails", action="store_true", help="run the workflows and write their pictures")
    parser.add_argument("--quick", action="store_true", help="with --thumbnails: few steps, for a draft")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    options = parser.parse_args(arguments)
    try:
        chosen = {key_of(name) for name in options.names}
        graphs = [graph for graph in all_graphs() if not chosen or graph.name in chosen]
        with Server(find_or_build()) as server:
            schemas = server.object_info()
            texts = {graph.title: as_text(Writer(graph, schemas).write()) for graph in graphs}
            if options.check:
                return check(texts)
            write(texts)
            if options.thumbnails:
                from workflow_files.thumbnails import write_thumbnails

                write_thumbnails(server, schemas, [FOLDER / f"{name}.json" for name in texts], options.quick)
    except (HostError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def write(texts: dict[str, str]) -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts.items():
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8", newline="\n")
    say(f"wrote {len(texts)} workflows to {FOLDER}")


def check(texts: dict[str, str]) -> int:
    """Compare with the files; the number of those that differ."""
    paths = {name: FOLDER / f"{name}.json" for name in texts}
    stale = [name for name, path in paths.items() if not path.is_file() or path.read_text("utf-8") != texts[name]]
    for name in stale:
        say(f"{name}.json is out of date; run python scripts/workflows.py")
    return len(stale)


if __name__ == "__main__":
    sys.exit(main())
