"""Which filters match a topic, and which topics match a filter: two trees with a node for each topic level."""

from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class _Filters(Generic[K]):
    __slots__ = ("children", "holders")

    def __init__(self) -> None:
        self.children: dict[str, _Filters[K]] = {}
        self.holders: dict[K, int] = {}


class Subscriptions(Generic[K]):
    """Who subscribed to which filter, with which QoS."""

    def __init__(self) -> None:
        self._root: _Filters[K] = _Filters()

    def add(self, filter: str, holder: K, qos: int) -> None:
        """A second time replaces the QoS."""
        node = self._root
        for level in filter.split("/"):
            node = node.children.setdefault(level, _Filters())
        node.holders[holder] = qos

    def remove(self, filter: str, holder: K) -> None:
        """Nothing happens when it was not there."""
        path = []
        node = self._root
        for level in filter.split("/"):
            if level not in node.children:
                return
            path.append((node, level))
            node = node.children[level]
        node.holders.pop(holder, None)
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.holders or child.children:
                return
            del parent.children[level]

    def match(self, topic: str) -> dict[K, int]:
        """Each holder with a filter that matches, with the highest QoS among its filters that do."""
        found: dict[K, int] = {}
        levels = topic.split("/")
        nodes = [self._root]
        hidden = topic.startswith("$")  # a wildcard in the first level does not show $SYS and its like
        for position, level in enumerate(levels):
            wild = position or not hidden
            following = []
            for node in nodes:
                children = node.children
                if level in children:
                    following.append(children[level])
                if wild and "+" in children:
                    following.append(children["+"])
                if wild and "#" in children:
                    _highest(found, children["#"].holders)
            nodes = following
        for node in nodes:
            _highest(found, node.holders)
            if "#" in node.children:  # a/# matches a
                _highest(found, node.children["#"].holders)
        return found


def _highest(found: dict[K, int], holders: dict[K, int]) -> None:
    for holder, qos in holders.items():
        if found.get(holder, -1) < qos:
            found[holder] = qos


class _Topics(Generic[V]):
    __slots__ = ("children", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Topics[V]] = {}
        self.value: V | None = None


class TopicTree(Generic[V]):
    """A value for each of some topics, found by filter."""

    def __init__(self) -> None:
        self._root: _Topics[V] = _Topics()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def get(self, topic: str) -> V | None:
        """The value of exactly this topic."""
        node: _Topics[V] | None = self._root
        for level in topic.split("/"):
            node = node.children.get(level) if node else None
        return node.value if node else None

    def set(self, topic: str, value: V) -> None:
        """Add or replace."""
        node = self._root
        for level in topic.split("/"):
            node = node.children.setdefault(level, _Topics())
        self._size += node.value is None
        node.value = value

    def remove(self, topic: str) -> bool:
        """Whether there was one."""
        path = []
        node = self._root
        for level in topic.split("/"):
            if level not in node.children:
                return False
            path.append((node, level))
            node = node.children[level]
        if node.value is None:
            return False
        node.value = None
        self._size -= 1
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.value is not None or child.children:
                break
            del parent.children[level]
        return True

    def match(self, filter: str) -> Iterator[V]:
        """The values of all topics that the filter matches."""
        nodes = [self._root]
        for position, level in enumerate(filter.split("/")):
            if level == "#":
                for node in nodes:
                    yield from _below(node, skip_hidden=position == 0)
                return
            if level == "+":
                nodes = [
                    child
                    for node in nodes
                    for name, child in node.children.items()
                    if position or not name.startswith("$")
                ]
            else:
                nodes = [node.children[level] for node in nodes if level in node.children]
        for node in nodes:
            if node.value is not None:
                yield node.value


def _below(top: _Topics[V], skip_hidden: bool) -> Iterator[V]:
    """The node's own value and those of everything under it."""
    waiting = [child for name, child in top.children.items() if not (skip_hidden and name.startswith("$"))]
    if top.value is not None:
        yield top.value
    while waiting:
        node = waiting.pop()
        if node.value is not None:
            yield node.value
        waiting.extend(node.children.values())
