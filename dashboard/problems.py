"""Errors of the API: `application/problem+json` (RFC 9457)."""

from dataclasses import dataclass

from starlette.responses import JSONResponse


@dataclass(frozen=True, slots=True)
class Problem:
    """What happened and what to do. `code` is for programs, the rest for people."""

    status: int
    title: str
    detail: str
    code: str


def respond(problem: Problem) -> JSONResponse:
    """The problem as a response."""
    return JSONResponse(
        {
            "type": "about:blank",
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "code": problem.code,
        },
        status_code=problem.status,
        media_type="application/problem+json",
    )
