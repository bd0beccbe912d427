"""A bench for one dispenser: a board with flash, flasks and a stream, a broker behind it, and a clock of its own."""

import heapq
import random
from collections.abc import Callable

from firmware.core.dispenser import Dispenser
from firmware.core.ports import (
    Booted,
    CloseFlask,
    Connect,
    Disconnect,
    FlaskClosed,
    FlaskFailed,
    Linked,
    LinkLost,
    OpenFlask,
    Port,
    Received,
    Sample,
    Sampled,
    Save,
    Saved,
    Say,
    Send,
    Woke,
)
from protocol import codec, topics
from protocol.fields import Record
from protocol.messages import (
    CancelJob,
    CompletionReceived,
    ConfigureDispenser,
    FlaskConfig,
    JobCompleted,
    OfferedItem,
    OfferJob,
    StatusReported,
)
from tests.firmware.broker import DEVICE, FakeBroker, Sent


def flask(number: int, flow: int = 1000, max_open_ms: int = 60_000, settle_ms: int = 200) -> FlaskConfig:
    """A flask whose flow makes a milligram of each millisecond."""
    return FlaskConfig(
        flask=number,
        flow_mg_per_s=flow,
        max_open_ms=max_open_ms,
        channel=number - 1,
        closed_us=1000,
        open_us=2000,
        settle_ms=settle_ms,
    )


class PowerCut(Exception):  # named for what happened
    """The board has no power from here on."""


class Opening:
    """A flask that was physically open."""

    def __init__(self, flask: int, open_ms: int, at_ms: int) -> None:
        self.flask = flask
        self.open_ms = open_ms
        self.at_ms = at_ms


class Bench:
    """Carries out the dispenser's orders. `flash` and the broker survive a power cut, nothing else does."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.flash: dict[str, bytes] = {}
        self.broker = FakeBroker(on_message=self._server)
        self.orders: list[Port] = []
        self.openings: list[Opening] = []
        self.now_ms = 0
        self.network = True
        self.latency_ms = 5
        self.save_ok: Callable[[str], bool] = lambda _slot: True
        self.receipts = True
        self.fail_flask: Callable[[int], FlaskFailed | None] = lambda _flask: None
        self.before_order: Callable[[Port], None] = lambda _order: None
        self.after_order: Callable[[Port], None] = lambda _order: None
        self.dispenser: Dispenser | None = None
        self._queue: list[tuple[int, int, Port]] = []
        self._count = 0
        self._stream = False
        self._open: OpenFlask | None = None
        self._flowing: Opening | None = None
        self._wake_at_ms: int | None = None

    # Power.

    def boot(self, reset_cause: str = "power_on") -> None:
        """Power on: the clock starts at zero."""
        self.now_ms = 0
        self._queue = []
        self._open = None
        self.dispenser = Dispenser(DEVICE, "secret", "1.0.0", self.random.getrandbits)
        self._step(Booted(dict(self.flash), reset_cause))

    def has_power(self) -> bool:
        return self.dispenser is not None

    def cut_power(self) -> None:
        """What was open has leaked out as far as it did; the broker notices the dead stream."""
        self._close_early()
        self._open = None
        self.dispenser = None
        self._queue = []
        self.drop_link(tell=False)

    # Network.

    def drop_link(self, tell: bool = True) -> None:
        """The stream breaks; the broker publishes the last will."""
        if self._stream:
            self._stream = False
            self.broker.dropped()
            if tell:
                self.post(LinkLost("reset by peer"))

    def deliver(self, name: str, record: Record | bytes) -> None:
        """A message to the dispenser on one of its channels, if it is subscribed."""
        if self.broker.listening:
            channel = next(one for one in topics.CHANNELS if one.name == name)
            payload = record if isinstance(record, bytes) else codec.encode(record)
            self.to_device(self.broker.message(channel.topic(DEVICE), payload))

    def to_device(self, data: bytes) -> None:
        """Bytes on their way to the dispenser."""
        if data:
            self.post(Received(data), self.latency_ms)

    def configure(self, *flasks: FlaskConfig, version: int = 1) -> None:
        """A retained configuration."""
        payload = codec.encode(ConfigureDispenser(version=version, flasks=flasks))
        topic = topics.CONFIG.topic(DEVICE)
        self.broker.retained[topic] = payload
        if self.broker.listening:
            self.to_device(self.broker.message(topic, payload))

    def offer(self, seq: int, *items: tuple[int, int], job: str = "", epoch: str = "") -> None:
        """Offer (flask, target_mg) items as job `job-<seq>`."""
        self.deliver(
            "offer",
            OfferJob(
                job=job or f"job-{seq}",
                seq=seq,
                epoch=epoch or self.epoch,
                items=tuple(OfferedItem(flask=number, target_mg=mg) for number, mg in items),
            ),
        )

    def calibrate(self, seq: int, number: int, most_mg: int, open_ms: int) -> None:
        """Offer one timed opening as job `job-<seq>`."""
        item = OfferedItem(flask=number, target_mg=most_mg, open_ms=open_ms)
        self.deliver("offer", OfferJob(job=f"job-{seq}", seq=seq, epoch=self.epoch, items=(item,)))

    def cancel(self, seq: int, job: str = "") -> None:
        self.deliver("cancel", CancelJob(job=job or f"job-{seq}", seq=seq, epoch=self.epoch))

    def receipt(self, seq: int, job: str = "", epoch: str = "") -> None:
        self.deliver("receipt", CompletionReceived(job=job or f"job-{seq}", seq=seq, epoch=epoch or self.epoch))

    # What the server saw.

    @property
    def epoch(self) -> str:
        return self.status().epoch

    def sent(self, channel: str) -> list[Sent]:
        return [one for one in self.broker.sent if one.channel == channel]

    def status(self) -> StatusReported:
        """The last status that says online."""
        records = [one.record for one in self.sent("status")]
        return next(one for one in reversed(records) if isinstance(one, StatusReported) and one.online)

    def will(self) -> tuple[str, bytes]:
        """Topic and payload of the last will that the broker holds."""
        assert self.broker.will is not None
        return self.broker.will

    def completions(self) -> list[JobCompleted]:
        return [one.record for one in self.sent("completion") if isinstance(one.record, JobCompleted)]

    def completion(self, seq: int) -> JobCompleted | None:
        return next((one for one in reversed(self.completions()) if one.seq == seq), None)

    def ordered(self, kind: type[Port]) -> list[Port]:
        return [one for one in self.orders if type(one) is kind]

    # Time.

    def post(self, fact: Port, delay_ms: int = 0) -> None:
        """The fact happens after `delay_ms`."""
        self._count += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self._count, fact))

    def run(self, until: Callable[[], bool] | None = None, limit_ms: int = 300_000) -> None:
        """Let time pass until the condition holds; without one, for `limit_ms`. Fails when it does not come true."""
        end_ms = self.now_ms + limit_ms
        while self.dispenser is not None and not (until is not None and until()):
            due = [at for at in (self._queue[0][0] if self._queue else None, self._wake_at_ms) if at is not None]
            if not due or min(due) > end_ms:
                assert until is None, f"it did not come true in {limit_ms} ms; last orders {self.orders[-8:]}"
                self.now_ms = end_ms
                return
            self.now_ms = max(self.now_ms, min(due))
            if self._queue and self._queue[0][0] <= self.now_ms:
                self._step(heapq.heappop(self._queue)[2])
            else:
                self._step(Woke())

    def online(self) -> None:
        """Run until the server has seen this boot's status."""
        before = len(self.sent("status"))
        self.run(lambda: any(getattr(one.record, "online", False) for one in self.sent("status")[before:]))

    def _step(self, fact: Port) -> None:
        assert self.dispenser is not None
        if isinstance(fact, (FlaskClosed, FlaskFailed)):
            if self._open is None or self._open.flask != fact.flask:
                return  # it was closed early
            self._open = None
        if isinstance(fact, Received) and not self._stream:
            return
        orders, self._wake_at_ms = self.dispenser.step(self.now_ms, fact)
        assert self._wake_at_ms is None or self._wake_at_ms > self.now_ms, (self._wake_at_ms, self.now_ms)
        for order in orders:
            if self._open is not None:
                assert not isinstance(order, (Connect, Save, OpenFlask)), f"{order} while a flask is open"
            self.orders.append(order)
            try:
                self.before_order(order)
                self._carry_out(order)
                self.after_order(order)
            except PowerCut:
                self.cut_power()
                return

    def _carry_out(self, order: Port) -> None:
        if isinstance(order, Connect):
            if self.network:
                self._stream = True
                self.broker.opened()
                self.post(Linked(), 20)
            else:
                self.post(LinkLost("no route"), 20)
        elif isinstance(order, Disconnect):
            self.drop_link(tell=False)
        elif isinstance(order, Send):
            if self._stream and self.network:
                self.to_device(self.broker.feed(order.data))
        elif isinstance(order, Save):
            ok = self.save_ok(order.slot)
            if ok:
                self.flash[order.slot] = order.data
            self.post(Saved(order.slot, ok), 30)
        elif isinstance(order, OpenFlask):
            failure = self.fail_flask(order.flask)
            self._open = order
            self._flowing = None
            if failure is not None:
                self.post(failure, 10)
                return
            self._flowing = Opening(order.flask, order.open_ms, self.now_ms)
            self.openings.append(self._flowing)
            self.post(FlaskClosed(order.flask, order.open_ms), order.open_ms)
        elif isinstance(order, CloseFlask):
            if self._open is not None and self._open.flask == order.flask and self._flowing is not None:
                self._close_early()
                self.post(FlaskClosed(order.flask, self._flowing.open_ms))
        elif isinstance(order, Sample):
            self.post(Sampled(-60, 90_000), 1)
        else:
            assert isinstance(order, Say), order

    def _close_early(self) -> None:
        """What flows out of an open flask stops now; a jammed one never began."""
        if self._open is not None and self._flowing is not None:
            self._flowing.open_ms = self.now_ms - self._flowing.at_ms

    def _server(self, message: Sent) -> None:
        """The services: a receipt for each completion."""
        record = message.record
        if self.receipts and isinstance(record, JobCompleted):
            self.deliver("receipt", CompletionReceived(job=record.job, seq=record.seq, epoch=record.epoch))


def online_bench(seed: int = 1) -> Bench:
    """A dispenser with three flasks, online and configured."""
    bench = Bench(seed)
    bench.configure(flask(1), flask(2), flask(3))
    bench.boot()
    bench.online()
    bench.run(lambda: bench.status().config_version == 1)
    return bench
