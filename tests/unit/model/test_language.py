"""Scripts, what sources say, and guesses: what leaves doubt stays unknown."""

from threading import Barrier, Thread
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from py3langid.langid import LanguageIdentifier

from model.language import UNKNOWN, Languages, _identifier, by_script, suits
from tests.shared import shared

ENGLISH = Languages("en", ["zh"])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("央行降息", "zh"),
        ("華為遭美國制裁", "zh"),
        ("$BABA 阿里巴巴 财报超预期", "zh"),
        ("特斯拉Model Y降价", "zh"),
        ("Lululemon(LULU.O)盘前快速走低，现跌7.58%。", "zh"),
        ("日経平均は続落", "ja"),
        ("トヨタ、純利益が過去最高", "ja"),
        ("코스피 하락 마감", "ko"),
        ("三星电子（삼성）第一季度利润大幅下降", "zh"),
        ("Regulator shuts down lender after run on deposits", "en"),
        ("Shares of Alibaba (阿里巴巴) beat estimates in Hong Kong", "en"),
        ("Regulator shuts down Société Générale's café chain", "en"),
        ("Société Générale and Crédit Agricole shares fall", "en"),
        ("Münchener Rück profit falls", "en"),
        ("DAX schließt nach Zinsentscheid deutlich im Minus", "de"),
        ("Le CAC 40 termine en forte hausse, porté par les banques", "fr"),
        ("Газпром отказался от выплаты дивидендов", "ru"),
        ("أسهم أرامكو تتراجع بعد النتائج", "ar"),
    ],
)
def test_a_text_that_says_enough_is_known_whatever_stands_beside(text: str, language: str) -> None:
    assert ENGLISH.of(text) == language


@pytest.mark.parametrize(
    "text",
    ["$TSLA $AAPL up", "GE +3%", "AAPL Q3 EPS $1.20 vs $1.19", "TSLA", "12.8", "🚀🚀🚀", "", " ", "https://t.co/a"],
)
def test_tickers_and_numbers_are_of_no_language(text: str) -> None:
    assert ENGLISH.of(text) == UNKNOWN


@pytest.mark.parametrize(
    ("text", "declared", "language"),
    [
        ("$TSLA $AAPL up", "en", "en"),
        ("$TSLA $AAPL up", "zh", "zh"),
        ("Fed holds rates steady as expected", "de", "de"),
        ("央行降息", "en", "zh"),  # the script leaves no doubt
        ("東京電力株価急落", "ja", "ja"),  # but is shared
        ("東京電力株価急落", "", "zh"),
        ("Fed holds rates steady as expected", "English!", "en"),  # no code: nothing is declared
    ],
)
def test_a_source_is_believed_unless_the_script_says_otherwise(text: str, declared: str, language: str) -> None:
    assert ENGLISH.of(text, declared) == language


@pytest.mark.parametrize("text", ["Ibex cae", "Zisk banky klesl"])
def test_what_is_expected_makes_nothing_sure_by_itself(text: str) -> None:
    assert ENGLISH.of(text) == UNKNOWN


def test_what_is_expected_decides_where_a_text_could_be_either() -> None:
    assert Languages("de").of("Commerzbank AG") == "de"
    assert ENGLISH.of("Commerzbank AG") == UNKNOWN


def test_a_language_that_nobody_expects_can_be_asked_for() -> None:
    text = "El Govern aprova els pressupostos amb els vots dels independents i la festa continua"
    assert Languages("en").of(text) != "ca"
    assert Languages("en", ["ca"]).of(text) == "ca"


@given(st.text(max_size=300), st.text(max_size=3))
def test_any_text_gets_a_code_or_nothing(text: str, declared: str) -> None:
    language = ENGLISH.of(text, declared)
    assert language == UNKNOWN or (len(language) == 2 and language.isascii() and language.islower())


@given(st.integers(1, 12), st.integers(0, 12))
def test_chinese_is_what_has_as_many_han_characters_as_words(han: int, words: int) -> None:
    text = f"{'股' * han} {'stock ' * words}"
    assert by_script(text) == ("zh" if han >= words else UNKNOWN)


def test_threads_that_ask_at_once_load_what_guesses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    languages, found, loads, start = Languages("en"), [], [], Barrier(4)
    load = LanguageIdentifier.from_model_file

    def counted(*arguments: Any, **options: Any) -> LanguageIdentifier:
        loads.append(arguments)
        return load(*arguments, **options)

    def ask() -> None:
        start.wait()
        found.append(languages.of("Shares of the lender fell"))

    monkeypatch.setattr(LanguageIdentifier, "from_model_file", counted)
    _identifier.cache_clear()
    asking = [Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert found == ["en"] * 4
    assert len(loads) == 1


def test_english_finance_texts_are_english_and_none_is_sent_elsewhere() -> None:
    """Headlines and posts full of tickers, as they come."""
    tweets = pd.read_parquet(shared("data/twitter_topic/validation.parquet")).text.tolist()[:1500]
    headlines = pd.read_csv(shared("data/replay/guardian.csv")).Headlines.tolist()[:1500]
    for texts, share in ((tweets, 0.96), (headlines, 0.995)):
        found = [ENGLISH.of(text) for text in texts]
        assert set(found) <= {"en", UNKNOWN}
        assert found.count("en") / len(texts) > share


@pytest.mark.parametrize("name", ["finfe_eval", "finnl_eval"])
def test_chinese_posts_and_news_are_chinese(name: str) -> None:
    texts = pd.read_json(shared(f"data/fincuge/{name}.json"), dtype=False)[0].tolist()
    found = [ENGLISH.of(text) for text in texts]
    assert set(found) <= {"zh", UNKNOWN}
    assert found.count("zh") / len(texts) > 0.995


@pytest.mark.parametrize(
    ("text", "language", "suited"),
    [
        ("Shares fall on weak demand", "en", True),
        ("Shares fall on weak demand", "zh", False),
        ("贵州茅台上半年净利润下降", "zh", True),
        ("贵州茅台上半年净利润下降", "en", False),
        ("日経平均は反発した", "ja", True),
        ("日経平均は反発した", "zh", False),
        ("Aktien fallen", "de", True),
        ("-3.2% $TSLA", "en", True),
    ],
)
def test_a_text_suits_a_language_by_its_script(text: str, language: str, suited: bool) -> None:
    assert suits(text, language) == suited
