"""Help pages in further languages: part by part what the English page says today, with all that stays as it is."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

import help_pages
import pytest

ROOT = Path(__file__).parents[1]
if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

import translate  # noqa: E402
import translate_help  # noqa: E402

FIRST = (  # the nodes that a beginner meets
    *("FewShotToyVideoModel", "FewShotDatasetFolder", "FewShotEncodeDataset", "FewShotMotionTrain"),
    *("TICFTTrain", "TICFTContext", "TICFTLoadLoRA", "TICFTPrompt"),
)
LANGUAGES = ("zh", "ja")
LONGEST = 66  # lines, as of the English pages
PAGES = translate_help.translations()
NAMES = [node["display_name"] for node in json.loads((ROOT / "locales/en/nodeDefs.json").read_text("utf-8")).values()]
HOSTS = {  # nodes of ComfyUI that pages name, as the front end of ComfyUI 0.30.0 calls them
    "zh": {
        "CLIP Text Encode": "CLIP文本编码",
        "Get Image from Batch": "从批次获取图像",
        "Load LoRA Model": "加载 LoRA 模型",
        "LTXVConditioning": "LTXV条件",
        "Plot Loss Graph": "绘制损失图",
        "Save LoRA": "保存 LoRA",
        "WanImageToVideo": "图像到视频（Wan）",  # noqa: RUF001
    },
    "ja": {
        "CLIP Text Encode": "CLIPテキストエンコード",
        "Get Image from Batch": "バッチから画像を取得",
        "Load LoRA Model": "LoRAモデルを読み込み",
        "LTXVConditioning": "LTXV条件付け",
        "Plot Loss Graph": "損失グラフをプロット",
        "Save LoRA": "LoRA重みを保存",
        "WanImageToVideo": "Wan画像からビデオへ",
    },
}
NUMBER = re.compile(r"\d+(?:\.\d+)?")
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
ITALIC = re.compile(r"(?<!\*)\*([^*\n]+)\*(?!\*)")
BOLD = re.compile(r"\*\*[^*]+\*\*")
# Markdown closes bold behind a full stop only before a space or another such sign, and Chinese has no spaces.
CLOSED = re.compile(r"\*\*[^*]+(?:\w\*\*|\*\*(?=[\s。，、；：（）]|$))", re.MULTILINE)  # noqa: RUF001
Pairs = list[tuple[translate_help.Part, translate_help.Part]]


@pytest.fixture(params=PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def path(request: pytest.FixtureRequest) -> Path:
    """A page in a further language."""
    return request.param


@pytest.fixture
def pairs(path: Path) -> Pairs:
    """The parts of its English page, each with its translation."""
    return translate_help.pairs(path)


def buttons(language: str) -> dict[str, str]:
    """The page's own texts that need one line each, by the English ones."""
    text = (ROOT / f"js/texts/{language}.js").read_text(encoding="utf-8")
    return dict(re.findall(r"^  '([^'\n]+)': '([^'\n]+)',$", text, re.MULTILINE))


def test_the_first_nodes_have_a_page_in_each_language():
    wanted = {help_pages.PAGES / node / f"{language}.md" for node in FIRST for language in LANGUAGES}
    assert wanted <= set(PAGES)


def test_every_page_translates_what_the_english_one_says_today():
    assert translate_help.to_do() == [], "python scripts/translate_help.py tells what to translate"


def test_a_page_has_the_parts_of_the_english_one_in_the_same_places(path: Path):
    assert len(translate_help.pairs(path)) > len(("title", "summary", "picture"))


def test_a_page_has_the_title_that_its_node_bears_and_stays_short(path: Path):
    texts = json.loads((ROOT / "locales" / path.stem / "nodeDefs.json").read_text(encoding="utf-8"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"# {texts[path.parent.name]['display_name']}"
    assert len(lines) <= LONGEST


def test_a_row_is_of_the_same_input_with_the_name_that_it_bears_and_the_same_default(path: Path, pairs: Pairs):
    table = translate.read_table(path.stem)
    for source, part in pairs:
        english, own = (translate_help.cells(piece.text) for piece in (source, part))
        if part.kind == "row" and (name := CODE.fullmatch(english[0])):
            assert own[0] == f"{english[0]} {table[name[1]]}"
            assert len(own) < 4 or own[1] == english[1]


def test_every_part_has_the_numbers_of_the_english_one(pairs: Pairs):
    for source, part in pairs:
        english, own = (Counter(NUMBER.findall(piece.text)) for piece in (source, part))
        assert (english - own, set(own) - set(english)) == (Counter(), set()), part.text


def test_every_part_has_the_links_and_pictures_of_the_english_one(pairs: Pairs):
    for source, part in pairs:
        assert LINK.findall(part.text) == LINK.findall(source.text)


def test_code_stays_as_it_is(path: Path, pairs: Pairs):
    """The id of an input may stand under the name that the input has in that language."""
    table = translate.read_table(path.stem)
    for source, part in pairs:
        if part.kind != "code":
            english, own = (set(CODE.findall(piece.text)) for piece in (source, part))
            lost = {word for word in english - own if table.get(word, word) not in part.text}
            assert (lost, own - english) == (set(), set()), part.text


def test_what_stands_out_in_english_does_so_in_the_translation(path: Path, pairs: Pairs):
    said = buttons(path.stem)
    for source, part in pairs:
        assert len(CLOSED.findall(part.text)) == len(BOLD.findall(source.text)), part.text
        assert ITALIC.findall(part.text) == [said.get(text, text) for text in ITALIC.findall(source.text)]


def test_a_node_is_cited_by_the_name_it_bears_in_that_language(path: Path, pairs: Pairs):
    table = translate.read_table(path.stem)
    named = {name: table[name] for name in NAMES} | HOSTS[path.stem]
    for source, part in pairs:
        for name in named:
            if re.search(rf"\b{re.escape(name)}(?!\w)", source.text):
                assert named[name] in part.text, name


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An English page of three parts and its translation, which is noted; gives their folder."""
    folder = tmp_path / "docs" / "Node"
    folder.mkdir(parents=True)
    monkeypatch.setattr(translate_help, "PAGES", folder.parent)
    monkeypatch.setattr(translate_help, "NOTED", tmp_path / "help_pages.json")
    (folder / "en.md").write_text("# Title\n\nOne line,\nand another.\n\n- item\n- item two\n  goes on\n")
    (folder / "ja.md").write_text("# T\n\nL\n\n- i\n- i\n")
    assert translate_help.main([str(folder / "ja.md")]) == 0
    return folder


def change(written: Path, old: str, new: str) -> list[str]:
    """What is to be done after a change of the English page."""
    page = written / "en.md"
    page.write_text(page.read_text().replace(old, new))
    return [line.removeprefix("js/docs/Node/ja.md: ") for line in translate_help.to_do()]


def test_a_changed_part_is_to_be_translated_again(written: Path):
    assert change(written, "another", "a third") == [
        "to be translated, line 3 of en.md: One line,\nand a third.",
        "line 3 translates what en.md no longer says",
    ]
    assert translate_help.main([]) == 1
    assert translate_help.main([str(written / "ja.md")]) == 0  # once it was translated


def test_other_ends_of_lines_need_no_translation(written: Path):
    assert change(written, "line,\nand", "line, and") == []


def test_a_new_part_and_another_order_are_noticed(written: Path):
    assert change(written, "- item\n", "- new\n- item\n") == ["to be translated, line 6 of en.md: - new"]
    other = change(written, "- new\n- item\n- item two\n  goes on\n", "- item two\n  goes on\n- item\n")
    assert other == ["the parts of en.md stand in another order now"]


def test_a_page_that_misses_a_part_cannot_be_noted(written: Path, capsys: pytest.CaptureFixture[str]):
    (written / "ja.md").write_text("# T\n\nL\n\n- i\n")
    assert translate_help.main([str(written / "ja.md")]) == 1
    assert "js/docs/Node/ja.md has 3 parts and en.md 4" in capsys.readouterr().err
    (written / "ja.md").write_text("# T\n\nL\n\n## i\n\n- i\n")
    assert translate_help.main([str(written / "ja.md")]) == 1
    assert "ja.md, line 5: 'heading ##' stands where line 6 of en.md has 'item'" in capsys.readouterr().err


def test_a_new_page_a_lost_one_and_what_is_no_page_are_told(written: Path, capsys: pytest.CaptureFixture[str]):
    (written / "ja.md").rename(written / "ko.md")
    gone, new = translate_help.to_do()
    assert new.startswith("js/docs/Node/ko.md is new: once it translates all of en.md, run python")
    assert gone == "js/docs/Node/ja.md is noted in help_pages.json and is no page"
    assert translate_help.main([str(written / "en.md")]) == 1
    assert "en.md is no translated help page" in capsys.readouterr().err
    assert translate_help.main([str(written / "ko.md")]) == 0
    (written / "en.md").unlink()
    assert translate_help.to_do() == ["js/docs/Node/ko.md translates no page: there is no en.md"]
