"""Health says what is missing, since when, and nothing that is nobody's business."""

from services.health import SILENT_MS, WORDS, Health, report


class Clock:
    at_ms = 1_000

    def __call__(self) -> int:
        return self.at_ms


def test_it_is_down_until_the_service_has_worked_once() -> None:
    health = Health("ingest", Clock())
    assert report([health]) == (
        503,
        {
            "status": "down",
            "services": {"ingest": {"status": "down", "since_ms": 1_000, "why": "it is starting"}},
        },
    )
    health.up()
    assert report([health]) == (200, {"status": "ok", "services": {"ingest": {"status": "ok", "since_ms": 1_000}}})


def test_it_names_the_missing_part_and_since_when_and_keeps_the_error_for_the_log() -> None:
    clock = Clock()
    health = Health("dispatch", clock)
    health.up()
    clock.at_ms = 5_000
    health.down("broker", "connection to secret-host refused")
    clock.at_ms = 9_000
    health.down("broker", "again")
    assert health.picture() == {"status": "down", "since_ms": 5_000, "why": WORDS["broker"]}
    health.down("database", "password authentication failed")
    assert health.picture() == {"status": "down", "since_ms": 5_000, "why": WORDS["database"]}
    health.up()
    assert health.picture() == {"status": "ok", "since_ms": 9_000}


def test_a_service_that_no_longer_says_that_it_works_is_down() -> None:
    clock = Clock()
    health = Health("ingest", clock)
    health.up()
    clock.at_ms += SILENT_MS
    assert health.picture()["status"] == "ok"
    clock.at_ms += 1
    assert health.picture() == {"status": "down", "since_ms": 1_000, "why": "it hangs; its log says on what"}


def test_one_service_that_is_down_makes_the_whole_answer_503() -> None:
    well, ill = Health("ingest", Clock()), Health("dispatch", Clock())
    well.up()
    ill.down("database", "")
    status, body = report([well, ill])
    assert (status, body["status"]) == (503, "down")
    assert report([]) == (200, {"status": "ok", "services": {}})
