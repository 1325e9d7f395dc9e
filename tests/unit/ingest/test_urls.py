"""What a URL's host is, and what may be seen of it."""

import pytest

from ingest.urls import host_of, shown


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://a.example/page", "https://a.example/page"),
        ("https://jane:s3cret@a.example:8080/page", "https://a.example:8080/page"),
        ("https://s3cret@a.example", "https://a.example"),
        ("https://j@ne:s3cret@a.example/@jane", "https://a.example/@jane"),
        ("https://a.example/x?apikey=s3cret&page=2#top", "https://a.example/x?apikey=***&page=***#top"),
        ("https://a.example/x?s3cret", "https://a.example/x?***"),
        ("https://a.example/x?q=a?b=s3cret", "https://a.example/x?q=***"),
        ("https://a.example/x?a=&b=s3cret", "https://a.example/x?a=***&b=***"),
        ("http://jane:s3cret@[::1", "http://[::1"),
        ("a.example", "a.example"),
    ],
)
def test_what_may_be_a_secret_is_not_shown(url: str, seen: str) -> None:
    assert shown(url) == seen


@pytest.mark.parametrize("url", ["http://a.example:81/x", "http://Jane:S3cret@A.example:81"])
def test_a_host_is_the_same_for_whoever_asks(url: str) -> None:
    assert host_of(url) == "a.example:81"
