"""Requests and forms, well meant and not."""

import asyncio
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.board.http import BadRequest, Request, read_form, read_request, response


class Portions:
    """A stream that brings what it has in portions of `size`."""

    def __init__(self, data: bytes, size: int = 512) -> None:
        self._data = data
        self._size = size

    async def read(self, count: int) -> bytes:
        portion = self._data[: min(count, self._size)]
        self._data = self._data[len(portion) :]
        return portion


def read(data: bytes, size: int = 512) -> Request | None:
    return asyncio.run(read_request(Portions(data, size)))


def post(body: bytes, length: object = None) -> bytes:
    length = len(body) if length is None else length
    return f"POST /save?x=1 HTTP/1.1\r\nHost: a\r\ncontent-LENGTH: {length}\r\n\r\n".encode() + body


@pytest.mark.parametrize("size", [1, 7, 512])
def test_a_request_comes_in_any_portions(size: int) -> None:
    request = read(post(b"a=1&b=2"), size)
    assert request is not None
    assert (request.method, request.path, request.body) == ("POST", "/save", b"a=1&b=2")


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n", post(b"abc", 9)])
def test_a_request_that_ends_too_soon_is_none(data: bytes) -> None:
    assert read(data) is None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / SPDY/3\r\n\r\n", 400),
        (b"G\xff\xfe / HTTP/1.1\r\n\r\n", 400),
        (post(b"", "-1"), 400),
        (post(b"", "1e3"), 400),
        (post(b"", ""), 400),
        (b"POST / HTTP/1.1\r\nContent-Length: \xff\r\n\r\n", 400),
        (post(b"", 8193), 413),
        (post(b"", 10**30), 413),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000, 413),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        read(data)
    assert refused.value.status == status


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"))))
def test_a_form_comes_back_as_it_was_typed(form: dict[str, str]) -> None:
    assert read_form(urlencode(form).encode()) == form


@pytest.mark.parametrize("body", [b"a=%", b"a=%4", b"a=%zz", b"a=%+1", b"a=%ff", b"%=1"])
def test_a_form_that_is_damaged_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_form(body)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_harm_than_a_refusal(data: bytes) -> None:
    for call in (lambda: read(data), lambda: read(post(data)), lambda: read_form(data)):
        try:
            call()
        except BadRequest:
            continue


def test_an_answer_says_how_long_it_is_and_allows_nothing_from_elsewhere() -> None:
    head, body = response(200, "ü".encode()).split(b"\r\n\r\n")
    assert body.decode() == "ü"
    assert b"Content-Length: 2" in head
    assert b"default-src 'none'" in head
    assert b"Location" not in head
    assert b"Location: http://a/" in response(302, b"", "http://a/")
