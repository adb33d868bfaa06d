"""The page's texts in further languages: of every English text, a table of each language has the translation.

``scripts/translations/LANGUAGE.json`` is such a table, and what translators write. An English text that changes is
another key, so its old translation cannot stay behind unseen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from host_setup.pins import ROOT, say

TABLES = ROOT / "scripts" / "translations"
LANGUAGES = ("zh", "ja", "ko")  # by the codes of ComfyUI's front end
Texts = dict[str, Any]  # names to texts, or to further Texts
Table = dict[str, str]  # English texts to those of a language; "" where it is still to be written


def english_texts(files: Mapping[str, Texts]) -> list[str]:
    """Every text of the files once, in their order."""
    return list(dict.fromkeys(text for content in files.values() for text in _texts(content)))


def _texts(content: Texts) -> Iterator[str]:
    for value in content.values():
        yield from _texts(value) if isinstance(value, dict) else (value,)


def read_table(language: str, folder: Path | None = None) -> Table:
    """The translations of a language; none where it has no table.

    Raises:
        ValueError: The table is not JSON.
    """
    path = (folder or TABLES) / f"{language}.json"
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path.name} in scripts/translations is not JSON: {error}") from None


def brought_up(table: Table, texts: list[str]) -> Table:
    """The table for these English texts: what is new has an empty translation, what is left over is gone."""
    return {text: table.get(text, "") for text in texts}


def translate(content: Texts, table: Table) -> Texts:
    """A file in the language of the table, without what is still to be translated: that the page shows in English."""
    made = {
        key: translate(value, table) if isinstance(value, dict) else table.get(value) for key, value in content.items()
    }
    return {key: value for key, value in made.items() if value or isinstance(value, dict)}


def to_do(language: str, table: Table, texts: list[str]) -> list[str]:
    """What is wrong with a table, a sentence each."""
    missing = [text for text in texts if not table.get(text)]
    left_over = sorted(set(table) - set(texts))
    return [
        *(f"scripts/translations/{language}.json: to be translated: {text}" for text in missing),
        *(f"scripts/translations/{language}.json: no longer a text of the page: {text}" for text in left_over),
    ]


def bring_up_all(files: Mapping[str, Texts]) -> int:
    """Write new and changed English texts into the tables, and tell what is to be translated; the number of these."""
    TABLES.mkdir(exist_ok=True)
    texts, count = english_texts(files), 0
    for language in LANGUAGES:
        table = brought_up(read_table(language), texts)
        (TABLES / f"{language}.json").write_text(as_text(table), encoding="utf-8", newline="\n")
        for line in to_do(language, table, texts):
            say(line)
            count += 1
    return count


def in_every_language(files: Mapping[str, Texts]) -> dict[str, dict[str, Texts]]:
    """The files of every further language by its code, from the English ones."""
    tables = {language: read_table(language) for language in LANGUAGES}
    return {
        language: {name: translate(content, table) for name, content in files.items()}
        for language, table in tables.items()
    }


def as_text(content: Mapping[str, Any]) -> str:
    """A file's content."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
