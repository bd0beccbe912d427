"""Sign in by a one-time link; sign out."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from dashboard.deps import Deps
from dashboard.rendering import render
from dashboard.security import SESSION_COOKIE, SESSION_COOKIE_S
from services import people

router = APIRouter()


@router.get("/sign-in/{token}")
async def ask(request: Request, token: str) -> HTMLResponse:
    """One button. Opening the page does not use the link up: chat programs open links to preview them."""
    return render(request, "sign_in.html")


@router.post("/sign-in/{token}")
def redeem(request: Request, deps: Deps, token: str) -> Response:
    """Use the link up and begin a session."""
    session = people.redeem(deps.database, token, deps.now_ms())
    if session is None:
        return render(request, "signed_out.html", 410, used=True)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        SESSION_COOKIE,
        session,
        max_age=SESSION_COOKIE_S,
        path="/",
        secure=deps.secure_cookie,
        httponly=True,
        samesite="strict",
    )
    return response


@router.post("/sign-out")
def sign_out(request: Request, deps: Deps) -> Response:
    """End the session."""
    token = request.cookies.get(SESSION_COOKIE)
    if token:
        people.end_session(deps.database, token)
    response = RedirectResponse("/", 303)
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response
