import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from pydantic import SecretStr

from dashboards.console.app import create_app
from dashboards.console.board import Board
from dashboards.console.explaining import Explained, Question
from dashboards.console.security import COOKIE, session_of
from dashboards.console.settings import ConsoleSettings
from model.classifier import Prediction
from model.errors import BundleError, InputError
from model.explain import Explanation, Word
from tests.unit.dashboards.console.records import SETTINGS, bucket, evidence, new_board
from tests.unit.dashboards.console.test_view import filled

TOKEN = "a-token-of-some-length"
GUARDED = ConsoleSettings(host="0.0.0.0", token=SecretStr(TOKEN))
PAGE = {"Accept": "text/html"}


REMARK = "The workers score with <another>"


def explanation(question: Question) -> Explained:
    """Of a classifier that minds one word alone."""
    text = question.text
    if text == "…":
        raise InputError("there is no word to explain", fix="give a headline or a sentence")
    if text == "broken":
        raise BundleError("model.onnx is not what it was", fix="restore it")
    words, start = [], 0
    for word in text.split():
        words.append(Word(word, start, 3.0 if word == "run" else -0.2))
        start += len(word) + 1
    prediction = Prediction("Financials", 0.9, "negative", (0.8, 0.1, 0.1))
    found = Explanation(text, prediction, "negative", tuple(words), "stub", cut=text.endswith("..."))
    if question.language is None and question.published_at is None:
        return Explained(found)
    return Explained(found, (REMARK, f"{question.language} at {question.published_at}"))


Ask = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


def answer(
    ask: Ask, settings: ConsoleSettings = SETTINGS, *, board: Board | None = None, host: str = "127.0.0.1"
) -> httpx.Response:
    """What the console says to one client."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(board or new_board(filled()), settings, explanation))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await ask(client)

    return asyncio.run(run())


def get(path: str, settings: ConsoleSettings = SETTINGS, **headers: str) -> httpx.Response:
    return answer(lambda client: client.get(path, headers=headers), settings)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?window=7d&topic=Macro",
        "/explain?text=bank+run",
        "/api/state",
        "/ready",
        "/static/console.css",
        "/static/console.js",
        "/nowhere",
    ],
)
def test_every_answer_is_guarded_against_what_a_browser_might_do(path: str) -> None:
    headers = get(path).headers
    policy = {part.split()[0]: part.split()[1:] for part in headers["content-security-policy"].split(";")}
    assert policy["default-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == ["'none'"]
    assert not [name for name in policy if name in ("script-src", "style-src")], "nothing wider than default-src"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] in ("no-store", "no-cache")


def test_the_page_shows_the_topics_without_a_script() -> None:
    page = get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Markets" in page.text
    assert 'data-mood="calm"' in page.text


def test_an_opened_topic_is_part_of_the_page() -> None:
    page = get("/?window=24h&topic=Macro").text
    assert "<dialog" in page
    assert " open>" in page
    assert "6 of 20 stories (20 documents) in the last 24 hours" in page


def test_the_state_is_json() -> None:
    state = get("/api/state?window=24h").json()
    assert state["window"] == "24h"
    assert [row["name"] for row in state["topics"]][:2] == ["Markets", "Macro"]
    assert "topic" not in state
    assert get("/api/state?topic=Macro").json()["topic"]["row"]["negative_stories"] == 6
    assert get("/api/state?topic=Nonsense").json()["topic"] is None


@pytest.mark.parametrize("path", ["/", "/api/state", "/events"])
def test_an_unknown_window_is_refused_with_the_known_ones(path: str) -> None:
    response = get(f"{path}?window=2h")
    assert response.status_code == 400
    assert "15m, 1h, 24h, 7d" in response.text


def test_a_topic_longer_than_any_is_refused() -> None:
    assert get(f"/?topic={'x' * 300}").status_code == 400


def test_ready_is_when_everything_is_read() -> None:
    board = new_board(filled())
    assert answer(lambda client: client.get("/ready"), board=board).json() == {
        "ready": True,
        "feed": "live",
        "detail": "",
    }
    board.connect("lost", "refused")
    response = answer(lambda client: client.get("/ready"), board=board)
    assert (response.status_code, response.json()["detail"]) == (503, "refused")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "localhost:8080"])
def test_without_a_token_loopback_names_are_answered(host: str) -> None:
    assert answer(lambda client: client.get("/"), host=host).status_code == 200


@pytest.mark.parametrize("host", ["rebound.example", "192.168.1.7", "localhost.example"])
def test_without_a_token_no_other_name_reaches_the_console(host: str) -> None:
    assert answer(lambda client: client.get("/"), host=host).status_code == 421


@pytest.mark.parametrize("path", ["/", "/api/state", "/events", "/?topic=Macro"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer ümlaut"},
        {"Cookie": f"{COOKIE}={TOKEN}"},
        {"Cookie": f"{COOKIE}="},
        {"Cookie": "; ; =;"},
    ],
)
def test_who_has_no_token_sees_nothing(path: str, headers: dict[str, str]) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    response = answer(lambda client: client.get(path, headers=encoded), GUARDED)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "Macro" not in response.text


@pytest.mark.parametrize("path", ["/ready", "/static/console.css", "/sign-in"])
def test_the_way_in_is_open(path: str) -> None:
    assert get(path, GUARDED).status_code == 200


def test_a_program_sends_the_token_as_a_bearer() -> None:
    assert get("/api/state", GUARDED, Authorization=f"Bearer {TOKEN}").status_code == 200
    assert get("/api/state", GUARDED, Authorization=f"bearer  {TOKEN}").status_code == 200


def test_a_token_need_not_be_ascii() -> None:
    token = "päßwörter-und-密码-voilà"
    guarded = ConsoleSettings(host="0.0.0.0", token=SecretStr(token))

    def ask(given: bytes) -> int:
        headers = [(b"Authorization", b"Bearer " + given)]
        return answer(lambda client: client.get("/api/state", headers=headers), guarded).status_code

    assert ask(token.encode()) == 200
    assert ask(token.encode()[:-1]) == 401
    assert ask(b"\xff\xfe") == 401


def test_a_browser_is_led_to_the_sign_in_page() -> None:
    response = get("/", GUARDED, **PAGE)
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")


def test_signing_in_sets_a_cookie_that_opens_the_page_and_is_not_the_token() -> None:
    async def sign_in(client: httpx.AsyncClient) -> httpx.Response:
        response = await client.post("/sign-in", data={"token": TOKEN})
        assert (response.status_code, response.headers["location"]) == (303, "/")
        cookie = response.headers["set-cookie"]
        assert TOKEN not in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        return await client.get("/", headers=PAGE)

    assert answer(sign_in, GUARDED).status_code == 200


def test_a_wrong_token_is_told_and_asked_for_again() -> None:
    response = answer(lambda client: client.post("/sign-in", data={"token": "wrong <b>"}), GUARDED)
    assert response.status_code == 401
    assert "That is not the token." in response.text
    assert "set-cookie" not in response.headers


def test_a_flood_instead_of_a_token_is_cut_off() -> None:
    response = answer(lambda client: client.post("/sign-in", data={"token": "x" * 10_000}), GUARDED)
    assert response.status_code == 413


def test_another_token_ends_the_sessions_of_the_old_one() -> None:
    old = answer(lambda client: client.post("/sign-in", data={"token": TOKEN}), GUARDED).headers["set-cookie"]
    renewed = ConsoleSettings(host="0.0.0.0", token=SecretStr("another-token-as-long"))
    assert get("/api/state", renewed, Cookie=old.split(";")[0]).status_code == 401


def test_tokens_that_differ_after_64_bytes_have_sessions_of_their_own() -> None:
    assert session_of("x" * 64 + "a") != session_of("x" * 64 + "b")


def test_cookies_of_other_programs_on_this_host_do_not_hide_ours() -> None:
    ours = answer(lambda client: client.post("/sign-in", data={"token": TOKEN}), GUARDED).headers["set-cookie"]
    cookies = 'prefs={"theme":"dark"}; ' + ours.split(";")[0]
    assert get("/api/state", GUARDED, Cookie=cookies).status_code == 200


def test_a_host_that_is_none_is_refused() -> None:
    assert get("/", Host="[").status_code == 421


def test_without_a_token_there_is_nothing_to_sign_in_to() -> None:
    assert get("/sign-in").headers["location"] == "/"


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/static/nothing.js"])
def test_only_the_static_files_are_served(path: str) -> None:
    assert get(path).status_code == 404


def test_an_explanation_marks_the_words_that_speak_for_negative() -> None:
    page = get("/explain?text=A+run+on+%3Cb%3E").text
    assert '<span class="bad4" title="+3.00">run</span>' in page
    assert '<span class="good0" title="-0.20">A</span>' in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "80% negative" in page


def test_what_is_known_of_a_headline_is_asked_with_it_and_what_may_differ_is_said() -> None:
    page = get("/explain?text=bank+run&language=zh&at=2026-03-02T12:00:00Z").text
    assert page.count('role="note"') == 2
    assert "The workers score with &lt;another&gt;" in page
    assert "zh at 2026-03-02 12:00:00+00:00" in page
    assert 'role="note"' not in get("/explain?text=bank+run").text


@pytest.mark.parametrize("moment", ["yesterday", "2026-03-02", "2026-03-02T12:00:00"])
def test_a_moment_that_is_none_is_refused(moment: str) -> None:
    assert get(f"/explain?text=bank+run&at={moment}").status_code == 400


@pytest.mark.parametrize("number", ["much", "nan", "-0.1", "97"])
def test_a_probability_that_is_none_is_refused(number: str) -> None:
    assert get(f"/explain?text=bank+run&negative={number}").status_code == 400


def test_the_page_says_where_a_text_was_cut() -> None:
    assert "Cut after 2 words" in get("/explain?text=bank+run...").text
    assert "Cut after" not in get("/explain?text=bank+run").text


def test_a_headline_asks_why_with_its_language_and_moment() -> None:
    state = filled()
    headline = evidence("降息 & run", minute=1, language="zh")
    state.put_bucket(bucket("Macro", 1, negative=1, applied=99, headlines=(headline,)))
    page = answer(lambda client: client.get("/"), board=new_board(state)).text
    asked = (
        "/explain?text=%E9%99%8D%E6%81%AF%20%26%20run&amp;language=zh&amp;at=2026-03-02T12%3A01%3A00Z&amp;negative=0.9"
    )
    assert f'href="{asked}"' in page


def test_without_a_text_it_asks_for_one() -> None:
    answer = get("/explain")
    assert answer.status_code == 200
    assert 'name="text"' in answer.text


def test_a_bundle_that_does_not_load_is_said_on_the_page() -> None:
    answer = get("/explain?text=broken")
    assert answer.status_code == 503
    assert "model.onnx is not what it was" in answer.text


def test_a_text_without_a_word_is_the_readers_to_mend() -> None:
    answer = get("/explain?text=%E2%80%A6")
    assert answer.status_code == 422
    assert "there is no word to explain" in answer.text


def test_explanations_are_for_those_who_have_the_token() -> None:
    assert answer(lambda client: client.get("/explain?text=bank+run"), GUARDED).status_code == 401


def test_another_site_may_not_ask_why() -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert answer(lambda client: client.get("/explain?text=bank+run", headers=headers)).status_code == 403
