"""The two trees against the plain definition of a match."""

import itertools

import pytest

from broker.matching import Subscriptions, TopicTree

LEVELS = ("a", "b", "+", "#", "")


def plain_match(wanted: str, topic: str) -> bool:
    """MQTT 3.1.1, section 4.7, word for word."""
    if topic.startswith("$") and wanted[0] in "+#":
        return False
    levels, names = wanted.split("/"), topic.split("/")
    for position, level in enumerate(levels):
        if level == "#":
            return True
        if position >= len(names) or level not in ("+", names[position]):
            return False
    return len(levels) == len(names)


FILTERS = [
    "/".join(levels)
    for size in (1, 2, 3)
    for levels in itertools.product(LEVELS, repeat=size)
    if "#" not in levels[:-1] and "/".join(levels)
]
TOPICS = [
    "/".join(levels)
    for size in (1, 2, 3)
    for levels in itertools.product(("a", "b", "", "$s"), repeat=size)
    if "/".join(levels)
]


def test_a_topic_finds_exactly_the_filters_that_match() -> None:
    tree: Subscriptions[str] = Subscriptions()
    for wanted in FILTERS:
        tree.add(wanted, wanted, 1)

    for topic in TOPICS:
        assert set(tree.match(topic)) == {wanted for wanted in FILTERS if plain_match(wanted, topic)}, topic


def test_a_filter_finds_exactly_the_topics_it_matches() -> None:
    tree: TopicTree[str] = TopicTree()
    for topic in TOPICS:
        tree.set(topic, topic)

    for wanted in FILTERS:
        assert sorted(tree.match(wanted)) == sorted(topic for topic in TOPICS if plain_match(wanted, topic)), wanted


def test_what_is_removed_leaves_no_trace() -> None:
    filters: Subscriptions[str] = Subscriptions()
    values: TopicTree[str] = TopicTree()
    for name in TOPICS:
        filters.add(name, "x", 1)
        values.set(name, name)
    for name in TOPICS:
        filters.remove(name, "x")
        filters.remove("never/there", "x")
        assert values.remove(name)
        assert not values.remove(name)

    assert not filters._root.children
    assert not values._root.children
    assert len(values) == 0


@pytest.mark.parametrize("name", ["a", "a/b"])
def test_a_branch_stays_while_a_longer_one_needs_it(name: str) -> None:
    values: TopicTree[str] = TopicTree()
    values.set(name, "short")
    values.set(name + "/c", "long")

    values.remove(name)

    assert values.get(name) is None
    assert values.get(name + "/c") == "long"
