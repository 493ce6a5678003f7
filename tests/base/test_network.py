import io
import urllib.error
from email.message import Message

import pytest

from mitozoo.base.network import Unavailable, byte_bar, is_lasting, pause_s, url_problem


def answer(code, **headers):
    message = Message()
    for key, value in headers.items():
        message[key.replace("_", "-")] = value
    return urllib.error.HTTPError("https://example.org/a", code, "reason", message, io.BytesIO())


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://zenodo.org/a", None),
        ("http://127.0.0.1:8000/a", None),
        ("http://example.org/a", "is http, which anyone on the way can change; use https"),
        ("https://ada:secret@example.org/a", "holds a user name or a password"),
        ("https:///a", "names no host"),
        ("file://server/a", "is a file on another host"),
        ("ftp://example.org/a", "is neither https, file nor a path inside the zoo"),
        ("../a", "is neither https, file nor a path inside the zoo"),
        ("https://[::1", "is not a URL"),
    ],
)
def test_where_nothing_is_fetched_from(url, problem):
    assert url_problem(url) == problem


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (answer(404), True),
        (answer(403), True),
        (answer(408), False),
        (answer(416), False),
        (answer(429), False),
        (answer(503), False),
        (TimeoutError(), False),
        (ConnectionResetError(), False),
        (Unavailable("it redirects to http", lasting=True), True),
        (Unavailable("it broke off"), False),
    ],
)
def test_when_asking_again_is_of_no_use(error, lasting):
    assert is_lasting(error) is lasting


def test_the_pause_doubles_unless_the_server_says_how_long_it_wants():
    assert [pause_s(TimeoutError(), failures) for failures in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert pause_s(TimeoutError(), 30) == 120
    assert pause_s(answer(503), 2) == 2
    assert pause_s(answer(429, Retry_After="17"), 1) == 17
    assert pause_s(answer(429, Retry_After="86400"), 1) == 120
    assert pause_s(answer(503, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), 3) == 4


def test_the_bar_is_silent_where_nobody_watches(capsys):
    with byte_bar("Fetching", 2000) as tell:
        tell(1000)
        tell(2000)
    assert capsys.readouterr() == ("", "")
