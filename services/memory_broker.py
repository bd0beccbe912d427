"""The in-memory twin of a broker and its `Link`, for tests and simulations: same face, same promises, no socket.

What a link does not acknowledge is delivered again to the next one, as a persistent session does.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from services.mqtt import BrokerLost, Delivery, Outgoing


class MemoryBroker:
    """One persistent session. `lose()` breaks the link in use; `room` is how much more a link may publish.

    `on_ack` sees each batch before it is acknowledged, `on_publish` each before it is published.
    """

    def __init__(
        self,
        on_ack: Callable[[Sequence[Delivery]], None] = lambda _batch: None,
        on_publish: Callable[[Sequence[Outgoing]], None] = lambda _messages: None,
    ) -> None:
        self.published: list[Outgoing] = []
        self.filters: tuple[str, ...] = ()
        self.connections = 0
        self.room = 60_000
        self.changed = asyncio.Event()
        self._on_ack = on_ack
        self._on_publish = on_publish
        self._unacked: dict[int, Delivery] = {}
        self._next_mid = 1
        self._link: MemoryLink | None = None

    @property
    def unacked(self) -> int:
        """Messages that would be delivered again."""
        return len(self._unacked)

    def deliver(self, topic: str, payload: bytes) -> None:
        """A message for the session, whether a link is open or not."""
        delivery = Delivery(topic, payload, 1, self._next_mid)
        self._unacked[self._next_mid] = delivery
        self._next_mid += 1
        if self._link is not None:
            self._link.arrived.put_nowait(delivery)

    def lose(self) -> None:
        """The connection breaks now."""
        if self._link is not None:
            self._link.lost.set()
            self._link = None

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition` holds; it is asked after every acknowledgement and publish."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator["MemoryLink"]:
        self.connections += 1
        link = self._link = MemoryLink(self)
        for delivery in self._unacked.values():
            link.arrived.put_nowait(delivery)
        try:
            yield link
        finally:
            if self._link is link:
                self._link = None

    def publish(self, messages: Sequence[Outgoing]) -> None:
        self._on_publish(messages)
        self.published.extend(messages)
        self.changed.set()

    def settle(self, link: "MemoryLink", batch: Sequence[Delivery]) -> None:
        if link is not self._link:
            raise BrokerLost("acknowledged on a link that is gone")
        self._on_ack(batch)
        for delivery in batch:
            del self._unacked[delivery.mid]
        self.changed.set()


class MemoryLink:
    """The twin of `services.mqtt.Link`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.arrived: asyncio.Queue[Delivery] = asyncio.Queue()
        self.lost = asyncio.Event()
        self._broker = broker

    async def subscribe(self, filters: Sequence[str]) -> None:
        self._broker.filters = tuple(filters)

    @property
    def room(self) -> int:
        return self._broker.room

    async def batch(self, most: int) -> list[Delivery]:
        arrival = asyncio.ensure_future(self.arrived.get())
        loss = asyncio.ensure_future(self.lost.wait())
        try:
            await asyncio.wait((arrival, loss), return_when=asyncio.FIRST_COMPLETED)
            if self.lost.is_set():
                raise BrokerLost("the link was cut")
            batch = [arrival.result()]
        finally:
            arrival.cancel()
            loss.cancel()
        while len(batch) < most and not self.arrived.empty():
            batch.append(self.arrived.get_nowait())
        return batch

    def ack(self, batch: Sequence[Delivery]) -> None:
        self._broker.settle(self, batch)

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.lost.is_set():
            raise BrokerLost("the link was cut")
        self._broker.publish(messages)
