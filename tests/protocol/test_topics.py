"""Topics are built and parsed by one table."""

import pytest

from protocol import topics


@pytest.mark.parametrize("channel", topics.CHANNELS, ids=lambda channel: channel.name)
def test_every_topic_parses_back_to_its_channel(channel: topics.Channel) -> None:
    flask = 7 if "{flask}" in channel.path else None
    assert topics.parse(channel.topic("kitchen-1", flask)) == ("kitchen-1", channel, flask)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "pitada",
        "pitada/v1/kitchen-1",
        "pitada/v2/kitchen-1/status",
        "other/v1/kitchen-1/status",
        "pitada/v1/kitchen-1/nothing",
        "pitada/v1/kitchen-1/status/more",
        "pitada/v1/kitchen-1/flask/0/progress",
        "pitada/v1/kitchen-1/flask/17/progress",
        "pitada/v1/kitchen-1/flask/01/progress",
        "pitada/v1/kitchen-1/flask/1/nothing",
        "pitada/v1/kitchen-1/flask/{flask}/progress",
        "pitada/v1/Kitchen/status",
        "pitada/v1/ab/status",
        "pitada/v1/+/status",
        "pitada/v1//status",
        "/pitada/v1/kitchen-1/status",
    ],
)
def test_anything_else_is_refused_by_name(topic: str) -> None:
    with pytest.raises(topics.BadTopic):
        topics.parse(topic)


def test_levels_use_the_characters_that_every_broker_takes() -> None:
    for channel in topics.CHANNELS:
        assert (
            not channel.topic("kitchen-1", 3)
            .replace("/", "")
            .replace("-", "")
            .replace("_", "")
            .strip("abcdefghijklmnopqrstuvwxyz0123456789")
        )


def test_commands_are_never_retained_and_states_are() -> None:
    retained = {channel.name for channel in topics.CHANNELS if channel.retained}
    assert retained == {"status", "progress", "completion", "config", "firmware", "stock"}
    assert {channel.name for channel in topics.CHANNELS if channel.qos == 0} == {"telemetry"}
