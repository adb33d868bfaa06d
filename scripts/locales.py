"""Write locales/en, the texts that ComfyUI's page shows of the pack.

Those of nodes come from the node schemas of a real ComfyUI, those of commands and settings from our own JavaScript.

python scripts/locales.py            write the files
python scripts/locales.py --check    write nothing; fail when a file is out of date
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from host import find_or_build
from host_setup.pins import PACK_NAME, ROOT, HostError, say
from host_setup.server import Server
from workflow_files.schema import read_inputs

FOLDER = ROOT / "locales"
REGISTERED = ROOT / "js" / "lib" / "registered_texts.js"
SOURCE = "en"  # the language of the schemas
MENU = "FewShot Video"
Texts = dict[str, Any]  # names to texts, or to further Texts


def as_key(name: str) -> str:
    """A name as the front end looks it up: dots would part it."""
    return name.replace(".", "_")


def node_texts(schema: Mapping[str, Any]) -> Texts:
    """Texts of a node: names, tooltips and the description; the front end looks outputs up by number."""
    inputs = {as_key(entry.name): _input_texts(entry.name, entry.options) for entry in read_inputs(schema)}
    outputs = zip(schema["output_name"], schema["output_tooltips"], strict=True)
    return {
        "display_name": schema["display_name"],
        "description": schema["description"],
        "inputs": inputs,
        "outputs": {str(number): {"name": name, "tooltip": tip} for number, (name, tip) in enumerate(outputs)},
    }


def _input_texts(name: str, options: Mapping[str, Any]) -> Texts:
    return {"name": options.get("display_name") or name, "tooltip": options.get("tooltip")}


def page_texts() -> Texts:
    """What the pack registers with the page by kind, ``commands`` and ``settings``, ``categories`` and ``menu``.

    Raises:
        ValueError: What stands behind the ``=`` is not JSON.
    """
    _, _, value = REGISTERED.read_text(encoding="utf-8").partition("export const REGISTERED =")
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"{REGISTERED.name} must hold JSON behind the =, or Python cannot read it: {error}") from None


def page_files() -> dict[str, Texts]:
    """Content of the files by name that need no node schema."""
    texts = page_texts()
    kinds = ("commands", "settings")
    return {f"{kind}.json": {as_key(name): entry for name, entry in texts[kind].items()} for kind in kinds}


def build(schemas: Mapping[str, Any]) -> dict[str, Texts]:
    """Content of the files by name.

    Args:
        schemas: ``object_info`` of the host; nodes of others are left out.
    """
    ours = {name: schema for name, schema in schemas.items() if schema["category"].split("/")[0] == MENU}
    groups = {part: part for schema in ours.values() for part in schema["category"].split("/")}
    templates = {"category": {as_key(PACK_NAME): MENU}}  # the front end knows them by the folder
    texts = page_texts()
    settings = {as_key(part): part for part in texts["categories"]}
    menu = {as_key(label): label for label in (MENU, *texts["menu"].values())}  # looked up by their English texts
    return {
        "main.json": {
            "nodeCategories": groups,
            "settingsCategories": settings,
            "menuLabels": menu,
            "templateWorkflows": templates,
        },
        "nodeDefs.json": {as_key(name): node_texts(schema) for name, schema in ours.items()},
        **page_files(),
    }


def as_text(content: Texts) -> str:
    """A file's content."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the files of locales/en.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    options = parser.parse_args(arguments)
    try:
        with Server(find_or_build()) as server:
            files = build(server.object_info())
    except (HostError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return check(files) if options.check else write(files)


def write(files: Mapping[str, Texts]) -> int:
    """Write the files; returns the exit code."""
    folder = FOLDER / SOURCE
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(as_text(content), encoding="utf-8", newline="\n")
    say(f"wrote the texts of {len(files['nodeDefs.json'])} nodes to {folder}")
    return 0


def check(files: Mapping[str, Texts]) -> int:
    """Compare with the files; the number of those that differ."""
    paths = {name: FOLDER / SOURCE / name for name in files}
    stale = [
        name for name, path in paths.items() if not path.is_file() or path.read_text("utf-8") != as_text(files[name])
    ]
    for name in stale:
        say(f"locales/{SOURCE}/{name} is out of date; run python scripts/locales.py")
    return len(stale)


if __name__ == "__main__":
    sys.exit(main())
