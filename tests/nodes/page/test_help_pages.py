"""Help pages by language: the one that there is, else the English one, and nothing else from the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from pack.nodes.host.page import help_pages as module
from pack.nodes.host.page.help_pages import help_page, help_route


@pytest.mark.parametrize(("language", "found"), [("ja", "ja"), ("en", "en"), ("ko", "en"), ("pt-BR", "en")])
def test_a_page_is_that_of_the_language_or_the_english_one(language, found):
    assert help_page("TICFTContext", language) == module.PACK / "js" / "docs" / "TICFTContext" / f"{found}.md"


@pytest.mark.parametrize(
    ("node", "language"),
    [
        ("NoNode", "en"),
        ("images", "en"),
        ("..", "en"),
        ("../../locales", "en"),
        ("TICFTContext", "../TICFTCrop/en"),
        ("", ""),
    ],
)
def test_what_is_no_page_is_not_found(node, language):
    assert help_page(node, language) is None


@pytest.mark.parametrize(("folder", "usable"), [("fewshot-video", True), ("my nodes (2)", True), ("a{b}", False)])
def test_the_route_has_the_name_of_the_folder_where_a_route_can_hold_it(folder, usable, monkeypatch):
    monkeypatch.setattr(module, "PACK", Path("custom_nodes") / folder)
    assert help_route() == (f"/extensions/{folder}/docs/{{node}}/{{language}}.md" if usable else None)
