"""Write locales, the texts that ComfyUI's page shows of the pack, in English and further languages.

English ones of nodes come from the node schemas of a real ComfyUI, those of commands and settings from our own
JavaScript, and the other languages from the tables of scripts/translations.

python scripts/locales.py                  write the files; list what is to be translated, with a place in the tables
python scripts/locales.py --check          write nothing; fail when a file is out of date or a translation is missing
python scripts/locales.py --translations   of further languages only, from locales/en as it is: needs no ComfyUI
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
from translate import LANGUAGES, Texts, as_text, bring_up_all, english_texts, in_every_language, read_table, to_do
from workflow_files.schema import read_inputs

FOLDER = ROOT / "locales"
REGISTERED = ROOT / "js" / "lib" / "registered_texts.js"
SOURCE = "en"  # the language of the schemas
MENU = "FewShot Video"


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


def read(language: str = SOURCE) -> dict[str, Texts]:
    """The files of a language as they are."""
    return {path.name: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / language).glob("*.json"))}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the files of locales.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    parser.add_argument("--translations", action="store_true", help="further languages only, from locales/en as it is")
    options = parser.parse_args(arguments)
    try:
        files = read() if options.translations else build_all()
        return check_all(files) if options.check else write_all(files)
    except (HostError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def build_all() -> dict[str, Texts]:
    """The English files, from the nodes of a real ComfyUI."""
    with Server(find_or_build()) as server:
        return build(server.object_info())


def write_all(files: Mapping[str, Texts]) -> int:
    """Write the files of every language; the exit code is 1 while something is to be translated."""
    write(files)
    missing = bring_up_all(files)
    for language, translated in in_every_language(files).items():
        write(translated, language)
    return int(missing > 0)


def check_all(files: Mapping[str, Texts]) -> int:
    """Compare with the files of every language; the number of what is wrong."""
    texts = english_texts(files)
    wrong = [line for language in LANGUAGES for line in to_do(language, read_table(language), texts)]
    for line in wrong:
        say(line)
    return (
        len(wrong)
        + check(files)
        + sum(check(translated, language) for language, translated in in_every_language(files).items())
    )


def write(files: Mapping[str, Texts], language: str = SOURCE) -> None:
    """Write the files of a language."""
    folder = FOLDER / language
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(as_text(content), encoding="utf-8", newline="\n")
    say(f"wrote the texts of {len(files['nodeDefs.json'])} nodes to {folder}")


def check(files: Mapping[str, Texts], language: str = SOURCE) -> int:
    """Compare with the files of a language; the number of those that differ."""
    paths = {name: FOLDER / language / name for name in files}
    stale = [
        name for name, path in paths.items() if not path.is_file() or path.read_text("utf-8") != as_text(files[name])
    ]
    for name in stale:
        say(f"locales/{language}/{name} is out of date; run python scripts/locales.py")
    return len(stale)


if __name__ == "__main__":
    sys.exit(main())
