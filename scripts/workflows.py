"""Write every file of workflows/ and subgraphs/ from its description, with the node schemas of a real ComfyUI.

python scripts/workflows.py                 write the .json files
python scripts/workflows.py --thumbnails    write pictures, too; the toy workflows are run for them (minutes)
python scripts/workflows.py --thumbnails tic_ft_train_toy   only this one
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
from workflow_files.blocks.blueprints import all_blueprints
from workflow_files.blocks.writing import blueprint
from workflow_files.catalogue import all_graphs
from workflow_files.names import key_of
from workflow_files.writer import Writer

FOLDER, BLUEPRINTS = ROOT / "workflows", ROOT / "subgraphs"


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
            texts = {FOLDER / f"{graph.title}.json": as_text(Writer(graph, schemas).write()) for graph in graphs}
            pictured = list(texts)
            if not chosen:
                blocks = {BLUEPRINTS / f"{block.title}.json": blueprint(block, schemas) for block in all_blueprints()}
                texts |= {path: as_text(content) for path, content in blocks.items()}
            if options.check:
                return check(texts)
            write(texts)
            if options.thumbnails:
                from workflow_files.pictures.thumbnails import write_thumbnails

                write_thumbnails(server, schemas, pictured, options.quick)
    except (HostError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def write(texts: dict[Path, str]) -> None:
    """Write the files."""
    for path, text in texts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    say(f"wrote {len(texts)} files to {FOLDER} and {BLUEPRINTS}")


def check(texts: dict[Path, str]) -> int:
    """Compare with the files; the number of those that differ."""
    stale = [path for path, text in texts.items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in stale:
        say(f"{path.name} is out of date; run python scripts/workflows.py")
    return len(stale)


if __name__ == "__main__":
    sys.exit(main())
