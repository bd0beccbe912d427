"""From a message as it came to a fact, without a database."""

from protocol import codec, topics
from protocol.messages import JobAccepted
from services.ledger.facts import Fact, Incoming, Unreadable, read

ACCEPTED = JobAccepted(job="j", seq=1, refusal=None, epoch="aaaaaaaa", boot=1, ms=1)


def test_a_message_is_read_with_its_sender() -> None:
    incoming = Incoming(topics.ACCEPT.topic("d-1"), codec.encode(ACCEPTED))
    assert read(incoming) == Fact("d-1", None, ACCEPTED, incoming)


def test_an_empty_payload_says_nothing_only_where_it_clears_something() -> None:
    for channel in (topics.STATUS, topics.PROGRESS, topics.COMPLETION):
        assert read(Incoming(channel.topic("d-1", 1), b"")) is None
    for channel in (topics.ACCEPT, topics.TELEMETRY):
        assert isinstance(read(Incoming(channel.topic("d-1"), b"")), Unreadable)


def test_only_a_completion_is_receipted_unread() -> None:
    payload = b'{"job":"j","seq":1,"epoch":"aaaaaaaa"}'
    completion = read(Incoming(topics.COMPLETION.topic("d-1"), payload))
    accept = read(Incoming(topics.ACCEPT.topic("d-1"), payload))
    assert isinstance(completion, Unreadable)
    assert isinstance(accept, Unreadable)
    assert completion.receipt is not None
    assert accept.receipt is None
