"""One spelling for a URL, one id for a document."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.identity import canonical_url, document_id, identifies


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTPS://News.Example/Business/", "https://news.example/Business"),
        ("http://news.example:80/a", "http://news.example/a"),
        ("https://news.example:443/a", "https://news.example/a"),
        ("https://news.example:8443/a", "https://news.example:8443/a"),
        ("http://news.example/a#comments", "http://news.example/a"),
        ("http://news.example/a?utm_source=x&id=7&UTM_Medium=y", "http://news.example/a?id=7"),
        ("http://news.example/a?b=2&a=1&fbclid=z", "http://news.example/a?a=1&b=2"),
        ("http://news.example/a?", "http://news.example/a"),
        ("http://news.example/", "http://news.example"),
        ("http://news.example./a", "http://news.example/a"),
        ("http://user:secret@news.example/a", "http://news.example/a"),
        ("http://news.example/a/../b/./c", "http://news.example/b/c"),
        ("http://news.example/%7euser/%c3%a9", "http://news.example/~user/%C3%A9"),
        ("http://news.example/é b", "http://news.example/%C3%A9%20b"),
        ("http://bücher.example/a", "http://xn--bcher-kva.example/a"),
        ("http://[2001:DB8::1]:80/a", "http://[2001:db8::1]/a"),
        (" http://news.example/a \n", "http://news.example/a"),
    ],
)
def test_spellings_of_one_page_become_one(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://a.example/x?id=1", "http://a.example/x?id=2"),
        ("http://a.example/x", "http://a.example/X"),
        ("http://a.example/x?q=a%26b", "http://a.example/x?q=a&b"),
        ("http://a.example/x?q=a%2Bb", "http://a.example/x?q=a+b"),
        ("http://a.example/x?q=%FF", "http://a.example/x?q=%FE"),
        ("http://a.example/x", "http://b.example/x"),
        ("http://a.example:81/x", "http://a.example/x"),
    ],
)
def test_two_pages_stay_two(one: str, other: str) -> None:
    assert canonical_url(one) != canonical_url(other)


@pytest.mark.parametrize(
    "url", ["", "ftp://a.example/x", "javascript:alert(1)", "mailto:a@b.example", "http://", "http://[::1", "/a/b",
            "http://a.example:99999/", "http://a b.example/"]
)  # fmt: skip
def test_what_is_no_web_address_has_no_canonical_form(url: str) -> None:
    assert canonical_url(url) == ""


urls = st.one_of(
    st.text(max_size=60),
    st.builds(
        "{}://{}{}/{}?{}#{}".format,
        st.sampled_from(["http", "HTTPS", "ftp"]),
        st.sampled_from(["a.example", "A.Example.", "[::1]", "bücher.example", "u:p@a.example"]),
        st.sampled_from(["", ":80", ":443", ":8080"]),
        st.text(st.sampled_from("aé%2f7E./~ +\x00\ud800"), max_size=20),
        st.text(st.sampled_from("ab&=utm_%2zE;+?/ é"), max_size=20),
        st.text(max_size=5),
    ),
)


@given(urls)
def test_a_canonical_url_is_its_own_canonical_form(url: str) -> None:
    canonical = canonical_url(url)
    assert canonical_url(canonical) == canonical


@given(urls)
def test_a_canonical_url_is_plain_ascii(url: str) -> None:
    assert all("!" <= character <= "~" for character in canonical_url(url))


def test_a_front_page_names_no_document() -> None:
    assert not identifies(canonical_url("https://news.example/"))
    assert identifies(canonical_url("https://news.example/?p=17"))


def test_an_id_is_32_hex_digits_and_for_ever() -> None:
    assert document_id("wire", url="https://news.example/a?utm_source=rss") == "96fc2a56b77d5f9d0071dfaf76b78aa6"


def test_the_url_decides_before_the_native_id() -> None:
    one = document_id("wire", url="https://news.example/a", native_id="1")
    assert one == document_id("ledger", url="https://news.example/a/#top", native_id="2")


def test_entries_that_link_to_the_front_page_are_told_apart_by_their_native_ids() -> None:
    ids = {document_id("wire", url="https://news.example/", native_id=str(number)) for number in range(3)}
    assert len(ids) == 3


def test_a_native_id_belongs_to_its_source() -> None:
    assert document_id("wire", native_id="7") != document_id("ledger", native_id="7")


@given(st.text(), st.text(min_size=1), st.text(), st.text(min_size=1))
def test_no_two_identities_share_an_id(source: str, native: str, other_source: str, other_native: str) -> None:
    same = (source, native) == (other_source, other_native)
    assert (document_id(source, native_id=native) == document_id(other_source, native_id=other_native)) is same
    assert document_id(source, native_id=native) != document_id(source, content=native)


def test_a_document_without_any_mark_has_no_id() -> None:
    with pytest.raises(ValueError, match="nothing tells"):
        document_id("wire", url="javascript:void(0)")
