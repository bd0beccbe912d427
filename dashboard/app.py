"""Builds the app. Nothing is made at import: whoever runs it brings a `Dashboard`."""

from pathlib import Path

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from dashboard import rendering, sockets
from dashboard.api import dispensers, health, jobs, reads, recipes
from dashboard.deps import Dashboard
from dashboard.pages import board, order, sign_in, stock
from dashboard.pages import jobs as job_pages
from dashboard.problems import Problem, respond
from dashboard.refusals import problem_of
from dashboard.security import HEADERS, Guard, NotSignedIn
from services.ledger.database import DatabaseUnavailable
from services.ledger.stock import StockRefused
from services.orders import OrderRefused
from services.recipes import RecipeRefused

_log = structlog.get_logger(__name__)

# A database that was restarted answers after a second or two.
_RETRY_S = 2

STATIC = Path(__file__).with_name("static")
API = "/api/"


def create_app(deps: Dashboard) -> FastAPI:
    """The dashboard. Run `deps.feed.run()` and `subscriber.follow(…)` in the same event loop beside it."""
    app = FastAPI(title="Pitada", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.dashboard = deps
    app.state.templates = rendering.environment()
    app.add_middleware(Guard, public_url=deps.public_url)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for router in (
        board.router,
        job_pages.router,
        order.router,
        stock.router,
        sign_in.router,
        reads.router,
        jobs.router,
        dispensers.router,
        recipes.router,
        health.router,
        sockets.router,
    ):
        app.include_router(router)
    app.add_exception_handler(NotSignedIn, _not_signed_in)
    app.add_exception_handler(dispensers.Refused, dispensers.refused)
    app.add_exception_handler(OrderRefused, _refused)
    app.add_exception_handler(RecipeRefused, _refused)
    app.add_exception_handler(StockRefused, _refused)
    app.add_exception_handler(recipes.VersionNeeded, _version_needed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DatabaseUnavailable, _unavailable)
    app.add_exception_handler(Exception, _broken)
    return app


async def _not_signed_in(request: Request, error: Exception) -> Response:
    if request.url.path.startswith(API):
        return respond(Problem(401, "Not signed in", str(NotSignedIn.__doc__), "not_signed_in"))
    return rendering.render(request, "signed_out.html", 401, used=False)


async def _refused(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if request.url.path.startswith(API):
        return respond(problem)
    return rendering.render(request, "refused.html", problem.status, title=problem.title, detail=problem.detail)


async def _version_needed(request: Request, error: Exception) -> Response:
    return respond(Problem(428, "Which version?", str(recipes.VersionNeeded.__doc__), "version_needed"))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    problem = Problem(422, "Not understood", f"{where}: {first['msg']}.", "invalid")
    if request.url.path.startswith(API):
        return respond(problem)
    return rendering.render(request, "refused.html", 422, title=problem.title, detail=problem.detail)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = Problem(error.status_code, error.detail, f"{request.method} {request.url.path}", "http")
    if request.url.path.startswith(API):
        return respond(problem)
    title = "There is no such page" if error.status_code == 404 else error.detail
    return rendering.render(request, "refused.html", error.status_code, title=title, detail="Go back to the board.")


async def _unavailable(request: Request, error: Exception) -> Response:
    # It passes by itself, or whoever watches the database knows: one line, where an error of ours has its trace.
    _log.warning("asked while the database was away", method=request.method, path=request.url.path, reason=str(error))
    detail = "Try again in a moment. An order with an Idempotency-Key is placed once, however often it is sent."
    problem = Problem(503, "The database does not answer", detail, "database_unavailable")
    response: Response
    if request.url.path.startswith(API):
        response = respond(problem)
    else:
        response = rendering.render(request, "refused.html", 503, title=problem.title, detail="Try again in a moment.")
    response.headers["Retry-After"] = str(_RETRY_S)
    return response


async def _broken(request: Request, error: Exception) -> Response:
    detail = "The dashboard hit an error; its log says which. Nothing was half done. Try again."
    problem = Problem(500, "Something broke here", detail, "internal")
    if request.url.path.startswith(API):
        response: Response = respond(problem)
    else:
        response = rendering.render(request, "refused.html", 500, title=problem.title, detail=detail)
    response.headers.update(HEADERS)  # this handler stands outside the guard
    return response
