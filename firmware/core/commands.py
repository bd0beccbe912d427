"""What the broker brings: offers, cancellations, receipts, configuration; each answered at once or ignored.

Nothing here trusts its input: a message is a valid record for this dispenser and its flash, or it changes nothing.
"""

import json

from firmware.core.history import Kept
from firmware.core.job import Item, Job
from firmware.core.journal import Journal
from firmware.core.outbox import ACCEPT, STATUS, Outbox
from firmware.core.packets import Publish
from firmware.core.ports import Port
from firmware.core.reports import Reports
from firmware.core.runner import Runner
from firmware.core.session import Session
from protocol import codec, topics
from protocol.limits import MAX_COUNT
from protocol.messages import (
    CancelJob,
    CompletionReceived,
    ConfigureDispenser,
    JobAccepted,
    OfferJob,
    ResendCompletions,
    StatusReported,
)


class Commands:
    """Applies inbound messages to the journal and the job in hand."""

    __slots__ = (
        "_accepting",
        "_device",
        "_journal",
        "_outbox",
        "_reports",
        "_rival",
        "_runner",
        "_session",
        "presence_due",
        "rivals",
        "status_due",
    )

    def __init__(
        self, device: str, journal: Journal, runner: Runner, session: Session, outbox: Outbox, reports: Reports
    ) -> None:
        self._device = device
        self._journal = journal
        self._runner = runner
        self._session = session
        self._outbox = outbox
        self._reports = reports
        self._accepting = 0  # version of the journal that holds a job not yet accepted; 0: none
        self.presence_due = False
        """The dispenser saw itself offline: its status has to be published under the new connection number."""
        self.status_due = False
        """An older last will, or that of another board, came after the present status: newcomers would take us for
        offline."""
        self._rival = None  # type: tuple[str, int, int] | None
        self.rivals = 0
        """How often another dispenser had signed in under this name since this one was last online."""

    def handle(self, now_ms: int, message: Publish, out: "list[Port]") -> None:
        """Apply one message and acknowledge it: at once, or when what it changed is in flash."""
        before = self._journal.version
        try:
            device, channel, _flask = topics.parse(message.topic)
            if device == self._device:
                self._apply(now_ms, channel.name, message.payload, out)
        except (topics.BadTopic, codec.Malformed):
            pass  # acknowledged all the same: sent again, it would be no better
        held = self._accepting or self._journal.version != before
        self._session.acknowledge(now_ms, message.packet_id, self._journal.version if held else 0, out)

    def state_saved(self, now_ms: int) -> None:
        """The state is in flash: a job that came with it is accepted."""
        job = self._journal.job
        if job is not None and self._accepting and self._journal.saved_version >= self._accepting:
            self._accepting = 0
            self._answer(now_ms, job.id, job.seq, None)

    def save_failed(self, now_ms: int) -> None:
        """The state could not be saved: a job that was to be accepted is refused."""
        job = self._journal.job
        if job is not None and self._accepting:
            self._accepting = 0
            self._journal.give_back()
            self._runner.job_ended()
            self._answer(now_ms, job.id, job.seq, "flash_full")

    def _apply(self, now_ms: int, channel: str, payload: bytes, out: "list[Port]") -> None:
        journal = self._journal
        if channel == "offer":
            self._offer(now_ms, payload)
        elif channel == "cancel":
            self._cancel(now_ms, codec.decode(CancelJob, payload), out)
        elif channel == "receipt":
            receipt = codec.decode(CompletionReceived, payload)
            if receipt.epoch == journal.epoch and journal.receipt(receipt.job, receipt.seq):
                self._outbox.receipted(receipt.seq)
        elif channel == "resend":
            from_seq = codec.decode(ResendCompletions, payload).from_seq
            journal.resend(from_seq)
            for kept in journal.history.due():
                if kept.seq >= from_seq:
                    self._outbox.put_completion(kept.seq, kept.payload)
        elif channel == "config":
            journal.configure(codec.decode(ConfigureDispenser, payload))
        elif channel == "status":
            self._own_status(codec.decode(StatusReported, payload))

    def _offer(self, now_ms: int, payload: bytes) -> None:
        try:
            offer = codec.decode(OfferJob, payload)
        except codec.Malformed:
            named = _named(payload)
            if named is not None and not self._is_known(now_ms, named[0], named[1]):
                self._answer(now_ms, named[0], named[1], "invalid")
            return
        if offer.epoch != self._journal.epoch:
            self._answer(now_ms, offer.job, offer.seq, "wrong_epoch")
        elif not self._is_known(now_ms, offer.job, offer.seq):
            kept = self._journal.history.of_job(offer.job)
            refusal = "stale_seq" if kept is not None else self._refusal(offer.seq)
            if refusal is not None:
                self._answer(now_ms, offer.job, offer.seq, refusal)
                if kept is not None:
                    # It ended here under another number: to run it again would be to dispense twice.
                    self._repeat(kept)
                return
            items = [Item(one.flask, one.target_mg, open_ms=one.open_ms) for one in offer.items]
            self._journal.take(Job(offer.job, offer.seq, items))
            self._accepting = self._journal.version

    def _is_known(self, now_ms: int, job: str, seq: int) -> bool:
        """Whether that very job is or was here; then it is answered from the journal."""
        in_hand = self._journal.job
        if in_hand is not None and (in_hand.id, in_hand.seq) == (job, seq):
            if not self._accepting:
                self._answer(now_ms, job, seq, None)
            return True
        kept = self._journal.history.find(job, seq)
        if kept is not None:
            self._repeat(kept)
        return kept is not None

    def _refusal(self, seq: int) -> "str | None":
        journal = self._journal
        if seq <= journal.last_seq:
            return "stale_seq"
        if journal.job is not None:
            return "busy"
        if journal.is_failing():
            return "flash_full"
        return None if journal.has_room() else "busy"

    def _cancel(self, now_ms: int, cancel: CancelJob, out: "list[Port]") -> None:
        journal = self._journal
        if cancel.epoch != journal.epoch:
            return
        job = journal.job
        if job is not None and (job.id, job.seq) == (cancel.job, cancel.seq):
            self._runner.stop(out)
            return
        kept = journal.history.find(cancel.job, cancel.seq)
        if kept is not None:
            self._repeat(kept)
        elif cancel.seq <= journal.last_seq:
            # Nothing is known of it here, and nothing ever will be.
            self._answer(now_ms, cancel.job, cancel.seq, "stale_seq")
        elif journal.has_room():
            # The offer may still be on its way: from now on its number is used up.
            journal.keep(cancel.job, cancel.seq, self._reports.completion(now_ms, cancel.job, cancel.seq, []))

    def _own_status(self, status: StatusReported) -> None:
        """Our own status comes back. A last will in its place would leave us offline for ever."""
        session = self._session
        signed_in = (status.epoch, status.boot, status.connection)
        if status.epoch != self._journal.epoch and session.connects > 1 and signed_in != self._rival:
            # Before the first time online it is the last word of a board that this one replaces. A broker that lost
            # newer ones in a crash says that one again, and may say it twice; another dispenser has a new number.
            self._rival = signed_in
            self.rivals += 1
        newer = status.connection > session.connection or (
            not status.online and status.connection == session.connection
        )
        if status.epoch == self._journal.epoch and status.boot > self._journal.boot:
            # Flash lost what it had of newer boots. Under an old number nobody would believe a word of this one.
            self._journal.boot = min(status.boot + 1, MAX_COUNT)
            self._journal.touch(in_both=True)
            self.presence_due = True
        elif status.epoch == self._journal.epoch and status.boot == self._journal.boot and newer:
            session.connection = min(status.connection, MAX_COUNT)
            session.next_connection()
            self.presence_due = True
        elif not status.online and not self._outbox.is_waiting(STATUS):
            self.status_due = True

    def _repeat(self, kept: Kept) -> None:
        """Publish a completion again; and the newest after it, which has to stay the retained one."""
        self._outbox.put_completion(kept.seq, kept.payload)
        newest = self._journal.history.newest()
        if newest is not None:
            self._outbox.put_completion(newest.seq, newest.payload)

    def _answer(self, now_ms: int, job: str, seq: int, refusal: "str | None") -> None:
        self._outbox.put(ACCEPT, self._reports.accept(now_ms, job, seq, refusal))


def _named(payload: bytes) -> "tuple[str, int] | None":
    """(job, seq) of an offer that is otherwise malformed, if at least they can be read."""
    try:
        values = json.loads(str(payload, "utf-8"))
        if not isinstance(values, dict):
            return None
        named = [field.check(values.get(field.name)) for field in JobAccepted.FIELDS[:2]]
    except (ValueError, RuntimeError):  # BadValue is a ValueError; RuntimeError: nested too deep
        return None
    return str(named[0]), named[1] if isinstance(named[1], int) else 0
