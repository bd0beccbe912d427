"""Whether the services of this process can do their work. Anybody may ask, so it says little."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from dashboard.deps import Deps
from services.health import report

router = APIRouter()


@router.get("/healthz")
async def healthz(deps: Deps) -> JSONResponse:
    """200 when every service is ok, else 503: which one is not, why, and since when."""
    status, body = report(deps.health)
    return JSONResponse(body, status)
