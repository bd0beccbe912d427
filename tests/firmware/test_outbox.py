"""The outbox: latest per topic, in order, and gone only when that very message was acknowledged."""

from hypothesis import given
from hypothesis import strategies as st

from firmware.core.outbox import ACCEPT, STATUS, Outbox, progress_of


def drain(outbox: Outbox) -> list[bytes]:
    found = []
    while (message := outbox.next()) is not None:
        found.append(message.payload)
        outbox.acknowledged()
    return found


def test_status_goes_first_then_accept_progress_and_completions_by_number() -> None:
    outbox = Outbox()
    outbox.put_completion(9, b"c9")
    outbox.put_completion(3, b"c3")
    outbox.put(progress_of(2), b"p2")
    outbox.put(ACCEPT, b"a")
    outbox.put(progress_of(1), b"p1")
    outbox.put(STATUS, b"s")
    assert drain(outbox) == [b"s", b"a", b"p1", b"p2", b"c3", b"c9"]
    assert outbox.is_empty()


def test_a_newer_message_takes_the_place_of_one_that_waits() -> None:
    outbox = Outbox()
    outbox.put(progress_of(1), b"old")
    outbox.put(progress_of(1), b"new")
    assert drain(outbox) == [b"new"]


def test_an_acknowledgement_does_not_remove_what_came_while_it_was_on_its_way() -> None:
    outbox = Outbox()
    outbox.put(progress_of(1), b"old")
    assert outbox.next() is not None
    outbox.put(progress_of(1), b"new")
    outbox.acknowledged()
    assert drain(outbox) == [b"new"]


def test_what_was_on_its_way_when_the_connection_went_goes_again_as_its_newest() -> None:
    outbox = Outbox()
    outbox.put(progress_of(1), b"old")
    assert outbox.next() is not None
    outbox.lost()
    outbox.put(progress_of(1), b"new")
    assert drain(outbox) == [b"new"]


def test_only_one_message_is_on_its_way() -> None:
    outbox = Outbox()
    outbox.put(STATUS, b"s")
    outbox.put(ACCEPT, b"a")
    assert outbox.next() is not None
    assert outbox.next() is None
    assert not outbox.is_empty()


def test_a_receipted_completion_need_not_go_unless_it_has_to_stay_the_retained_one() -> None:
    outbox = Outbox()
    outbox.put_completion(3, b"c3")
    outbox.put_completion(4, b"c4")
    outbox.put_completion(5, b"c5")
    outbox.receipted(4)
    outbox.receipted(5)
    assert drain(outbox) == [b"c3", b"c5"]
    outbox.put_completion(5, b"c5")
    outbox.receipted(5)
    assert outbox.is_empty()


def test_progress_knows_its_flask_and_its_topic() -> None:
    outbox = Outbox()
    outbox.put(progress_of(16), b"p")
    message = outbox.next()
    assert message is not None
    assert message.channel.topic("dev", message.flask) == "pitada/v1/dev/flask/16/progress"


@given(st.lists(st.tuples(st.integers(0, 17), st.sampled_from(["put", "next", "ack", "lost"])), max_size=200))
def test_it_never_holds_more_than_one_message_a_topic_and_never_sends_older_after_newer(
    moves: list[tuple[int, str]],
) -> None:
    outbox = Outbox()
    sent: dict[int, int] = {}
    for count, (key, move) in enumerate(moves):
        if move == "put":
            outbox.put(key, str(count).encode())
        elif move == "next":
            message = outbox.next()
            if message is not None:
                assert int(message.payload) >= sent.get(message.key, 0)
                sent[message.key] = int(message.payload)
        elif move == "ack":
            outbox.acknowledged()
        else:
            outbox.lost()
        assert len(outbox._waiting) <= 18
