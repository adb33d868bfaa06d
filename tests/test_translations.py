"""Further languages: every English text has a translation of today's wording that keeps what must not be translated."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

import translate  # noqa: E402

import locales  # noqa: E402

ENGLISH = locales.read()
TEXTS = translate.english_texts(ENGLISH)
TABLES = {language: translate.read_table(language) for language in translate.LANGUAGES}
NAMES = [node["display_name"] for node in ENGLISH["nodeDefs.json"].values()]
HOSTS = {  # nodes of ComfyUI that tooltips name, as the front end of ComfyUI 0.30.0 calls them
    "zh": {
        "CLIP Text Encode": "CLIP文本编码",
        "KSampler (Advanced)": "K采样器（高级）",  # noqa: RUF001
        "KSampler": "K采样器",
        "Load LoRA Model": "加载 LoRA 模型",
        "Plot Loss Graph": "绘制损失图",
        "SamplerCustomAdvanced": "自定义采样器（高级）",  # noqa: RUF001
        "VAE Decode": "VAE解码",
        "VAE Encode": "VAE编码",
    },
    "ja": {
        "CLIP Text Encode": "CLIPテキストエンコード",
        "KSampler (Advanced)": "Kサンプラー（高度）",  # noqa: RUF001
        "KSampler": "Kサンプラー",
        "Load LoRA Model": "LoRAモデルを読み込み",
        "Plot Loss Graph": "損失グラフをプロット",
        "SamplerCustomAdvanced": "カスタムサンプラー（高度）",  # noqa: RUF001
        "VAE Decode": "VAEデコード",
        "VAE Encode": "VAEエンコード",
    },
    "ko": {
        "CLIP Text Encode": "CLIP 텍스트 인코딩",
        "KSampler (Advanced)": "고급 KSampler",
        "KSampler": "KSampler",
        "Load LoRA Model": "LoRA 모델 로드",
        "Plot Loss Graph": "손실 그래프 그리기",
        "SamplerCustomAdvanced": "고급 사용자 정의 샘플러",
        "VAE Decode": "VAE 디코드",
        "VAE Encode": "VAE 인코드",
    },
}
NUMBER = re.compile(r"\d+(?:\.\d+)?")
WORDS_KEPT = {
    "an id": re.compile(r"\b_?[a-z0-9]+(?:_[a-z0-9]+)+\b"),  # of an input, or an option's value
    "a path": re.compile(r"\b[A-Za-z_]+(?:[./][A-Za-z_0-9]+)+"),
    "a name of the field": re.compile(r"\b[A-Z][A-Za-z0-9-]*[A-Z][A-Za-z0-9]*?(?=s?\b)"),
    "what is quoted": re.compile(r"\"([^\"]+)\"|`([^`]+)`"),
}


def both(language: str) -> list[tuple[str, str]]:
    """English texts and their translations."""
    return [(text, TABLES[language][text]) for text in TEXTS]


@pytest.mark.parametrize("language", TABLES)
def test_every_text_is_translated_and_no_translation_is_left_over(language):
    assert translate.to_do(language, TABLES[language], TEXTS) == []


@pytest.mark.parametrize("language", TABLES)
def test_the_files_of_a_language_are_those_of_its_table(language):
    written = translate.in_every_language(ENGLISH)[language]
    stale = [name for name, texts in locales.read(language).items() if texts != written.get(name)]
    assert (sorted(written), stale) == (sorted(ENGLISH), []), "run python scripts/locales.py --translations"


@pytest.mark.parametrize("language", TABLES)
def test_a_translation_has_the_numbers_of_the_english_text(language):
    lost = {
        text: numbers
        for text, translation in both(language)
        if (numbers := set(NUMBER.findall(text)) - set(NUMBER.findall(translation)))
    }
    assert lost == {}


@pytest.mark.parametrize("language", TABLES)
def test_a_node_is_cited_by_the_name_it_bears_in_that_language(language):
    named = {name: TABLES[language][name] for name in NAMES} | HOSTS[language]
    wrong = {
        (text, translation): named[name]
        for text, translation in both(language)
        for name in named
        if re.search(rf"\b{re.escape(name)}(?!\w)", text) and named[name] not in translation
    }
    assert wrong == {}


@pytest.mark.parametrize("kind", WORDS_KEPT)
@pytest.mark.parametrize("language", TABLES)
def test_what_is_no_word_stays_as_it_is(language, kind):
    """An id of an input may stand under the name that the input has in that language."""
    table, wrong = TABLES[language], {}
    hosts = re.compile("|".join(map(re.escape, HOSTS[language])))
    for text, translation in both(language):
        if text in NAMES or (kind == "an id" and re.fullmatch(r"[a-z0-9_]+", text)):
            continue  # a node's name, or an input's
        for match in WORDS_KEPT[kind].finditer(hosts.sub("", text)):
            word = next(filter(None, match.groups()), match[0])
            if word not in translation and (table.get(word) or word) not in translation:
                wrong[text] = word
    assert wrong == {}


def test_a_changed_text_is_to_be_translated_again():
    table = translate.brought_up({"old": "alt", "same": "gleich"}, ["same", "new"])
    assert table == {"same": "gleich", "new": ""}
    assert [line.split(": ", 1)[1] for line in translate.to_do("de", {"old": "alt"}, ["new"])] == [
        "to be translated: new",
        "no longer a text of the page: old",
    ]


def test_what_is_not_translated_yet_is_left_to_the_english_text():
    content = {"Node": {"display_name": "new", "inputs": {"a": {"name": "same", "tooltip": "new"}}}}
    assert translate.translate(content, {"same": "gleich", "new": ""}) == {
        "Node": {"inputs": {"a": {"name": "gleich"}}}
    }


def test_the_script_lists_what_is_to_be_translated_and_writes_the_rest(tmp_path, monkeypatch, capsys):
    tables, folder = tmp_path / "translations", tmp_path / "locales"
    monkeypatch.setattr(translate, "TABLES", tables)
    monkeypatch.setattr(locales, "FOLDER", folder)
    files = {"nodeDefs.json": {"Node": {"display_name": "A name"}}}
    assert locales.write_all(files) == 1
    assert "zh.json: to be translated: A name" in capsys.readouterr().err
    assert json.loads((tables / "zh.json").read_text(encoding="utf-8")) == {"A name": ""}
    assert locales.check_all(files) == len(translate.LANGUAGES)
    for language in translate.LANGUAGES:
        (tables / f"{language}.json").write_text('{"A name": "Ein Name"}', encoding="utf-8")
    assert locales.check_all(files) == len(translate.LANGUAGES)  # the files are out of date now
    assert locales.write_all(files) == 0
    assert locales.check_all(files) == 0
    assert locales.read("zh") == {"nodeDefs.json": {"Node": {"display_name": "Ein Name"}}}


def test_a_table_that_is_not_json_is_refused(tmp_path):
    (tmp_path / "zh.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"zh\.json in scripts/translations is not JSON"):
        translate.read_table("zh", tmp_path)
