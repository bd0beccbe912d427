"""What the messages and the ledger say about one job, folded so that order and repeats do not matter."""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.messages import ItemProgressed, JobAccepted, JobCompleted, OfferJob
from protocol.states import JOB_ENDS, item_rank, job_rank
from services.ledger.views import ItemView, JobView


@dataclass(slots=True)
class JobPicture:
    """A job that somebody looks at: the ledger's view, carried forward by what the dispenser says meanwhile.

    `settled` is True while the ledger says the same: after a message it is False until the receipt.
    """

    view: JobView
    since_ms: dict[int, int | None]
    flow_mg_per_s: dict[int, int]
    refusal: str | None = None
    settled: bool = True

    def offered(self, offer: OfferJob) -> bool:
        """Dispatch sent the job to its dispenser."""
        return self._move("offered")

    def answered(self, accepted: JobAccepted) -> bool:
        """The dispenser has the job in its flash, or refused it for now."""
        if accepted.refusal is not None:
            changed = self.refusal != accepted.refusal
            self.refusal = accepted.refusal
            return changed
        changed = self.refusal is not None
        self.refusal = None
        return self._move("running") or changed

    def progressed(self, flask: int, report: ItemProgressed, since_ms: int | None) -> bool:
        """One item moved. A report of a lower or equal rank changes nothing."""
        moved = self._report(
            report.item, flask, report.state, report.dispensed_mg, report.duration_ms, report.error, since_ms
        )
        return self._move("running") or moved

    def completed(self, completion: JobCompleted, now_ms: int) -> bool:
        """The dispenser's last word. It is shown at once, and as settled when the ledger has it."""
        moved = False
        for report in completion.items:
            moved |= self._report(
                report.item, report.flask, report.state, report.dispensed_mg, report.duration_ms, report.error, now_ms
            )
        return self._move(completion.state, ended_at_ms=now_ms) or moved

    def settle(self, view: JobView) -> bool:
        """The ledger was read. An ended job is as it says; of an open one, the dispenser may have said more."""
        before = (self.view, self.settled)
        if view.state in JOB_ENDS:
            self.view, self.settled, self.refusal = view, True, None
        else:
            items = tuple(map(_further, view.items, self.view.items))
            further = job_rank(self.view.state) > job_rank(view.state)
            state = self.view.state if further else view.state
            self.view = view.model_copy(
                update={"items": items, "state": state, "ended_at_ms": self.view.ended_at_ms if further else None}
            )
            self.settled = not further and items == view.items
        return before != (self.view, self.settled)

    def _report(
        self, item: int, flask: int, state: str, dispensed_mg: int | None, duration_ms: int | None, error: str | None,
        since_ms: int | None,
    ) -> bool:  # fmt: skip  # the same fields in the same order as the two messages that carry them
        if item >= len(self.view.items):
            return False
        last = self.view.items[item]
        if last.flask != flask or item_rank(state) <= item_rank(last.state):
            return False
        now = last.model_copy(
            update={"state": state, "dispensed_mg": dispensed_mg, "duration_ms": duration_ms, "error": error}
        )
        items = (*self.view.items[:item], now, *self.view.items[item + 1 :])
        self.view = self.view.model_copy(update={"items": items})
        self.since_ms[item] = since_ms
        self.settled = False
        return True

    def _move(self, state: str, ended_at_ms: int | None = None) -> bool:
        if job_rank(state) <= job_rank(self.view.state):
            return False
        self.view = self.view.model_copy(update={"state": state, "ended_at_ms": ended_at_ms})
        self.settled = False
        return True


def job_value(picture: JobPicture) -> Mapping[str, object]:
    """The `job` value of the feed."""
    view = picture.view
    return {
        "job": view.job,
        "device": view.device,
        "state": view.state,
        "settled": picture.settled,
        "refusal": picture.refusal if view.state in ("queued", "offered") else None,
        "stopping": view.cancel_requested_at_ms is not None and view.state not in JOB_ENDS,
        "ended_at_ms": view.ended_at_ms,
        **counts(view),
    }


def item_values(picture: JobPicture) -> dict[str, Mapping[str, object]]:
    """The `item/<n>` values of the feed."""
    values: dict[str, Mapping[str, object]] = {}
    for item in picture.view.items:
        values[f"item/{item.item}"] = {
            "state": item.state,
            "target_mg": item.target_mg,
            "dispensed_mg": item.dispensed_mg,
            "duration_ms": item.duration_ms,
            "error": item.error,
            "resolution": item.resolution,
            "since_ms": picture.since_ms.get(item.item),
            "flow_mg_per_s": picture.flow_mg_per_s.get(item.flask),
        }
    return values


def summary_value(view: JobView) -> Mapping[str, object]:
    """The `job/<id>` value of the feed, for lists of jobs."""
    return {"device": view.device, "state": view.state, "placed_at_ms": view.placed_at_ms, **counts(view)}


def counts(view: JobView) -> dict[str, int]:
    """How many flasks are done, of how many, and how much came out."""
    return {
        "flasks": len(view.items),
        "done": sum(item.state == "done" for item in view.items),
        "target_mg": sum(item.target_mg for item in view.items),
        "dispensed_mg": sum(item.dispensed_mg or 0 for item in view.items),
    }


def _further(ledger: ItemView, live: ItemView) -> ItemView:
    return ledger if item_rank(ledger.state) >= item_rank(live.state) else live
