"""What the settings of ingest accept and refuse."""

import pytest
from pydantic import ValidationError

from ingest.settings import FeedSource, IngestSettings, JsonApiSource


def test_sources_are_told_apart_by_type() -> None:
    settings = IngestSettings.model_validate(
        {
            "sources": [
                {"type": "feed", "name": "wire", "url": "https://wire.example/rss", "articles": True},
                {"type": "json_api", "name": "posts", "url": "https://posts.example/api", "items": "posts"},
            ]
        }
    )
    assert isinstance(settings.sources[0], FeedSource)
    assert isinstance(settings.sources[1], JsonApiSource)
    assert (settings.sources[0].kind, settings.sources[1].kind) == ("news", "social")


@pytest.mark.parametrize("url", ["ftp://a.example/x", "file:///etc/passwd", "a.example/rss", "http://"])
def test_a_source_has_an_http_address(url: str) -> None:
    with pytest.raises(ValidationError, match="no http or https address"):
        FeedSource(name="wire", url=url)


@pytest.mark.parametrize("name", ["", "Wire", "a b", "-wire", "x" * 65])
def test_a_source_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValidationError):
        FeedSource(name=name, url="https://a.example/rss")


def test_two_sources_have_two_names() -> None:
    feed = FeedSource(name="wire", url="https://a.example/rss")
    with pytest.raises(ValidationError, match="two sources are called 'wire'"):
        IngestSettings(sources=(feed, feed))


def test_a_cursor_needs_both_its_settings() -> None:
    with pytest.raises(ValidationError, match="go together"):
        JsonApiSource(name="posts", url="https://a.example/api", cursor_param="since")


@pytest.mark.parametrize("pair", ["127.0.0.1", "http://127.0.0.1:80", "a b:80", "host:port"])
def test_an_exception_is_a_host_with_a_port(pair: str) -> None:
    with pytest.raises(ValidationError, match="not host:port"):
        IngestSettings(private_exceptions=(pair,))


@pytest.mark.parametrize("hours", [1e12, float("inf"), float("nan"), -1.0])
def test_a_date_may_be_so_far_in_the_future_as_can_be_counted(hours: float) -> None:
    with pytest.raises(ValidationError, match="max_future_hours"):
        IngestSettings(max_future_hours=hours)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_no_time_is_endless(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        IngestSettings(timeout_seconds=value)
    with pytest.raises(ValidationError, match="finite"):
        FeedSource(name="wire", url="https://a.example/rss", every_seconds=value)


def test_a_refused_address_shows_no_secret_in_its_reason() -> None:
    with pytest.raises(ValidationError) as caught:
        FeedSource(name="wire", url="ftp://jane:s3cret@a.example/x?key=s3cret")
    assert "s3cret" not in caught.value.errors()[0]["msg"]


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="feeds"):
        IngestSettings.model_validate({"feeds": []})
