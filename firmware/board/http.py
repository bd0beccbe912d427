"""As much of HTTP/1.1 as a form needs: one request, one answer, and the connection is closed."""

# A phone's browser sends about 600 bytes of headers.
_MAX_HEAD = 4096

# A form with certificates, each newline of it as six characters.
_MAX_BODY = 8192

_CHUNK = 512

REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 404: "Not Found", 413: "Payload Too Large"}


class BadRequest(ValueError):
    """What came is no request that can be answered; `status` says how to refuse it."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


class Request:
    """`path` without its query; `body` as it came."""

    def __init__(self, method: str, path: str, body: bytes) -> None:
        self.method = method
        self.path = path
        self.body = body


async def read_request(stream) -> "Request | None":  # type: ignore[no-untyped-def]  # a stream of either Python
    """The next request of the stream; None: it ended. Raises `BadRequest`, and what the stream raises."""
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > _MAX_HEAD:
            raise BadRequest(413)
        portion = await stream.read(_CHUNK)
        if not portion:
            return None
        data += portion
    end = data.index(b"\r\n\r\n")
    lines = data[:end].split(b"\r\n")
    words = lines[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        raise BadRequest(400)
    try:
        length = _length(lines[1:])
    except UnicodeError:
        raise BadRequest(400)
    body = data[end + 4 :]
    while len(body) < length:
        portion = await stream.read(min(_CHUNK, length - len(body)))
        if not portion:
            return None
        body += portion
    try:
        return Request(words[0].decode(), words[1].split(b"?")[0].decode(), body[:length])
    except UnicodeError:
        raise BadRequest(400)


def response(status: int, body: bytes, location: str = "") -> bytes:
    """An answer with a page, or one that leads to `location`. Nothing of it is to be kept or to load anything."""
    head = [
        f"HTTP/1.1 {status} {REASONS[status]}",
        "Content-Type: text/html; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ]
    if location:
        head.append("Location: " + location)
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def read_form(body: bytes) -> "dict[str, str]":
    """The fields of an `application/x-www-form-urlencoded` body. Raises `BadRequest`."""
    form = {}  # type: dict[str, str]
    try:
        for pair in body.split(b"&"):
            name, _equals, value = pair.partition(b"=")
            if name:
                form[_unquote(name)] = _unquote(value)
    except ValueError:
        raise BadRequest(400)
    return form


def _length(headers: "list[bytes]") -> int:
    for header in headers:
        name, _colon, value = header.partition(b":")
        if name.strip().lower() == b"content-length":
            digits = value.strip().decode()
            if not digits or digits.strip("0123456789"):
                raise BadRequest(400)
            if len(digits) > 5 or int(digits) > _MAX_BODY:
                raise BadRequest(413)
            return int(digits)
    return 0


def _unquote(text: bytes) -> str:
    parts = text.replace(b"+", b" ").split(b"%")
    out = bytearray(parts[0])
    for part in parts[1:]:
        # int() takes signs and spaces too.
        if part[:2].lower().strip(b"0123456789abcdef") or len(part) < 2:
            raise ValueError("a % that no two hex digits follow")
        out.append(int(part[:2].decode(), 16))
        out.extend(part[2:])
    return bytes(out).decode()
