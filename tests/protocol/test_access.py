"""The access rules confine a dispenser to itself and every service to its work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import access, topics
from protocol.access import covers, may_publish, may_subscribe, role_of
from protocol.messages import DEVICE_ID

LEVELS = st.lists(st.sampled_from(["a", "b", "+", "#"]), min_size=1, max_size=4)


def is_filter(levels: list[str]) -> bool:
    return "#" not in levels[:-1]


def matches(pattern: str, topic: str) -> bool:
    """MQTT 3.1.1 section 4.7, for topics that do not start with `$`."""
    wanted, given_levels = pattern.split("/"), topic.split("/")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(given_levels) or level not in ("+", given_levels[position]):
            return False
    return len(wanted) == len(given_levels)


@given(
    allowed=LEVELS.filter(is_filter),
    asked=LEVELS.filter(is_filter),
    topic=st.lists(st.sampled_from("ab"), min_size=1, max_size=5),
)
def test_what_is_covered_reads_nothing_that_was_not_allowed(
    allowed: list[str], asked: list[str], topic: list[str]
) -> None:
    if covers("/".join(allowed), "/".join(asked)) and matches("/".join(asked), "/".join(topic)):
        assert matches("/".join(allowed), "/".join(topic))


@pytest.mark.parametrize("asked", ["#", "+/#", "pitada/#", "pitada/v1/#", "pitada/v1/+/status", "pitada/v1/one/#"])
def test_a_dispenser_cannot_widen_its_view_with_wildcards(asked: str) -> None:
    assert not may_subscribe("one", asked)


@pytest.mark.parametrize("channel", topics.CHANNELS, ids=lambda channel: channel.name)
def test_a_dispenser_reaches_only_its_own_topics(channel: topics.Channel) -> None:
    flask = 1 if "{flask}" in channel.path else None
    assert may_publish("one", channel.topic("one", flask)) == (channel.sender == "device")
    assert not may_publish("one", channel.topic("two", flask))
    assert not may_subscribe("one", channel.topic("two", flask))


@pytest.mark.parametrize("channel", topics.CHANNELS, ids=lambda channel: channel.name)
def test_each_topic_has_one_kind_of_sender(channel: topics.Channel) -> None:
    flask = 1 if "{flask}" in channel.path else None
    users = ("one",) + tuple(access.SERVICE_ACCOUNTS) + ("op_ana",)
    senders = [user for user in users if may_publish(user, channel.topic("one", flask))]
    assert [role_of(user) for user in senders] == [channel.sender]


def test_ingest_hears_every_dispenser_and_the_dispatcher_none() -> None:
    for channel in topics.CHANNELS:
        assert may_subscribe("svc_ingest", channel.filter()) == (channel.sender == "device")
        assert not may_subscribe("svc_dispatch", channel.filter())


@pytest.mark.parametrize("user", ["svc_dashboard", "op_ana"])
def test_viewers_read_everything_of_ours_and_write_nothing(user: str) -> None:
    assert may_subscribe(user, "pitada/v1/#")
    assert not may_subscribe(user, "#")
    assert not may_subscribe(user, "$SYS/#")
    assert not any(may_publish(user, channel.topic("one", 1)) for channel in topics.CHANNELS)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "svc_other",
        "op_",
        "Kitchen",
        "a/b",
        "a+b",
        "#",
        "$SYS",
        "a" * 33,
        "a_b",
        "op_a b",
        "op_a:b",
        "op_" + "a" * 33,
    ],
)
def test_a_name_that_is_nobodys_has_no_role(name: str) -> None:
    assert role_of(name) is None
    assert not access.filters_of(name, access.SUBSCRIBE)


def test_no_service_account_can_be_a_dispenser() -> None:
    for user in access.SERVICE_ACCOUNTS:
        assert "_" in user
        with pytest.raises(ValueError, match="device"):
            DEVICE_ID.check(user)
