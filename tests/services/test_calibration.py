"""Calibration: a timed opening, the weight, the new flow; priming: an order for so many seconds."""

import pytest

from protocol import codec, topics
from protocol.messages import ConfigureDispenser, ItemReport, JobCompleted, OfferedItem, OfferJob
from services import calibration
from services.calibration import CalibrationRefused
from services.devices import FlaskChange, FlaskSetup, claim, configure
from services.ledger import calibrations, queries
from services.ledger.settle import Incoming
from services.ledger.views import CalibrationView, JobView
from services.orders import NotEnoughStock, NothingToRetry, UnknownDispenser, UnknownFlask
from tests.services.conftest import Kitchen

OPEN_MS = 3000


def begin(kitchen: Kitchen, flask: int = 1, open_ms: int = OPEN_MS, device: str = "mix-1") -> JobView:
    return calibration.start(
        kitchen.database, device, flask, open_ms=open_ms, now_ms=kitchen.now_ms, job_id=next(kitchen.ids), by="ana"
    )


def weigh(kitchen: Kitchen, job: str, weighed_mg: int) -> CalibrationView:
    kitchen.now_ms += 1
    found = calibration.finish(kitchen.database, job, weighed_mg, now_ms=kitchen.now_ms, by="bia")
    kitchen.audit()
    return found


def report(kitchen: Kitchen, job: str, state: str, **values: int | str | None) -> None:
    """The dispenser's word on the only item."""
    view = kitchen.job(job)
    item = view.items[0]
    given = {"dispensed_mg": None, "duration_ms": OPEN_MS, "error": None, **values}
    one = ItemReport(item=0, flask=item.flask, state=state, target_mg=item.target_mg, **given)  # type: ignore[arg-type]  # mixed on purpose
    ended = {"in_doubt": "failed", "done": "done", "failed": "failed", "skipped": "cancelled"}[state]
    done = JobCompleted(
        job=job,
        seq=view.seq or 0,
        state=ended,
        items=(one,),
        epoch="aaaaaaaa",
        boot=1,
        ms=kitchen.now_ms - 1_800_000_000_000,
    )
    kitchen.settle(Incoming(topics.COMPLETION.topic("mix-1"), codec.encode(done)))


def run(kitchen: Kitchen, config_version: int = 1) -> str:
    """A calibration whose opening was reported."""
    job = begin(kitchen).job
    kitchen.status(config_version=config_version)
    kitchen.due()
    kitchen.accept(job)
    report(kitchen, job, "in_doubt")
    return job


def test_the_offer_asks_for_the_time_and_the_ledger_reserves_the_most_that_may_come(kitchen: Kitchen) -> None:
    begin(kitchen)
    kitchen.status()
    (offer,) = kitchen.due()
    assert isinstance(offer.message, OfferJob)
    assert offer.message.items == (OfferedItem(flask=1, target_mg=60_000, open_ms=OPEN_MS),)
    assert kitchen.flask(1)["reserved_mg"] == 60_000


def test_the_weight_leaves_the_stock_and_becomes_the_flow_with_its_history(kitchen: Kitchen) -> None:
    job = run(kitchen)
    assert kitchen.flask(1)["stock_mg"] == 1_000_000
    found = weigh(kitchen, job, 36_600)
    assert (found.open_ms, found.weighed_mg, found.flow_before_mg_per_s, found.flow_mg_per_s) == (
        OPEN_MS, 36_600, 10_000, 12_200,
    )  # fmt: skip
    assert (kitchen.flask(1)["stock_mg"], kitchen.flask(1)["reserved_mg"]) == (963_400, 0)
    weigh(kitchen, run(kitchen, config_version=2), 37_500)
    with kitchen.database.read() as tx:
        history = calibrations.history(tx, "mix-1", 1)
        assert calibrations.history(tx, "mix-1", 2) == ()
        assert [one.kind for one in queries.movements(tx, "mix-1", 1)] == ["resolve", "resolve", "refill"]
    assert [(one.flow_before_mg_per_s, one.flow_mg_per_s, one.by) for one in history] == [
        (12_200, 12_500, "bia"),
        (10_000, 12_200, "bia"),
    ]


def test_the_dispenser_is_told_the_new_flow(kitchen: Kitchen) -> None:
    weigh(kitchen, run(kitchen), 36_600)
    (told,) = kitchen.due(after_ms=5000)
    assert isinstance(told.message, ConfigureDispenser)
    assert told.message.version == 2
    assert [one.flow_mg_per_s for one in told.message.flasks] == [12_200, 10_000, 10_000]


def test_a_flask_without_a_flow_can_be_calibrated_and_not_primed(kitchen: Kitchen) -> None:
    configure(kitchen.database, "mix-1", [FlaskChange(2, flow_mg_per_s=0)])
    with pytest.raises(CalibrationRefused, match="Calibrate it"):
        calibration.prime(kitchen.database, "mix-1", 2, open_ms=2000, now_ms=1, job_id="p", by="ana")
    job = begin(kitchen, 2).job
    kitchen.status(config_version=2)
    kitchen.due()
    kitchen.accept(job)
    report(kitchen, job, "in_doubt")
    assert weigh(kitchen, job, 24_000).flow_mg_per_s == 8_000
    primed = calibration.prime(
        kitchen.database, "mix-1", 2, open_ms=2000, now_ms=kitchen.now_ms, job_id=next(kitchen.ids), by="ana"
    )
    assert primed.items[0].target_mg == 16_000


def test_what_was_primed_leaves_the_stock_like_any_order(kitchen: Kitchen) -> None:
    job = calibration.prime(
        kitchen.database, "mix-1", 1, open_ms=2000, now_ms=kitchen.now_ms, job_id=next(kitchen.ids), by="ana"
    ).job
    kitchen.run(job, ("done", 20_000))
    assert kitchen.flask(1)["stock_mg"] == 980_000


def test_a_load_cell_weighs_by_itself_and_the_ledger_is_not_debited_twice(kitchen: Kitchen) -> None:
    job = begin(kitchen).job
    kitchen.status()
    kitchen.due()
    kitchen.accept(job)
    report(kitchen, job, "done", dispensed_mg=30_300)
    with pytest.raises(CalibrationRefused, match="30300 mg itself"):
        weigh(kitchen, job, 30_000)
    assert weigh(kitchen, job, 30_300).flow_mg_per_s == 10_100
    assert kitchen.flask(1)["stock_mg"] == 969_700


@pytest.mark.parametrize(
    ("state", "values", "says"),
    [
        ("in_doubt", {"duration_ms": None, "error": "interrupted"}, "nobody knows how long"),
        ("failed", {"dispensed_mg": 0, "duration_ms": 0, "error": "jammed"}, "did not open"),
    ],
)
def test_an_opening_without_a_time_tells_no_flow(
    kitchen: Kitchen, state: str, values: dict[str, int | str | None], says: str
) -> None:
    job = begin(kitchen).job
    kitchen.status()
    kitchen.due()
    kitchen.accept(job)
    with pytest.raises(CalibrationRefused, match="wait until"):
        weigh(kitchen, job, 100)
    report(kitchen, job, state, **values)
    with pytest.raises(CalibrationRefused, match=says):
        weigh(kitchen, job, 100)
    assert kitchen.flask(1)["flow_mg_per_s"] == 10_000


def test_a_weight_counts_once_and_only_a_possible_one(kitchen: Kitchen) -> None:
    job = run(kitchen)
    with pytest.raises(CalibrationRefused, match="is no flow"):
        weigh(kitchen, job, 0)
    weigh(kitchen, job, 36_600)
    with pytest.raises(CalibrationRefused, match="resolved already"):
        weigh(kitchen, job, 36_600)
    assert kitchen.flask(1)["stock_mg"] == 963_400


def test_a_calibration_is_never_retried_as_an_order(kitchen: Kitchen) -> None:
    job = run(kitchen)
    weigh(kitchen, job, 36_600)
    with pytest.raises(NothingToRetry):
        kitchen.retry(job)


def test_an_order_is_no_calibration(kitchen: Kitchen) -> None:
    ordered = kitchen.place((1, 500))
    with pytest.raises(CalibrationRefused, match="is no calibration"):
        weigh(kitchen, ordered.job, 100)
    with pytest.raises(CalibrationRefused, match="There is no job"):
        weigh(kitchen, "nothing", 100)


def test_what_cannot_be_opened_is_refused(kitchen: Kitchen) -> None:
    with pytest.raises(UnknownDispenser):
        begin(kitchen, device="nobody")
    with pytest.raises(UnknownFlask):
        begin(kitchen, 9)
    with pytest.raises(CalibrationRefused, match="1 to 60000 ms"):
        begin(kitchen, open_ms=60_001)
    claim(
        kitchen.database, "empty", name="empty", flasks=[FlaskSetup(1, "salt", 1000)], now_ms=kitchen.now_ms, by="ana"
    )
    with pytest.raises(NotEnoughStock):
        begin(kitchen, device="empty")
