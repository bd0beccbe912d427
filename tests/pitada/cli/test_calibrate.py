"""Calibrate and prime, as a shell sees it."""

from sqlalchemy import update

from protocol import codec, topics
from protocol.messages import ItemReport, JobCompleted
from services.ledger import tables
from services.ledger.database import Database
from services.ledger.settle import Incoming, settle
from tests.pitada.cli.conftest import Run, data, refused


def report(ledger: Database, job: str, error: str | None = None) -> None:
    """The dispenser `kitchen` opened the flask of that job for 3 s, unless there is an error."""
    state = "in_doubt" if error is None else "failed"
    one = ItemReport(
        item=0,
        flask=1,
        state=state,
        target_mg=60_000,
        dispensed_mg=None if error is None else 0,
        duration_ms=3000 if error is None else 0,
        error=error,
    )
    record = JobCompleted(job=job, seq=1, state="failed", items=(one,), epoch="aaaaaaaa", boot=1, ms=5)
    with ledger.write() as tx:
        tx.execute(update(tables.device).values(epoch="aaaaaaaa", next_seq=2))
        tx.execute(update(tables.job).values(state="offered", rank=1, seq=1, epoch="aaaaaaaa"))
        assert settle(tx, [Incoming(topics.COMPLETION.topic("kitchen"), codec.encode(record))], 1).dead_letters == 0


def begun(pitada: Run) -> str:
    """The job of a calibration that its dispenser has not run yet."""
    data(pitada("devices", "claim", "kitchen", "1=Salt:500", "--json"))
    said = refused(pitada("calibrate", "kitchen", "1", "--wait", "0", "--seconds", "0.1"))
    assert "has not opened flask 1 yet" in said
    return said.split("--job ")[1].split("`")[0]


def test_the_weight_is_asked_for_and_becomes_the_flow(pitada: Run, ledger: Database) -> None:
    job = begun(pitada)
    with ledger.write() as tx:
        tx.execute(update(tables.job_item).values(target_mg=60_000))
        tx.execute(update(tables.flask).values(reserved_mg=60_000))
    report(ledger, job)
    ended = pitada("calibrate", "kitchen", "1", "--job", job, says="24.3\n")
    assert ended.returncode == 0, ended.stderr
    assert "was open for 3.00 s" in ended.stderr
    assert "flows 8,100 mg/s; before: not known" in ended.stdout
    (kept,) = data(pitada("calibrations", "kitchen", "1", "--json"))
    assert (kept["weighed_mg"], kept["flow_mg_per_s"], kept["job"]) == (24_300, 8_100, job)
    assert "8100" in pitada("calibrations", "kitchen", "1").stdout
    assert data(pitada("stock", "--json"))[0]["stock_mg"] == 475_700
    assert data(pitada("audit", "--json"))["divergences"] == 0
    primed = data(pitada("prime", "kitchen", "1", "--seconds", "2", "--json"))
    assert primed["items"][0]["target_mg"] == 16_200
    assert "16.2 g through flask 1 of kitchen" in pitada("prime", "kitchen", "1", "--seconds", "2").stdout
    ledger.close()


def test_an_opening_that_failed_says_why_and_what_to_do(pitada: Run, ledger: Database) -> None:
    job = begun(pitada)
    with ledger.write() as tx:
        tx.execute(update(tables.job_item).values(target_mg=60_000))
        tx.execute(update(tables.flask).values(reserved_mg=60_000))
    report(ledger, job, "jammed")
    assert "Too little came out" in refused(pitada("calibrate", "kitchen", "1", "--job", job, "--grams", "3"))
    assert "no job x" in refused(pitada("calibrate", "kitchen", "1", "--job", "x", "--grams", "3"))
    assert "Calibrate it" in refused(pitada("prime", "kitchen", "1"))
    assert pitada("calibrations", "kitchen", "1").stdout.strip() == "Not calibrated yet: `pitada calibrate`."
    ledger.close()
