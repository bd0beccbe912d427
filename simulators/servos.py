"""The servo board: opens and closes the gates of one dispenser's flasks, and measures how long they were open."""

import asyncio
from collections.abc import Callable

from firmware.core.ports import FlaskClosed, FlaskFailed, OpenFlask, Port
from simulators.flask import Flask, GateMisused
from simulators.truth import CLOSED, JAMMED, POWER_LOST, STOPPED, Opening, Purpose

# How long the board waits for a gate to move before it calls it jammed.
JAM_NOTICE_MS = 100

# A servo is up to this much late, differently each time; so what a dispenser reports must come from the measured time.
MAX_LATE_MS = 2


class Servos:
    """The gates of one dispenser. Facts go to `answer`; what physically happened goes to `witness`."""

    __slots__ = ("_answer", "_device", "_flasks", "_loop", "_open", "_report", "_witness")

    def __init__(
        self,
        device: str,
        flasks: dict[int, Flask],
        answer: Callable[[Port], None],
        witness: Callable[[Opening], None],
    ) -> None:
        self._device = device
        self._flasks = flasks
        self._answer = answer
        self._witness = witness
        self._loop = asyncio.get_running_loop()
        self._report: asyncio.TimerHandle | None = None
        self._open: dict[int, tuple[Purpose, tuple[asyncio.TimerHandle, ...]]] = {}

    @property
    def any_open(self) -> bool:
        """Whether a gate is open."""
        return bool(self._open)

    def open(self, order: OpenFlask, purpose: Purpose, jammed: bool = False, power_ms: int | None = None) -> None:
        """Arm the close and the limit, then open.

        `jammed`: the gate sticks this time. `power_ms`: power will go so far into the opening; the gate closes then,
        also when this process is late to cut it.
        Raises `GateMisused` when a gate is open already: a dispenser opens one flask at a time.
        """
        if self._open:
            raise GateMisused(f"{self._device} opens flask {order.flask} while flask {next(iter(self._open))} is open")
        flask = self._flasks.get(order.flask)
        if flask is None:
            self._report = self._later(0, self._answer, FlaskFailed(order.flask, "servo_fault", 0))
            return
        now_ms = self._now_ms()
        timed_ms = order.open_ms + purpose.number % (MAX_LATE_MS + 1)
        flask.jammed = jammed
        for_ms = min(timed_ms, order.limit_ms)
        if not flask.open(now_ms, for_ms if power_ms is None else min(for_ms, power_ms)):
            self._witness(Opening(self._device, order.flask, *purpose, now_ms, 0, 0, JAMMED))
            self._report = self._later(JAM_NOTICE_MS, self._answer, FlaskFailed(order.flask, "jammed", 0))
            return
        timers = (
            self._later(timed_ms, self._finish, order.flask, CLOSED),
            self._later(order.limit_ms, self._finish, order.flask, STOPPED),
        )
        self._open[order.flask] = (purpose, timers)

    def close(self, flask: int) -> None:
        """Close the gate now; the measured time follows. Closed already: its timer was first, nothing happens."""
        self._finish(flask, STOPPED)

    def power_off(self) -> None:
        """The springs close every gate; nobody is left to hear how long it was open."""
        if self._report is not None:
            self._report.cancel()
        for flask in list(self._open):
            self._shut(flask, POWER_LOST)

    def _finish(self, flask: int, end: str) -> None:
        opening = self._shut(flask, end)
        if opening is not None:
            weighed_mg = opening.mg if self._flasks[flask].load_cell else None
            self._answer(FlaskClosed(flask, opening.open_ms, weighed_mg))

    def _shut(self, flask: int, end: str) -> Opening | None:
        purpose, timers = self._open.pop(flask, (None, ()))
        for timer in timers:
            timer.cancel()
        poured = self._flasks[flask].close(self._now_ms()) if purpose else None
        if purpose is None or poured is None:
            return None
        opening = Opening(self._device, flask, *purpose, *poured, end)
        self._witness(opening)
        return opening

    def _later(self, ms: int, call: Callable[..., None], *arguments: object) -> asyncio.TimerHandle:
        return self._loop.call_later(ms / 1000, call, *arguments)

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)
