"""Percentiles of recoveries, and which of them another kill fell into."""

from tests.chaos.recoveries import Recovery, summary


def test_a_kill_into_which_another_fell_is_told_apart() -> None:
    found = summary([Recovery("ingest", 0, 1), Recovery("dispatch", 5, 9), Recovery("ingest", 8, 2)])
    assert (found["kills"], found["p50"], found["max"]) == (3, 2, 9)
    assert found["undisturbed"] == {"kills": 2, "p50": 1.5, "p99": 2, "max": 2}
    assert {victim: each["max"] for victim, each in found["by_victim"].items()} == {"dispatch": 9, "ingest": 2}


def test_one_is_all_its_percentiles_and_none_has_none() -> None:
    assert summary([Recovery("ingest", 0, 1)])["undisturbed"] == {"kills": 1, "p50": 1, "p99": 1, "max": 1}
    assert summary([]) == {"kills": 0, "undisturbed": {"kills": 0}, "by_victim": {}}
