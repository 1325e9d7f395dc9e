"""JSON APIs by what the settings say of them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest.entries import Rejected
from ingest.errors import FetchError, InputError
from ingest.privacy import mask
from ingest.settings import JsonApiSource
from ingest.sources.json_api import JsonApi, find
from stream.records import Document
from tests.unit.ingest.documents import NOW
from tests.unit.ingest.web import Web

URL = "https://social.example/api/posts"


def post(number: int) -> dict[str, Any]:
    return {
        "id": str(number),
        "text": f"Is @aldmere safe? Post {number}",
        "created_at": "2026-03-10T11:00:00.000+00:00",
        "author": "@jane",
        "url": f"https://social.example/posts/{number}",
    }


class Posts:
    """An API over a growing list: `limit` posts after the cursor `since`, which is a number."""

    def __init__(self, count: int) -> None:
        self.all = [post(number) for number in range(count)]
        self.cursors: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        self.cursors.append(query.get("since", ""))
        start = int(query.get("since", "0"))
        page = self.all[start : start + int(query["limit"])]
        return answer({"posts": page, "next": str(start + len(page))})


def answer(value: object) -> httpx.Response:
    return httpx.Response(200, content=value if isinstance(value, bytes) else json.dumps(value).encode())


def api(web: Web, **values: object) -> JsonApi:
    settings: dict[str, object] = {"name": "chirp", "url": URL, "items": "posts", "params": {"limit": "2"}}
    settings |= {"cursor_param": "since", "next_cursor": "next"}
    source = JsonApiSource.model_validate(settings | values)
    return JsonApi(source, web.settings, web.fetcher, clock=lambda: NOW)


def test_posts_become_documents() -> None:
    document = next(iter(api(Web({URL: Posts(1)})).read()))
    assert isinstance(document, Document)
    assert (document.source, document.source_kind, document.title) == ("chirp", "social", "")
    assert document.text == "Is @aldmere safe? Post 0"  # the publisher masks it
    assert document.url == "https://social.example/posts/0"
    assert document.published_at == datetime(2026, 3, 10, 11, tzinfo=UTC)


MASTODON = (
    '<p><span class="h-card" translate="no"><a href="https://social.example/@janedoe" class="u-url mention">'
    "@<span>janedoe</span></a></span> Lender fails after a run on deposits<br>AT&amp;T shares fall</p>"
)
"""A status as the API gives it: the handle is in pieces."""


def test_a_post_in_html_becomes_its_text_in_which_handles_are_found() -> None:
    web = Web({URL: answer({"posts": [post(1) | {"text": MASTODON, "subject": "<b>Run</b> on a bank"}]})})
    fields = {"text": "text", "title": "subject"}
    (document,) = api(web, fields=fields, cursor_param="", next_cursor="").read()
    assert isinstance(document, Document)
    assert document.title == "Run on a bank"
    assert document.text == "@janedoe Lender fails after a run on deposits AT&T shares fall"
    assert "janedoe" not in mask(document.text)


@pytest.mark.parametrize(
    "text",
    [
        "Profit < 5",
        "Profit <5% and sales > 3",
        "<3 this bank",
        "A List<String> fails",
        "if a <b and c> d",
        "Jane <i@bank.example>",
    ],
)
def test_angle_brackets_alone_make_no_html(text: str) -> None:
    web = Web({URL: answer({"posts": [post(1) | {"text": text}]})})
    (document,) = api(web, cursor_param="", next_cursor="").read()
    assert isinstance(document, Document)
    assert document.text == text


def test_all_pages_are_read_and_the_next_read_goes_on() -> None:
    posts = Posts(5)
    source = api(Web({URL: posts}))
    assert len(list(source.read())) == 5
    posts.all.append(post(5))
    assert [item.url[-1] for item in source.read() if isinstance(item, Document)] == ["5"]
    assert posts.cursors == ["", "2", "4", "5", "5", "6"]


def test_one_read_takes_no_more_pages_than_allowed() -> None:
    source = api(Web({URL: Posts(100)}), max_pages=3)
    assert len(list(source.read())) == 6
    assert len(list(source.read())) == 6


def test_a_page_that_was_not_taken_to_its_end_is_asked_for_again() -> None:
    posts = Posts(4)
    source = api(Web({URL: posts}))
    next(iter(source.read()))
    assert len(list(source.read())) == 4


def test_a_cursor_that_stands_still_ends_the_read() -> None:
    web = Web({URL: answer({"posts": [post(1)], "next": "same"})})
    assert len(list(api(web).read())) == 2
    assert len(list(api(web, cursor_param="", next_cursor="").read())) == 1


def test_an_empty_page_hides_nothing_that_stands_behind_it() -> None:
    pages = {"": ([post(1)], "a"), "a": ([], "b"), "b": ([post(2)], "b")}

    def page(request: httpx.Request) -> httpx.Response:
        posts, following = pages[request.url.params.get("since", "")]
        return answer({"posts": posts, "next": following})

    source = api(Web({URL: page}))
    found = [[item.url[-1] for item in source.read() if isinstance(item, Document)] for _ in range(2)]
    assert found == [["1"], ["2"]]


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_cursor_that_the_api_no_longer_knows_is_dropped(status: int) -> None:
    posts = Posts(3)
    web = Web({URL: posts})
    source = api(web)
    assert len(list(source.read())) == 3
    web.answers[URL] = httpx.Response(status)
    with pytest.raises(FetchError, match=f"status {status}"):
        list(source.read())
    web.answers[URL] = posts
    assert len(list(source.read())) == 3


def test_a_cursor_outlives_a_failure_of_the_server() -> None:
    posts = Posts(3)
    web = Web({URL: posts})
    source = api(web)
    list(source.read())
    web.answers[URL] = httpx.Response(500)
    with pytest.raises(FetchError, match="status 500"):
        list(source.read())
    web.answers[URL] = posts
    assert list(source.read()) == []


def test_fields_may_lie_deep() -> None:
    web = Web({URL: answer({"data": {"children": [{"data": {"name": 7, "body": "Bank fails", "utc": 1773140400}}]}})})
    fields = {"id": "data.name", "text": "data.body", "published_at": "data.utc", "url": ""}
    (document,) = api(web, items="data.children", fields=fields, cursor_param="", next_cursor="").read()
    assert isinstance(document, Document)
    assert (document.text, document.url) == ("Bank fails", "")


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"text": ""}, "no text"),
        ({"text": None}, "no text"),
        ({"text": ["Bank"]}, "a JSON list where a text should stand"),
        ({"text": True}, "a JSON bool where a text should stand"),
        ({"created_at": None}, "no date"),
        ({"created_at": "soon"}, "year, month and day"),
        ({"created_at": 10**399}, "a number of that size is no date"),
        ({"created_at": "2026-04-10"}, "in the future"),
        ({"text": "x" * 1_000_001}, "the limit is 1,000,000"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_post_costs_itself_alone(item: dict[str, Any], reason: str) -> None:
    web = Web({URL: answer({"posts": [post(1), post(2) | item, "no object", post(3)], "next": ""})})
    items = list(api(web).read())
    assert [isinstance(found, Document) for found in items] == [True, False, False, True]
    assert isinstance(items[1], Rejected)
    assert items[1].where == "item 2"
    assert reason in items[1].reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 2000, "no JSON"),
        ([], "no list at 'posts'"),
        ({"posts": None}, "no list at 'posts'"),
        ({"error": "x"}, "no list at 'posts'"),
    ],
)
def test_an_answer_of_another_shape_is_an_error_that_names_the_source(body: object, reason: str) -> None:
    with pytest.raises(FetchError, match=f"{URL}.*{reason}"):
        list(api(Web({URL: answer(body)})).read())


def test_the_token_comes_from_a_file_and_stays_out_of_errors(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    web = Web({URL: httpx.Response(401)})
    with pytest.raises(FetchError) as caught:
        list(api(web, token_file=token).read())
    assert web.requests[-1].headers["authorization"] == "Bearer s3cret"
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>", {"error": "x"}, None])
def test_a_key_in_the_address_stays_out_of_errors(body: object) -> None:
    address = f"{URL}?key=s3cret"
    web = Web({URL: httpx.Response(500) if body is None else answer(body)})
    with pytest.raises(FetchError) as caught:
        list(api(web, url=address, params={"apikey": "s3cret"}).read())
    assert "key=s3cret" in web.asked[-1]
    assert "s3cret" not in str(caught.value)
    assert URL in str(caught.value)


@pytest.mark.parametrize("text", ["s3cret\nof two lines", "s3cr\u00e9t", ""])
def test_what_cannot_be_a_token_is_refused_before_a_library_says_what_it_is(text: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"token_file .*token holds no token") as caught:
        list(api(Web({URL: Posts(1)}), token_file=token).read())
    assert "s3cr" not in str(caught.value)


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source chirp: token_file .*nothing cannot be read"):
        list(api(Web(), token_file=tmp_path / "nothing").read())


@pytest.mark.parametrize(
    ("path", "found"),
    [("", {"a": {"b": 1}}), ("a", {"b": 1}), ("a.b", 1), ("a.c", None), ("a.b.c", None), ("x.y", None)],
)
def test_a_path_leads_into_nested_objects(path: str, found: object) -> None:
    assert find({"a": {"b": 1}}, path) == found


def test_only_an_api_whose_owner_agreed_is_read_whatever_its_robots_say() -> None:
    rules = httpx.Response(200, text="User-agent: *\nDisallow: /api")
    web = Web({URL: Posts(1), "https://social.example/robots.txt": rules})
    with pytest.raises(FetchError, match="forbidden"):
        list(api(web).read())
    assert len(list(api(web, robots=False).read())) == 1
