"""The bounds and counters, and that the page about them is complete."""

from pathlib import Path

from broker.limits import MAX_PACKET_BYTES, Counters, Limits
from protocol.limits import MAX_PAYLOAD_BYTES

PAGE = Path(__file__).parents[2] / "docs" / "brokers.md"


def test_every_counter_is_on_the_page() -> None:
    page = PAGE.read_text()

    assert [name for name in Counters().values() if f"| `{name}` |" not in page] == []


def test_five_kib_fit_so_that_an_oversized_report_reaches_ingest() -> None:
    assert MAX_PACKET_BYTES > 5 * 1024 > MAX_PAYLOAD_BYTES
    assert Limits().packet_bytes == MAX_PACKET_BYTES
