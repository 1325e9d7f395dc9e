"""HTML becomes the text that a reader sees."""

import time

import pytest

from ingest.article import text_of_fragment, text_of_page

PAGE = """<!doctype html><html><head><title>Bank shut | Wire</title><script>var x = "tracking";</script></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/markets">Markets</a></li></ul></nav>
<article><h1>Regulators shut Aldmere Savings Bank</h1>
<p>Regulators closed the lender on Friday after depositors withdrew a quarter of its funds within two days, in the
largest failure of a bank since the last crisis.</p>
<p>The central bank said that other lenders were sound and that it stood ready to lend to them, while shares of smaller
banks fell sharply in early trading.</p></article>
<aside><h2>Most read</h2><ul><li><a href="/1">Ten recipes for soup</a></li></ul></aside>
<footer>Copyright Wire. All rights reserved. Cookie settings.</footer></body></html>"""


def test_a_page_becomes_its_article() -> None:
    text = text_of_page(PAGE.encode(), "https://wire.example/1")
    assert "depositors withdrew a quarter" in text
    assert "The central bank said" in text
    for clutter in ("Home", "recipes", "Cookie", "tracking"):
        assert clutter not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "page", [b"", b"   ", b"no markup", b"<html></html>", b"\xff\xfe\x00", b"<html><body></body></html>"]
)
def test_a_page_without_an_article_has_no_text(page: bytes) -> None:
    assert text_of_page(page, "https://wire.example/1") in ("", "no markup")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("Bank fails", "Bank fails"),
        ("  Bank \n fails ", "Bank fails"),
        ("<p>Bank fails.</p><p>More soon.</p>", "Bank fails. More soon."),
        ("<b>Te</b>sco falls", "Tesco falls"),
        ("Profit &amp; loss &lt; expected", "Profit & loss < expected"),
        ("a<br>b<br/>c", "a b c"),
        ("<ul><li>one</li><li>two</li></ul>", "one two"),
        ("x<script>alert(1)</script>y<style>p{}</style>z", "xyz"),
        ("<!-- nothing -->", ""),
        ("<p>unclosed <b>bold", "unclosed bold"),
        ("<html><head></head></html>", ""),
        ("<html><head><title>Wire</title></head><body>Bank fails</body></html>", "Bank fails"),
        ("<html><body><p>one</p></body><body><p>two</p></body></html>", "one two"),
        ("<html><frameset><frame src='x'></frameset></html>", ""),
        ("a</div>b", "a b"),
        ("", ""),
    ],
)
def test_a_fragment_becomes_plain_text(html: str, text: str) -> None:
    assert text_of_fragment(html) == text


def test_thousands_of_hidden_elements_take_no_longer_than_their_length() -> None:
    def seconds(elements: int) -> float:
        started = time.perf_counter()
        assert text_of_fragment("<script>x</script>aaaa " * elements).count("aaaa") == elements
        return time.perf_counter() - started

    # One by one eight times as many took sixty times as long: 16 s for 40,000.
    assert min(seconds(24_000) for _ in range(3)) < 30 * min(seconds(3_000) for _ in range(3))
