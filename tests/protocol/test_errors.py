"""Every code has words, and the words say what to do."""

import pytest

from protocol import errors
from protocol.fields import Choice
from protocol.messages import ItemReport, JobAccepted, StatusReported


def choices(record: type, name: str) -> set[str]:
    (field,) = [one for one in record.FIELDS if one.name == name]  # type: ignore[attr-defined]  # every record has it
    assert isinstance(field, Choice)
    return set(field.choices)


def test_every_code_that_can_come_has_words_and_no_other() -> None:
    assert choices(ItemReport, "error") == set(errors.ITEM_ERRORS)
    assert choices(JobAccepted, "refusal") == set(errors.REFUSALS)
    assert choices(StatusReported, "fault") == set(errors.FAULTS)


def test_the_local_errors_are_those_of_the_design() -> None:
    assert set(errors.ITEM_ERRORS) == {
        "unknown_flask",
        "not_calibrated",
        "over_limit",
        "jammed",
        "servo_fault",
        "flash_full",
        "interrupted",
        "cancelled",
    }


@pytest.mark.parametrize("words", list(errors.ITEM_ERRORS.values()) + list(errors.FAULTS.values()))
def test_words_say_what_happened_and_then_what_to_do(words: str) -> None:
    sentences = words.rstrip(".").split(". ")
    assert len(sentences) >= 2, words
    verb = sentences[1].split()[0]
    assert verb in ("Calibrate", "Check", "Free", "Restart", "Retry", "Split", "Switch", "Weigh"), words
