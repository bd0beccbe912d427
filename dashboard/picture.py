"""What the messages and the ledger say about one dispenser, folded so that order and repeats do not matter."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.messages import ItemProgressed, JobAccepted, StatusReported, StockChanged
from protocol.states import DEVICE, item_rank
from services.ledger.views import DispenserView, FlaskView

# A board is replaced a few times in its life; older names than these cannot come back in a retained message.
REMEMBERED_EPOCHS = 16

# Of one connection, any report of the dispenser's own is later than the ledger's copy of it.
_LEDGER_MS = -1


@dataclass(frozen=True, slots=True)
class Presence:
    """The dispenser's latest status, or as much of it as the ledger keeps."""

    online: bool
    epoch: str | None
    boot: int
    connection: int
    ms: int
    firmware: str | None
    job: str | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The latest item on a flask. `since_ms` is when this server first heard of the state; None when it cannot know."""

    report: ItemProgressed
    since_ms: int | None


@dataclass(slots=True)
class DispenserPicture:
    """One dispenser on the board. Every method says whether the picture changed."""

    view: DispenserView
    presence: Presence
    since_ms: int | None
    seen_at_ms: int | None
    refusal: str | None
    flasks: dict[int, FlaskView]
    progress: dict[int, Progress] = field(default_factory=dict)
    _past_epochs: list[str] = field(default_factory=list)
    _told: set[int] = field(default_factory=set)  # flasks that a message moved since the ledger was read

    def heard(self, status: StatusReported, now_ms: int, *, retained: bool) -> bool:
        """A status or last will arrived. An older one, a late will or a repeat changes nothing."""
        presence = Presence(
            status.online, status.epoch, status.boot, status.connection, status.ms, status.firmware, status.job,
            status.fault,
        )  # fmt: skip  # one line a field would be longer than the class itself
        return self._take(presence, None if retained else now_ms)

    def progressed(self, flask: int, report: ItemProgressed, now_ms: int, *, retained: bool) -> bool:
        """An item changed its state on a flask. Only a higher job number, or a higher rank in it, is news."""
        last = self.progress.get(flask)
        if report.epoch in self._past_epochs or (last is not None and not _later(report, last.report)):
            return False
        self.progress[flask] = Progress(report, None if retained else now_ms)
        return True

    def stocked(self, flask: int, message: StockChanged) -> bool:
        """The ledger moved a flask's stock or its reservations."""
        last = self.flasks.get(flask)
        if last is None or message.revision < last.revision:
            return False
        self._told.add(flask)
        self.flasks[flask] = last.model_copy(
            update={
                "revision": message.revision,
                "ingredient": message.ingredient,
                "stock_mg": message.stock_mg,
                "reserved_mg": message.reserved_mg,
                "available_mg": message.stock_mg - message.reserved_mg,
                "needs_count": message.stock_mg < 0,
            }
        )
        return self.flasks[flask] != last

    def answered(self, accepted: JobAccepted) -> bool:
        """The dispenser took or refused a job."""
        changed = self.refusal != accepted.refusal
        self.refusal = accepted.refusal
        return changed

    def seen(self, now_ms: int) -> None:
        """Anything arrived from the dispenser itself, just now."""
        self.seen_at_ms = max(now_ms, self.seen_at_ms or 0)

    def reread(self, view: DispenserView) -> None:
        """The ledger was read again. What was said since then stands, until it is read once more.

        A flask's message may be newer than what was read a moment before; after that only a ledger that was set back to
        a backup has an older revision, and it is right.
        """
        self.view = view
        self.refusal = view.refusal
        self.seen_at_ms = max(view.seen_at_ms or 0, self.seen_at_ms or 0) or None
        self._take(_presence(view), view.seen_at_ms)
        self.flasks = {
            flask.flask: self.flasks[flask.flask]
            if flask.flask in self._told and self.flasks[flask.flask].revision > flask.revision
            else flask
            for flask in view.flasks
        }
        self._told.clear()

    def _take(self, presence: Presence, at_ms: int | None) -> bool:
        last = self.presence
        if presence == last or not _newer(presence, last, self._past_epochs):
            return False
        if last.epoch and presence.epoch != last.epoch:
            self._past_epochs = [*self._past_epochs, last.epoch][-REMEMBERED_EPOCHS:]
        if presence.online != last.online:
            self.since_ms = at_ms
        self.presence = presence
        return True


def picture_of(view: DispenserView) -> DispenserPicture:
    """The picture that the ledger alone gives."""
    return DispenserPicture(
        view=view,
        presence=_presence(view),
        since_ms=view.seen_at_ms if not view.online else None,
        seen_at_ms=view.seen_at_ms,
        refusal=view.refusal,
        flasks={flask.flask: flask for flask in view.flasks},
    )


def dispenser_value(picture: DispenserPicture) -> Mapping[str, object]:
    """The `device/<id>` value of the feed."""
    presence = picture.presence
    return {
        "name": picture.view.name,
        "online": presence.online,
        "since_ms": picture.since_ms,
        "seen_at_ms": picture.seen_at_ms,
        "fault": presence.fault,
        "refusal": picture.refusal,
        "job": presence.job if presence.online else picture.view.job,
        "firmware": presence.firmware,
    }


def flask_value(picture: DispenserPicture, flask: int) -> Mapping[str, object]:
    """The `flask/<id>/<n>` value of the feed."""
    view = picture.flasks[flask]
    value = view.model_dump(exclude={"device", "flask"})
    progress = picture.progress.get(flask)
    value["item"] = item_value(progress) if progress else None
    return value


def item_value(progress: Progress) -> Mapping[str, object]:
    """What is known of the item that a flask works on, or worked on last."""
    report = progress.report
    return {
        "job": report.job,
        "item": report.item,
        "state": report.state,
        "target_mg": report.target_mg,
        "dispensed_mg": report.dispensed_mg,
        "duration_ms": report.duration_ms,
        "error": report.error,
        "since_ms": progress.since_ms,
    }


def _presence(view: DispenserView) -> Presence:
    return Presence(
        view.online, view.epoch, view.boot or 0, view.connection or 0, _LEDGER_MS, view.firmware, view.job, view.fault
    )


def _newer(new: Presence, last: Presence, past_epochs: list[str]) -> bool:
    """Whether `new` is the later word: see `StatusReported` for the rule."""
    if last.epoch is None:
        return True
    if new.epoch != last.epoch:
        # A board that begins says that it is online. A last will alone may be that of one which was replaced.
        begins = new.online or new.ms == _LEDGER_MS
        return begins and new.epoch is not None and new.epoch not in past_epochs
    if (new.boot, new.connection) != (last.boot, last.connection):
        return (new.boot, new.connection) > (last.boot, last.connection)
    if new.online != last.online:
        return last.online  # of one connection, the last will is the last word
    return new.ms > last.ms or new.ms == last.ms == _LEDGER_MS


def _later(new: ItemProgressed, last: ItemProgressed) -> bool:
    if new.epoch != last.epoch or (new.seq, new.item) != (last.seq, last.item):
        return new.epoch != last.epoch or (new.seq, new.item) > (last.seq, last.item)
    return item_rank(new.state, DEVICE) > item_rank(last.state, DEVICE)
