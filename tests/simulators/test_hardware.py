"""The parts that outlive a power cut."""

import random

from protocol.fields import Record
from protocol.messages import TelemetryReported
from simulators.faults import FixedFaults, Strikes
from simulators.flash import Flash
from simulators.hardware import Hardware


def telemetry(rssi_dbm: int, free_heap_bytes: int) -> Record:
    return TelemetryReported(
        rssi_dbm=rssi_dbm,
        free_heap_bytes=free_heap_bytes,
        uptime_ms=1,
        reconnects=0,
        outage_ms=0,
        flash_writes=0,
        round_trip_ms=None,
    )


def test_readings_differ_are_the_same_for_the_same_seed_and_fit_the_protocol() -> None:
    def readings(seed: int) -> list[str]:
        hardware = Hardware({}, Flash(), Strikes(FixedFaults()), random.Random(seed))
        samples = [hardware.sample() for _ in range(100)]
        return [repr(telemetry(sample.rssi_dbm, sample.free_heap_bytes)) for sample in samples]

    assert readings(1) == readings(1) != readings(2)
    assert len(set(readings(1))) > 50
