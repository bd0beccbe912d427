"""Whether the dashboard answers. Says nothing else: anybody may ask."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/v1")


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """It answers."""
    return {"status": "ok"}
