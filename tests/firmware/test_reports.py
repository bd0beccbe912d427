"""What a dispenser says of itself."""

from firmware.core.journal import Journal
from firmware.core.reports import Reports
from firmware.core.session import Session
from protocol import codec
from protocol.messages import StatusReported, TelemetryReported
from tests.firmware.bench import Bench


def new_reports() -> Reports:
    journal = Journal()
    journal.load({}, lambda bits: (1 << bits) - 1)
    session = Session("dev-1", "secret", lambda _bits: 0)
    session.next_connection()
    return Reports("1.2.3", journal, session)


def test_an_unknown_reset_cause_is_reported_as_such() -> None:
    reports = new_reports()
    reports.booted("cosmic ray")
    assert codec.decode(StatusReported, reports.status(0, True, None)).reset_cause == "unknown"
    reports.booted("watchdog")
    assert codec.decode(StatusReported, reports.status(0, True, None)).reset_cause == "watchdog"


def test_readings_outside_the_protocol_are_brought_to_its_bounds() -> None:
    telemetry = codec.decode(TelemetryReported, new_reports().telemetry(5, -300, -1))
    assert (telemetry.rssi_dbm, telemetry.free_heap_bytes) == (-127, 0)
    assert (telemetry.reconnects, telemetry.round_trip_ms) == (0, None)


def test_the_birth_and_the_last_will_carry_the_same_boot_and_connection(bench: Bench) -> None:
    assert bench.broker.will is not None
    will = codec.decode(StatusReported, bench.broker.will[1])
    birth = bench.status()
    assert not will.online
    assert (will.epoch, will.boot, will.connection) == (birth.epoch, birth.boot, birth.connection)


def test_telemetry_comes_every_minute_and_counts(bench: Bench) -> None:
    bench.run(limit_ms=125_000)
    found = [one.record for one in bench.sent("telemetry") if isinstance(one.record, TelemetryReported)]
    assert len(found) == 3
    assert found[-1].uptime_ms >= 120_000
    assert found[-1].flash_writes == 2
    assert found[-1].round_trip_ms == 5
    bench.drop_link()
    bench.online()
    bench.run(lambda: len(bench.sent("telemetry")) == 4)
    last = bench.sent("telemetry")[-1].record
    assert isinstance(last, TelemetryReported)
    assert last.reconnects == 1
    assert last.outage_ms > found[-1].outage_ms
