"""Every state and movement has words."""

from dashboard import words
from protocol.states import ITEM_STATES, JOB_STATES
from services.ledger.tables import MOVEMENT_KINDS


def test_every_item_and_job_state_has_a_word_with_an_icon() -> None:
    assert set(words.ITEM_WORDS) == set(ITEM_STATES)
    assert set(words.JOB_WORDS) == set(JOB_STATES)


def test_two_states_never_look_and_read_the_same() -> None:
    for table in (words.ITEM_WORDS, words.JOB_WORDS):
        assert len({(word.icon, word.label) for word in table.values()}) == len(table)


def test_every_kind_of_movement_has_a_word() -> None:
    assert set(words.MOVEMENT_WORDS) == set(MOVEMENT_KINDS)
