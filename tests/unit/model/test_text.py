import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.text import clean, says_nothing

LINKS = ("https://t.co/a", "www.a.b", "ht&#116;p://a", "WW&#87;.a", "h\u00adttps://a", "ww\u2060w.a", "https:/\u200e/a")
PARTS = (*LINKS, "&nbsp;", "&#10;", "&amp;", " ", "\u00ad", "\u200b", "\ufe0f", "$", "①", "═", "▬")
"""What leaves nothing, and a little that does."""


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("AT&amp;T &gt; Verizon&#39;s", "AT&T > Verizon's"),
        ("AT&amp;amp;amp;T", "AT&T"),
        ("x&a\u00admp;y h\u00adttp://c &a&shy;mp;", "x&y &"),
        ("Fed raises rates https://t.co/abc?x=1 now", "Fed raises rates now"),
        ("详见https://t.cn/abc，公司公告", "详见 ，公司公告"),
        ("见https://t.cn/abc公告 www.example.com。", "见 公告 。"),
        ("见\u3000附件", "见 附件"),
        ("see www.example.com/a, then HTTP://EXAMPLE.COM", "see then"),
        ("  two\n\nlines\tand\u00a0more\u200b ", "two lines and more"),
        ("$TSLA @elon #stocks 5%", "$TSLA @elon #stocks 5%"),
        ("to the moon🚀🚀", "to the moon rocket rocket"),
        ("👍🏽 by 👩\u200d💻", "thumbs up sign by woman personal computer"),
        ("up ⬆️ down 📉", "up upwards black arrow down chart with downwards trend"),
        (f"{'═' * 30}\nBank halts withdrawals\n{'─' * 40} {'█' * 20}", "Bank halts withdrawals"),
        ("Profit│loss", "Profit loss"),
        ("═" * 30, ""),
        ("▬▬▬▬ Bank halts withdrawals ● ● ●", "black rectangle Bank halts withdrawals black circle"),
        (
            "◆◆ ▲ up ▲△▲",
            "black diamond black diamond black up pointing triangle up"
            " black up pointing triangle white up pointing triangle black up pointing triangle",
        ),
        ("to the moon🚀🚀🚀🚀", "to the moon rocket rocket rocket rocket"),
        ("café in Zürich: 中国 — “yes”", "café in Zürich: 中国 — “yes”"),
        ("broken \ud83d half", "broken ? half"),
        (f"a &#{'1' * 4400}; number without end", "a \ufffd number without end"),
        (f"&#x{'f' * 4400} &#x1F680;", "\ufffd rocket"),
        ("invest\u00adment \u202agrade\u202c", "investment grade"),
        ("\u00ad\u200b\u2060\u200e", ""),
        ("", ""),
        ("https://t.co/only", ""),
    ],
)
def test_cleans(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@given(st.text() | st.lists(st.sampled_from([*PARTS, "&", "amp;", "#", "3", "8;", "x", "h", "ttp://"])).map("".join))
def test_who_measures_may_clean_what_was_cleaned(raw: str) -> None:
    assert clean(clean(raw)) == clean(raw)


def test_entities_nested_without_end_cost_no_more_than_others() -> None:
    """A record may be a megabyte, and is cleaned whole to see whether it says anything."""
    nested = "&" + "amp;" * 250_000
    assert clean(nested) == clean(clean(nested))
    assert "&" not in clean(nested)


@given(st.text())
def test_any_text_comes_out_encodable_with_single_spaces(raw: str) -> None:
    cleaned = clean(raw)
    cleaned.encode("utf-8")
    assert cleaned == " ".join(cleaned.split())


@given(st.text() | st.lists(st.sampled_from(PARTS), max_size=4).map("".join))
def test_a_text_says_nothing_where_cleaning_leaves_nothing(raw: str) -> None:
    assert says_nothing(raw) == (not clean(raw))


@given(st.text(st.characters(codec="utf-8")))
def test_upper_planes_never_reach_the_tokeniser_as_emoji(raw: str) -> None:
    assert not any("\U0001f300" <= char <= "\U0001f9ff" for char in clean(raw))
