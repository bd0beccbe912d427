"""For dispensers whose network lets no MQTT through: `/api/v1/devices/me`, with the dispenser's own password.

No session and no cookie: every request carries HTTP Basic, the dispenser's id and its MQTT password.
"""

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from dashboard.deps import Dashboard, Deps
from dashboard.problems import Problem, respond
from dashboard.security import DEVICES
from protocol import codec
from protocol.access import DEVICE, role_of
from protocol.fields import Record
from protocol.limits import MAX_PAYLOAD_BYTES
from services import devices, fallback
from services.ledger.dead_letters import KEPT_BYTES
from services.ledger.settle import Settled

router = APIRouter(prefix=DEVICES.rstrip("/"))


class Refused(Exception):
    """A request that is answered with this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


async def refused(request: Request, error: Exception) -> Response:
    """The problem as the answer."""
    assert isinstance(error, Refused)
    answer = respond(error.problem)
    if error.problem.status == 401:
        answer.headers["WWW-Authenticate"] = 'Basic realm="pitada", charset="UTF-8"'
    return answer


def dispenser(request: Request, deps: Deps) -> str:
    """The id of the dispenser that asks, its password verified as the broker does it."""
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        user = password = ""
    if kind.lower() != "basic" or role_of(user) != DEVICE:
        user = ""
    # Checked whatever the name is: the time of an answer tells nothing about names.
    if not devices.verify(deps.database, user, password):
        detail = "Send HTTP Basic with the dispenser's id and its MQTT password."
        raise Refused(Problem(401, "Not this dispenser's password", detail, "bad_password"))
    return user


async def body(request: Request) -> bytes:
    """What was sent, never more than is kept of a dead letter."""
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > KEPT_BYTES:
            raise Refused(_too_large(f"more than {KEPT_BYTES} bytes"))
    return bytes(taken)


Dispenser = Annotated[str, Depends(dispenser)]
Body = Annotated[bytes, Depends(body)]


@router.post("/status")
def status(deps: Deps, device: Dispenser, payload: Body) -> Response:
    """Take a `StatusReported`; answers with what the dispenser has to know."""
    try:
        orders = fallback.report(deps.database, device, payload, deps.now_ms())
    except fallback.NotUnderstood as error:
        raise Refused(_not_understood(error)) from error
    said = {"config": orders.config, "cancel": orders.cancel, "resend": orders.resend}
    values = {name: None if record is None else record.values() for name, record in said.items()}
    return JSONResponse({"online": orders.online, **values})


@router.get("/jobs/next")
def next_job(deps: Deps, device: Dispenser) -> Response:
    """The `OfferJob` to run now, or 204."""
    try:
        offer = fallback.next_offer(deps.database, device, deps.now_ms())
    except fallback.NotPresent as error:
        detail = "Post your status under the next connection number, then ask again."
        raise Refused(Problem(409, "You are offline here", detail, "status_first")) from error
    if offer is None:
        return Response(status_code=204)
    deps.feed.job_changed(offer.job)
    return _message(offer)


@router.post("/jobs/{job}/accept", status_code=204)
def accept(deps: Deps, device: Dispenser, job: str, payload: Body) -> Response:
    """Take a `JobAccepted`: the job is in flash, or it was refused."""
    try:
        settled = fallback.accept(deps.database, device, job, payload, deps.now_ms())
    except fallback.NotUnderstood as error:
        raise Refused(_not_understood(error)) from error
    _show(deps, settled)
    return Response(status_code=204)


@router.post("/jobs/{job}/complete")
def complete(deps: Deps, device: Dispenser, job: str, payload: Body) -> Response:
    """Take a `JobCompleted`; the `CompletionReceived` says that it is kept. The same again is answered the same."""
    try:
        receipt, settled = fallback.complete(deps.database, device, job, payload, deps.now_ms())
    except fallback.NotUnderstood as error:
        raise Refused(_not_understood(error)) from error
    _show(deps, settled)
    return _message(receipt)


def _show(deps: Dashboard, settled: Settled) -> None:
    for job in settled.changed_jobs:
        deps.feed.job_changed(job)


def _message(message: Record) -> Response:
    return Response(codec.encode(message), media_type="application/json")


def _not_understood(error: fallback.NotUnderstood) -> Problem:
    if error.is_too_large:
        return _too_large(str(error))
    detail = f"{error}. It is kept as a dead letter; do not send it again."
    return Problem(422, "Not understood", detail, "malformed")


def _too_large(what: str) -> Problem:
    return Problem(413, "Too large", f"{what}; the limit is {MAX_PAYLOAD_BYTES} bytes.", "too_large")
