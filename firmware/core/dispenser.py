"""The dispenser without its hardware: facts in, orders out.

`Dispenser` joins the parts and decides their turn: the flask first, then flash, then the network; and nothing that
blocks while a flask is open.
"""

from firmware.core import session as sessions
from firmware.core.commands import Commands
from firmware.core.job import Item, Job
from firmware.core.journal import STATE, Journal
from firmware.core.outbox import STATUS, Outbox, progress_of
from firmware.core.packets import Publish, Suback
from firmware.core.ports import (
    Booted,
    Disconnect,
    FlaskClosed,
    FlaskFailed,
    Linked,
    LinkLost,
    Port,
    Received,
    Sample,
    Sampled,
    Saved,
    Say,
    StopPressed,
)
from firmware.core.reports import Reports
from firmware.core.runner import Runner
from firmware.core.session import Session
from protocol import codec, topics
from protocol.limits import COMPLETION_RETRY_MS
from protocol.messages import DEVICE_ID, JobCompleted, StatusReported

try:
    from typing import Callable
except ImportError:  # MicroPython has no typing; only type checkers look at this
    pass

# Telemetry is for trends; a minute is often enough for those and costs a fleet of 10,000 but 170 messages a second.
SAMPLE_EVERY_MS = 60_000

# Once could be what a broker that was killed had not yet forgotten. Two dispensers of one name meet again in seconds.
RIVALS = 2


class Dispenser:
    """One dispenser. No clock, no I/O: the caller carries out the orders and comes back with what happened.

    `device` is the MQTT user name, client id and topic level; `firmware` the version to report; `random_bits(n)` gives
    n random bits (n up to 32). Raises `BadValue` when a name is not allowed by the protocol.
    """

    __slots__ = (
        "_commands",
        "_device",
        "_is_booted",
        "_journal",
        "_outbox",
        "_random_bits",
        "_renew",
        "_repeat_at_ms",
        "_reports",
        "_runner",
        "_sample_at_ms",
        "_session",
        "_status_told",
    )

    def __init__(self, device: str, password: str, firmware: str, random_bits: "Callable[[int], int]") -> None:
        DEVICE_ID.check(device)
        for field in StatusReported.FIELDS:
            if field.name == "firmware":
                field.check(firmware)
        self._device = device
        self._random_bits = random_bits
        self._journal = Journal()
        self._runner = Runner(self._journal)
        self._session = Session(device, password, random_bits)
        self._outbox = Outbox()
        self._reports = Reports(firmware, self._journal, self._session)
        self._commands = Commands(device, self._journal, self._runner, self._session, self._outbox, self._reports)
        self._is_booted = False
        self._renew = False  # the broker's last will has an older connection number than our status
        self._repeat_at_ms = 0
        self._sample_at_ms = 0
        self._status_told = None  # type: object

    def step(self, now_ms: int, fact: Port) -> "tuple[list[Port], int | None]":
        """What to do about a fact, in order; and when to come back with `Woke` at the latest, None: no need to.

        Facts before `Booted` are ignored. Never raises for anything that flash, broker or board can bring.
        """
        out = []  # type: list[Port]
        if not self._is_booted:
            if not isinstance(fact, Booted):
                return out, None
            self._boot(now_ms, fact, out)
        self._take(now_ms, fact, out)
        self._carry_on(now_ms, out)
        return out, self._wake_at_ms(now_ms)

    def shows(self) -> str:
        """For a light on the board: `fault`, `online` or `offline`."""
        if self._fault() is not None:
            return "fault"
        return "online" if self._session.is_online() else "offline"

    def _boot(self, now_ms: int, fact: Booted, out: "list[Port]") -> None:
        self._is_booted = True
        for problem in self._journal.load(fact.slots, self._random_bits):
            out.append(Say("error", problem))
        self._reports.booted(fact.reset_cause)
        self._tell_last_job(now_ms)
        self._session.start(now_ms)

    def _take(self, now_ms: int, fact: Port, out: "list[Port]") -> None:
        if isinstance(fact, Received):
            self._receive(now_ms, fact.data, out)
        elif isinstance(fact, Saved):
            self._saved(now_ms, fact, out)
        elif isinstance(fact, FlaskClosed):
            self._runner.closed(now_ms, fact.flask, fact.open_ms, fact.dispensed_mg)
        elif isinstance(fact, FlaskFailed):
            self._runner.failed(now_ms, fact.flask, fact.error, fact.open_ms, fact.dispensed_mg)
        elif isinstance(fact, Linked):
            self._link(now_ms, out)
        elif isinstance(fact, LinkLost):
            self._session.lost(now_ms, fact.by_broker)
        elif isinstance(fact, StopPressed):
            self._runner.stop(out)
        elif isinstance(fact, Sampled) and self._session.is_online():
            payload = self._reports.telemetry(now_ms, fact.rssi_dbm, fact.free_heap_bytes)
            self._session.publish_once(now_ms, topics.TELEMETRY.topic(self._device), payload, False, out)

    def _link(self, now_ms: int, out: "list[Port]") -> None:
        if self._session.state == sessions.CONNECTING:
            self._session.next_connection()
            will = self._reports.status(now_ms, False, self._fault())
            self._session.linked(now_ms, topics.STATUS.topic(self._device), will, out)
        else:
            # A stream that was given up opened after all: nobody waits for it.
            out.append(Disconnect())
            self._session.lost(now_ms)

    def _receive(self, now_ms: int, data: bytes, out: "list[Port]") -> None:
        self._session.feed(now_ms, data)
        while True:
            packet = self._session.take(now_ms, out)
            if packet is None:
                return
            if isinstance(packet, Publish):
                self._commands.handle(now_ms, packet, out)
            elif isinstance(packet, Suback):
                self._online(now_ms)
            else:
                self._outbox.acknowledged()

    def _online(self, now_ms: int) -> None:
        self._renew = self._commands.presence_due = False
        self._tell_status(now_ms)
        self._repeat_completions(now_ms)
        self._sample_at_ms = now_ms

    def _saved(self, now_ms: int, fact: Saved, out: "list[Port]") -> None:
        had_job = self._journal.job
        kind = self._journal.saved(now_ms, fact.slot, fact.ok)
        if not kind:
            return
        if not fact.ok:
            out.append(Say("error", f"{fact.slot} could not be saved: free or replace the flash"))
        if kind == STATE and fact.ok:
            self._commands.state_saved(now_ms)
            self._session.release(now_ms, self._journal.saved_version, out)
        elif kind == STATE:
            self._commands.save_failed(now_ms)
            self._runner.save_failed()
        if had_job is not None and self._journal.job is None:
            self._runner.job_ended()

    def _carry_on(self, now_ms: int, out: "list[Port]") -> None:
        """Everything that may be due, in the order of its weight."""
        session = self._session
        journal = self._journal
        session.tick(now_ms, out)
        if not session.is_online():
            self._outbox.lost()
        self._tell(now_ms)
        # With the first bytes comes the TLS handshake, which takes a second or two of the chip's only core.
        self._runner.advance(now_ms, session.state not in (sessions.CONNECTING, sessions.GREETING), out)
        self._end_job(now_ms)
        if not self._runner.is_open:
            journal.pump(now_ms, out)
        if self._may_connect():
            session.connect(now_ms, out)
        if session.is_online():
            self._publish(now_ms, out)

    def _tell(self, now_ms: int) -> None:
        """Hand what flash says to the outbox. What is not in flash is not told."""
        journal = self._journal
        if journal.is_clean():
            job = journal.job
            if job is not None:
                for position, item in enumerate(job.items):
                    if item.fresh:
                        item.fresh = False
                        self._outbox.put(progress_of(item.flask), self._reports.progress(now_ms, job, position))
            newest = journal.history.newest()
            if journal.fresh and newest is not None:
                for kept in journal.fresh:
                    self._outbox.put_completion(kept.seq, kept.payload)
                self._outbox.put_completion(newest.seq, newest.payload)
                journal.fresh = []
                self._repeat_at_ms = now_ms + COMPLETION_RETRY_MS
        if self._session.is_online():
            if self._commands.presence_due:
                self._commands.presence_due = False
                self._renew = True
                self._tell_status(now_ms)
            elif self._commands.status_due or self._status_told != self._status_key():
                self._tell_status(now_ms)

    def _tell_last_job(self, now_ms: int) -> None:
        """Power may have gone before the last states of the flasks were published: they are retained, so tell again."""
        kept = self._journal.history.newest()
        if kept is not None and kept in self._journal.history.waiting():
            report = codec.decode(JobCompleted, kept.payload)
            items = [
                Item(one.flask, one.target_mg, one.state, one.dispensed_mg, one.duration_ms, one.error)
                for one in report.items
            ]
            job = Job(report.job, report.seq, items)
            for position, item in enumerate(items):
                self._outbox.put(progress_of(item.flask), self._reports.progress(now_ms, job, position))

    def _end_job(self, now_ms: int) -> None:
        """Save the completion of a job whose end is in flash, as soon as there is room for it."""
        job = self._journal.job
        if job is not None and job.is_over() and self._journal.is_clean() and self._journal.has_room():
            self._journal.keep(job.id, job.seq, self._reports.completion(now_ms, job.id, job.seq, job.items))

    def _publish(self, now_ms: int, out: "list[Port]") -> None:
        session = self._session
        if now_ms >= self._repeat_at_ms:
            self._repeat_completions(now_ms)
        if now_ms >= self._sample_at_ms:
            self._sample_at_ms = now_ms + SAMPLE_EVERY_MS
            out.append(Sample())
        if session.can_publish():
            message = self._outbox.next()
            if message is not None:
                topic = message.channel.topic(self._device, message.flask)
                session.publish(now_ms, topic, message.payload, message.channel.retained, out)
            elif self._renew and not self._runner.is_busy():
                # Power may go before the next session is there, and with this one the broker forgets its last will.
                offline = self._reports.status(now_ms, False, self._fault())
                session.publish(now_ms, topics.STATUS.topic(self._device), offline, True, out)
                session.leave(now_ms, out)

    def _repeat_completions(self, now_ms: int) -> None:
        self._repeat_at_ms = now_ms + COMPLETION_RETRY_MS
        for kept in self._journal.history.due():
            self._outbox.put_completion(kept.seq, kept.payload)

    def _tell_status(self, now_ms: int) -> None:
        self._status_told = self._status_key()
        self._commands.status_due = False
        self._outbox.put(STATUS, self._reports.status(now_ms, True, self._fault()))

    def _status_key(self) -> "object":
        """What makes a new status worth publishing when it changes."""
        return (self._journal.shown, self._journal.config_version, self._fault())

    def _fault(self) -> "str | None":
        if self._journal.is_failing():
            return "flash_full"
        if self._commands.rivals >= RIVALS:
            return "name_taken"
        return "servo_fault" if self._runner.servo_fault else None

    def _may_connect(self) -> bool:
        """The boot counter is in flash (or flash is broken, which has to be told), and no flask opens."""
        journal = self._journal
        return (journal.saved_version > 0 or journal.is_failing()) and not self._runner.is_busy()

    def _wake_at_ms(self, now_ms: int) -> "int | None":
        """The earliest time at which something is due that no fact will bring about."""
        wakes = []  # type: list[int]
        session = self._session
        if session.state != sessions.OFF or self._may_connect():
            wakes.append(session.wake_at_ms())
        if session.is_online():
            wakes.append(self._sample_at_ms)
            if self._journal.history.unreceipted:
                wakes.append(self._repeat_at_ms)
        for wake in (self._journal.wake_at_ms(), self._runner.wake_at_ms(now_ms)):
            if wake is not None:
                wakes.append(wake)
        return min(wakes) if wakes else None
