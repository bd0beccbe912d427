"""The live feed over WebSockets: `/ws/live` for the board and the stock, `/ws/jobs/{id}` for one job."""

import json

from anyio import CancelScope, create_task_group, fail_after, move_on_after, to_thread
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from dashboard.channel import Viewer
from dashboard.deps import Dashboard, dashboard, user_of
from dashboard.live import NothingToWatch, TooManyViewers
from dashboard.security import own_origin
from services.ledger.database import DatabaseUnavailable

# A browser calls the link lost after 3.5 s of silence, so that people see it within 5.
BEAT_S = 1.5

# A browser speaks every 5 s; one that misses four times is gone, whatever TCP still believes.
SILENCE_S = 20.0

# Close codes of our own, and what the page does: 4401 asks for a sign-in, 4404 and 4403 end; others try again.
NOT_SIGNED_IN = 4401
OTHER_SITE = 4403
NO_SUCH_JOB = 4404
TRY_LATER = 1013

router = APIRouter()


@router.websocket("/ws/live")
async def live(socket: WebSocket) -> None:
    """Every dispenser, flask and recent job."""
    await _serve(socket, None)


@router.websocket("/ws/jobs/{job}")
async def live_job(socket: WebSocket, job: str) -> None:
    """One job, its items and its dispenser."""
    await _serve(socket, job)


async def _serve(socket: WebSocket, job: str | None) -> None:
    deps = dashboard(socket)
    await socket.accept()
    if not own_origin(socket.headers, deps.public_url):
        await socket.close(OTHER_SITE)
        return
    try:
        if await to_thread.run_sync(user_of, socket) is None:
            await socket.close(NOT_SIGNED_IN)
            return
        async with deps.feed.watch(job) as viewer:
            await _converse(socket, viewer, deps)
    except NothingToWatch:
        await socket.close(NO_SUCH_JOB)
    except (TooManyViewers, DatabaseUnavailable):
        await socket.close(TRY_LATER)


async def _converse(socket: WebSocket, viewer: Viewer, deps: Dashboard) -> None:
    async with create_task_group() as tasks:
        tasks.start_soon(_send, socket, viewer, deps, tasks.cancel_scope)
        await _listen(socket, viewer)
        tasks.cancel_scope.cancel()


async def _send(socket: WebSocket, viewer: Viewer, deps: Dashboard, conversation: CancelScope) -> None:
    try:
        while True:
            frame = None
            with move_on_after(BEAT_S):
                frame = await viewer.next()
            await socket.send_text(frame or json.dumps({"type": "beat", "now_ms": deps.now_ms()}))
    except WebSocketDisconnect:
        conversation.cancel()


async def _listen(socket: WebSocket, viewer: Viewer) -> None:
    """Ends when the browser leaves or falls silent."""
    try:
        while True:
            with fail_after(SILENCE_S):
                said = await socket.receive_text()
            if said == "snapshot":
                viewer.restart()
    except (WebSocketDisconnect, TimeoutError):
        return
