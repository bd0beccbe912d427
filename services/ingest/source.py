"""Where messages come from and answers go."""

from collections.abc import Sequence
from typing import Protocol

from services.mqtt import Delivery, Outgoing


class Source(Protocol):
    """`services.mqtt.Link`, or its in-memory twin in tests."""

    async def subscribe(self, filters: Sequence[str]) -> None: ...

    async def batch(self, most: int) -> list[Delivery]: ...

    def ack(self, batch: Sequence[Delivery]) -> None: ...

    @property
    def room(self) -> int:
        """How many publishes the broker can be told now; above it `publish` waits until some are confirmed."""
        ...

    async def publish(self, messages: Sequence[Outgoing]) -> None: ...
