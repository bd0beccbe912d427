"""The dashboard's REST API, as an operator's script uses it: signed in by a link, every order with a key of its own.

Each call is one request and blocks: call it in a thread.
"""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from http.cookiejar import CookieJar
from typing import Any, NamedTuple

from services.ledger.views import JobView

# A dashboard that is busy with 10,000 dispensers may take a moment.
_ANSWER_S = 30.0


class ApiUnreachable(Exception):
    """The dashboard does not answer, or broke while it did: the same again may succeed."""


class ApiRefused(Exception):
    """The dashboard said no. The text is its reason."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status = status
        self.code = code
        super().__init__(detail)


class Item(NamedTuple):
    """So much from that flask."""

    flask: int
    target_mg: int


class Api:
    """`url` is where people open the dashboard; `new_link_token()` makes a sign-in link, as `pitada link` does."""

    def __init__(self, url: str, new_link_token: Callable[[], str]) -> None:
        self._url = url.rstrip("/")
        self._new_link_token = new_link_token
        self._http = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPCookieProcessor(CookieJar()))

    def sign_in(self) -> None:
        """Open the link and press its button, as a person does. Raises `ApiUnreachable`, `ApiRefused`."""
        self._call("POST", f"/sign-in/{self._new_link_token()}")

    def place(self, device: str, items: Sequence[Item], key: str) -> JobView:
        """Order a job. The same `key` again, after an answer that was lost, gives the same job."""
        wanted = {"device": device, "items": [item._asdict() for item in items]}
        return JobView(**self._signed_in("POST", "/api/v1/jobs", wanted, {"Idempotency-Key": key}))

    def jobs(self, limit: int, before: str | None = None) -> list[JobView]:
        """The newest jobs, or those before that one."""
        query = urllib.parse.urlencode({"limit": limit, **({} if before is None else {"before": before})})
        return [JobView(**job) for job in self._signed_in("GET", f"/api/v1/jobs?{query}")]

    def job(self, job: str) -> JobView:
        """One job."""
        return JobView(**self._signed_in("GET", f"/api/v1/jobs/{job}")["job"])

    def _signed_in(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        try:
            return self._call(method, path, body, headers)
        except ApiRefused as refused:
            if refused.status != 401:
                raise
        self.sign_in()
        return self._call(method, path, body, headers)

    def _call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  # the dashboard's own address, http or https
            self._url + path, data, {"Content-Type": "application/json", **(headers or {})}, method=method
        )
        try:
            with self._http.open(request, timeout=_ANSWER_S) as answer:
                return json.loads(answer.read()) if answer.status < 300 else None
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error, self._url) from None
        except (OSError, http.client.HTTPException) as error:
            raise ApiUnreachable(f"The dashboard at {self._url} does not answer: {error}.") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The sign-in ends with a redirect to the board, which a script has no use for."""

    def http_error_303(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        return fp


def _refusal(error: urllib.error.HTTPError, url: str) -> Exception:
    if error.code >= 500:
        return ApiUnreachable(f"The dashboard at {url} answers {error.code}.")
    try:
        problem = json.loads(error.read())
        return ApiRefused(error.code, str(problem.get("code")), str(problem.get("detail")))
    except (ValueError, AttributeError):
        return ApiRefused(error.code, "http", f"{url} answers {error.code} {error.reason}.")
