"""Judges a world by what physically left its flasks. Nothing here asks the product what it thinks of itself."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from protocol import topics
from protocol.states import job_outcome
from services.ledger.audit import audit
from services.ledger.held import JOB_SETTLED
from services.mqtt import Delivery
from simulators.flask import flowed_mg
from simulators.servos import MAX_LATE_MS
from simulators.truth import JAMMED, Opening, newest_state
from tests.simulation.plan import FLOWS_MG_PER_S, RESTORE

if TYPE_CHECKING:
    from tests.simulation.world import World

# Dead letters that no fault of a plan explains: a message that could not be read, or a defect in settling it.
_NEVER = ("unsettled", "malformed", "bad_topic", "too_large")

# What is a state, and so retained. A command that came again at each connect would be one too many.
_RETAINED = ("status", "progress", "completion", "config", "firmware", "stock")


class Judge:
    """Checks that are made while a world runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ran: dict[tuple[str, str, int], str] = {}
        world.broker.on_route = self.routed

    def receipt(self, payload: bytes) -> list[str]:
        """A receipt is about to go out: what it is for must be committed."""
        said = json.loads(payload)
        kept = self._world.ledger.rows("SELECT rank FROM job WHERE job = ?", said["job"])
        if kept and kept[0][0] >= JOB_SETTLED:
            return []
        letters = self._world.ledger.rows("SELECT payload FROM dead_letter")
        if any(said["job"] in bytes(letter).decode(errors="replace") for (letter,) in letters):
            return []
        return [f"a receipt for {said['job']} went out before its report was committed"]

    def acked(self, batch: Sequence[Delivery]) -> list[str]:
        """Messages are about to be acknowledged: the reports among them must be committed."""
        wrong = []
        for one in batch:
            _, channel, _ = topics.parse(one.topic)
            if channel is topics.COMPLETION and one.payload:
                wrong += self.receipt(one.payload)
        return [text.replace("a receipt for", "the acknowledgement of") for text in wrong]

    def routed(self, topic: str, payload: bytes, retained: bool) -> None:
        """A dispenser says under which number it took or ended a job: it uses each number once."""
        device, channel, _ = topics.parse(topic)
        if retained and channel.name not in _RETAINED:
            self._world.wrong.append(f"{channel.name} of {device} is retained: it would come again at every connect")
        if channel is topics.COMPLETION or channel is topics.ACCEPT:
            said = json.loads(payload)
            if said.get("refusal") is None:
                job = self._ran.setdefault((device, said["epoch"], said["seq"]), said["job"])
                if job != said["job"]:
                    self._world.wrong.append(f"{device} used number {said['seq']} for {job} and {said['job']}")


def unsettled(world: World) -> list[str]:
    """What is still to come, when no fault is left."""
    rows = world.ledger.rows
    waits = [ended for process in world.processes.values() if (ended := process.ended)]
    waits += [f"job {job} is {state}" for job, state in rows("SELECT job, state FROM job WHERE rank < 3")]
    waits += [
        f"job {job} expired and nobody knows whether it ran"
        for (job,) in rows(
            "SELECT j.job FROM job j JOIN device d ON d.device = j.device AND d.epoch = j.epoch "
            "WHERE j.state = 'expired' AND j.says = 'server' AND j.seq IS NOT NULL AND EXISTS "
            "(SELECT 1 FROM job_item i WHERE i.job = j.job AND i.state = 'skipped' AND i.says = 'server')"
        )
    ]
    if world.trying:
        waits.append("somebody is still trying to order")
    if world.restores > world.faults[RESTORE]:
        waits.append("a backup is still to be restored")
    asked = "SELECT device, online, boot, connection, job, last_seq, receipted_seq, resend_left FROM device"
    for device, online, boot, connection, job, last_seq, receipted_seq, resend_left in rows(asked):
        said = json.loads(world.broker.retained.get(topics.STATUS.topic(device), b"{}"))
        if not world.dispensers.boards[device].wifi.online:
            waits.append(f"{device} is not connected")
        elif (said.get("online"), said.get("boot"), said.get("connection")) != (True, boot, connection):
            waits.append(f"{device} says {said}, the ledger knows boot {boot} and connection {connection}")
        flash = newest_state(world.dispensers.boards[device].hardware.flash.read()) if online else None
        if flash is None:
            waits.append(f"{device} is offline")
        elif job is not None or last_seq != receipted_seq or resend_left:
            waits.append(f"{device} has {job} in hand, {receipted_seq} of {last_seq} receipted, {resend_left} requests")
        elif flash.job is not None or flash.unreceipted or flash.last_seq != last_seq:
            waits.append(f"{device} has {flash.job} in flash, {flash.last_seq} jobs done, the ledger knows {last_seq}")
    return waits or shown(world)


def judge(world: World) -> list[str]:
    """What is wrong in the end."""
    with world.ledger.read() as tx:
        wrong = list(audit(tx).problems)
    wrong += _items(world) + _outcomes(world) + _families(world)
    wrong += [f"opened twice: {one}" for one in world.dispensers.truth.double_dispenses()]
    wrong += [f"opened before flash said why: {one}" for one in world.dispensers.truth.unjournaled()]
    for device, flask, reserved_mg in world.ledger.rows("SELECT device, flask, reserved_mg FROM flask"):
        if reserved_mg:
            wrong.append(f"flask {flask} of {device} reserves {reserved_mg} mg for nobody")
    for reason, detail in world.ledger.rows("SELECT reason, detail FROM dead_letter"):
        if reason in _NEVER:
            wrong.append(f"a dead letter: {reason}: {detail}")
    return wrong + shown(world)


def _items(world: World) -> list[str]:
    """Each item of the ledger against the openings that were for it; and none that the ledger does not know."""
    openings: dict[tuple[str, int], list[Opening]] = defaultdict(list)
    for one in world.dispensers.truth.openings:
        if one.job is not None and one.item is not None and one.end != JAMMED:
            openings[one.job, one.item].append(one)
    wrong = []
    asked = (
        "SELECT i.job, i.item, j.device, i.flask, i.state, i.target_mg, i.dispensed_mg, i.resolution, i.resolved_mg "
        "FROM job_item i JOIN job j ON j.job = i.job"
    )
    for job, item, device, flask, state, target_mg, dispensed_mg, resolution, resolved_mg in world.ledger.rows(asked):
        poured = openings.pop((job, item), [])
        left_mg = sum(one.mg for one in poured)
        if any((one.device, one.flask) != (device, flask) for one in poured):
            wrong.append(f"item {item} of {job} was for flask {flask} of {device}, and opened {poured}")
        if resolution is not None:
            low = high = resolved_mg
        elif state in ("done", "failed"):
            low = high = dispensed_mg or 0
        elif state == "in_doubt":
            flow = next(one.flow_mg_per_s for one in world.specs[device].flasks if one.flask == flask)
            low, high = 0, target_mg + flowed_mg(MAX_LATE_MS + 1, flow)
        else:
            low = high = 0
        if not low <= left_mg <= high:
            wrong.append(f"item {item} of {job} is {state}, which means {low} to {high} mg, and {left_mg} mg left")
    return wrong + [
        f"item {item} of {job} is not in the ledger, and {sum(one.mg for one in poured)} mg left"
        for (job, item), poured in openings.items()
    ]


def _outcomes(world: World) -> list[str]:
    """A job that its dispenser reported is what its items are."""
    states: dict[tuple[str, str], list[str]] = defaultdict(list)
    asked = (
        "SELECT j.job, j.state, i.state FROM job j JOIN job_item i ON i.job = j.job WHERE j.says = 'device' "
        "ORDER BY j.job, i.item"
    )
    for job, state, item_state in world.ledger.rows(asked):
        states[job, state].append(item_state)
    return [
        f"job {job} is {state}, its items are {items}"
        for (job, state), items in states.items()
        if job_outcome(items) != state
    ]


def _families(world: World) -> list[str]:
    """An item and its retries together give no more than was ordered, but for what the gates are late."""
    given: dict[tuple[str, int], list[int]] = defaultdict(list)
    truth = world.dispensers.truth
    asked = "SELECT job, item, origin_job, origin_item FROM job_item"
    for job, item, origin_job, origin_item in world.ledger.rows(asked):
        poured = [one.mg for one in truth.of_item(job, item)]
        given[origin_job or job, item if origin_item is None else origin_item] += poured
    late_mg = flowed_mg(MAX_LATE_MS + 1, max(FLOWS_MG_PER_S))
    targets = {(job, item): mg for job, item, mg in world.ledger.rows("SELECT job, item, target_mg FROM job_item")}
    return [
        f"item {item} of {job} and its retries gave {sum(poured)} mg of {targets[job, item]}"
        for (job, item), poured in given.items()
        if (job, item) in targets and sum(poured) > targets[job, item] + late_mg * len(poured)
    ]


def shown(world: World) -> list[str]:
    """What the retained stock says, and what a screen shows, is what the ledger has."""
    wrong = [] if world.screen is None else world.screen.differs(world.ledger)
    for device, flask, stock_mg, reserved_mg in world.ledger.rows(
        "SELECT device, flask, stock_mg, reserved_mg FROM flask"
    ):
        said = world.broker.retained.get(topics.STOCK.topic(device, flask))
        shown = json.loads(said) if said is not None else {}
        if (shown.get("stock_mg"), shown.get("reserved_mg")) != (stock_mg, reserved_mg):
            wrong.append(f"flask {flask} of {device} has {stock_mg} mg, the live views are told {shown}")
    return wrong
