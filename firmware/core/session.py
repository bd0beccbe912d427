"""One MQTT session after another with the broker: connect, subscribe, keep alive, notice that the other side is gone.

Connected means that the broker accepted CONNECT and the subscriptions, not that a stream opened. Nothing is expected to
wait in the broker: every session is clean and subscribes anew.
"""

from firmware.core import packets
from firmware.core.backoff import Backoff
from firmware.core.ports import Connect, Disconnect, Port, Say, Send
from protocol import access
from protocol.limits import KEEPALIVE_S, MAX_COUNT

try:
    from typing import Callable
except ImportError:  # MicroPython has no typing; only type checkers look at this
    pass

# A stream that opens takes seconds with TLS on an ESP32; one that hangs must not keep flasks from opening.
CONNECT_TIMEOUT_MS = 15_000
# CONNACK, SUBACK and PUBACK from a broker that 10,000 others talk to.
ANSWER_TIMEOUT_MS = 20_000
# Two pings fit into the silence after which a side counts as gone.
PING_AFTER_MS = KEEPALIVE_S * 1000 * 2 // 3
SILENCE_MS = KEEPALIVE_S * 1500
# Acknowledgements held back until flash has what they answer; one more than this is given at once (it is repeated).
MAX_HELD = 16

OFF = "off"
CONNECTING = "connecting"
GREETING = "greeting"
SUBSCRIBING = "subscribing"
ONLINE = "online"

# Codes of CONNACK after which the same CONNECT will fail again: protocol, client id, password, not authorised.
_LASTING = (1, 2, 4, 5)


class Session:
    """The connection to the broker as it is now. Times are `now_ms`."""

    __slots__ = (
        "_asked_at_ms",
        "_backoff",
        "_connected_at_ms",
        "_decoder",
        "_device",
        "_down_since_ms",
        "_flying_id",
        "_heard_at_ms",
        "_held",
        "_last_id",
        "_outage_ms",
        "_password",
        "_published_at_ms",
        "_sent_at_ms",
        "connection",
        "connects",
        "round_trip_ms",
        "state",
    )

    def __init__(self, device: str, password: str, random_bits: "Callable[[int], int]") -> None:
        self._device = device
        self._password = password
        self._backoff = Backoff(random_bits)
        self._decoder = packets.Decoder()
        self.state = OFF
        self.connection = 0
        """Connection number of this boot: the last CONNECT sent has it, and so has its last will."""
        self.connects = 0
        """How often the dispenser came online."""
        self.round_trip_ms = None  # type: int | None
        self._connected_at_ms = 0
        self._down_since_ms = 0
        self._outage_ms = 0
        self._heard_at_ms = 0
        self._sent_at_ms = 0
        self._asked_at_ms = 0
        self._published_at_ms = 0
        self._last_id = 0
        self._flying_id = 0
        self._held = []  # type: list[tuple[int, int]]

    def start(self, now_ms: int) -> None:
        """Boot is an outage like any other: the first attempt waits its random turn."""
        self._down_since_ms = now_ms
        self._backoff.failed(now_ms)

    def is_online(self) -> bool:
        """The broker accepted us and our subscriptions."""
        return self.state == ONLINE

    def can_publish(self) -> bool:
        """Online, with no QoS 1 message on its way."""
        return self.state == ONLINE and not self._flying_id

    def outage_ms(self, now_ms: int) -> int:
        """Time without a broker since boot."""
        return self._outage_ms + (0 if self.state == ONLINE else now_ms - self._down_since_ms)

    # The stream.

    def connect(self, now_ms: int, out: "list[Port]") -> None:
        """Order a stream if it is time. Not to be called while a flask is open."""
        if self.state == OFF and now_ms >= self._backoff.due_at_ms:
            self.state = CONNECTING
            self._connected_at_ms = now_ms
            self._backoff.attempted(now_ms)
            out.append(Connect())

    def next_connection(self) -> int:
        """The number for the next CONNECT and its last will."""
        self.connection = min(self.connection + 1, MAX_COUNT)
        return self.connection

    def linked(self, now_ms: int, will_topic: str, will: bytes, out: "list[Port]") -> None:
        """The stream is open: say who we are. A stream that nobody waits for is closed."""
        self.state = GREETING
        self._heard_at_ms = self._asked_at_ms = now_ms
        self._send(now_ms, packets.connect(self._device, self._password, KEEPALIVE_S, will_topic, will), out)

    def lost(self, now_ms: int, by_broker: bool = False) -> None:
        """The stream is gone, ended by the broker or not. The next attempt follows after a random wait."""
        if self.state == OFF:
            return
        everybodys = by_broker and self.state == ONLINE
        self._down(now_ms)
        if everybodys:
            self._backoff.ended(now_ms)
        else:
            self._backoff.failed(now_ms)

    def drop(self, now_ms: int, reason: str, out: "list[Port]") -> None:
        """Give the stream up and say why."""
        out.append(Disconnect())
        out.append(Say("warning", f"broker connection closed: {reason}"))
        self.lost(now_ms)

    def leave(self, now_ms: int, out: "list[Port]") -> None:
        """End the session in good order: the broker forgets the last will. A new one follows."""
        self._send(now_ms, packets.DISCONNECT, out)
        out.append(Disconnect())
        self._down(now_ms)
        self._backoff.again(now_ms)

    def feed(self, now_ms: int, data: bytes) -> None:
        """Bytes came. `take` gives what is in them."""
        if self.state not in (OFF, CONNECTING):
            self._heard_at_ms = now_ms
            self._decoder.feed(data)

    def take(self, now_ms: int, out: "list[Port]") -> "object":
        """The next packet that matters beyond the session: a Suback (we are online), the Puback of the message on its
        way, a Publish. None: no more for now."""
        while self.state not in (OFF, CONNECTING):
            try:
                packet = self._decoder.take()
            except packets.BadPacket as error:
                self.drop(now_ms, f"{error}", out)
                break
            if packet is None:
                break
            if self._handle(now_ms, packet, out):
                return packet
        return None

    # Sending.

    def publish(self, now_ms: int, topic: str, payload: bytes, retained: bool, out: "list[Port]") -> None:
        """Send at QoS 1; its `Puback` comes out of `take`. Only when `can_publish`."""
        self._flying_id = self._next_id()
        self._published_at_ms = now_ms
        self._send(now_ms, packets.publish(topic, payload, retained, self._flying_id), out)

    def publish_once(self, now_ms: int, topic: str, payload: bytes, retained: bool, out: "list[Port]") -> None:
        """Send at QoS 0."""
        self._send(now_ms, packets.publish(topic, payload, retained), out)

    def acknowledge(self, now_ms: int, packet_id: int, version: int, out: "list[Port]") -> None:
        """PUBACK a message now (`version` 0), or once the journal has saved that version of itself."""
        if not packet_id or self.state not in (SUBSCRIBING, ONLINE):
            return
        if version and len(self._held) < MAX_HELD:
            self._held.append((version, packet_id))
        else:
            self._send(now_ms, packets.puback(packet_id), out)

    def release(self, now_ms: int, saved_version: int, out: "list[Port]") -> None:
        """Give the acknowledgements that waited for this version of the journal."""
        if not self._held:
            return
        for version, packet_id in self._held:
            if version <= saved_version:
                self._send(now_ms, packets.puback(packet_id), out)
        self._held = [one for one in self._held if one[0] > saved_version]

    # Time.

    def tick(self, now_ms: int, out: "list[Port]") -> None:
        """Ping in silence; give up what does not answer."""
        if self.state == CONNECTING:
            if now_ms >= self._connected_at_ms + CONNECT_TIMEOUT_MS:
                self.drop(now_ms, "the stream did not open in time", out)
        elif self.state in (GREETING, SUBSCRIBING):
            if now_ms >= self._asked_at_ms + ANSWER_TIMEOUT_MS:
                self.drop(now_ms, "the broker did not answer in time", out)
        elif self.state == ONLINE:
            if now_ms >= self._heard_at_ms + SILENCE_MS:
                self.drop(now_ms, "the broker is silent", out)
            elif self._flying_id and now_ms >= self._published_at_ms + ANSWER_TIMEOUT_MS:
                self.drop(now_ms, "the broker did not acknowledge a message in time", out)
            elif now_ms >= self._ping_at_ms():
                self._asked_at_ms = now_ms
                self._send(now_ms, packets.PINGREQ, out)

    def wake_at_ms(self) -> int:
        """When `connect` or `tick` has something to do."""
        if self.state == OFF:
            return self._backoff.due_at_ms
        if self.state == CONNECTING:
            return self._connected_at_ms + CONNECT_TIMEOUT_MS
        if self.state != ONLINE:
            return self._asked_at_ms + ANSWER_TIMEOUT_MS
        wake = min(self._heard_at_ms + SILENCE_MS, self._ping_at_ms())
        return min(wake, self._published_at_ms + ANSWER_TIMEOUT_MS) if self._flying_id else wake

    def _handle(self, now_ms: int, packet: "object", out: "list[Port]") -> bool:
        """Whether the packet matters beyond the session."""
        if self.state == GREETING:
            if isinstance(packet, packets.Connack):
                self._greeted(now_ms, packet.code, out)
            else:
                self.drop(now_ms, "the first packet is not CONNACK", out)
            return False
        if isinstance(packet, packets.Publish):
            return True
        if isinstance(packet, packets.Suback):
            return self._subscribed(now_ms, packet, out)
        if isinstance(packet, packets.Puback):
            # Any other is of an earlier session: there is nothing to do about it.
            if not self._flying_id or packet.packet_id != self._flying_id:
                return False
            self._flying_id = 0
            self._backoff.succeeded()
            self.round_trip_ms = now_ms - self._published_at_ms
            return True
        if isinstance(packet, packets.Connack):
            self.drop(now_ms, "a second CONNACK", out)
        return False

    def _greeted(self, now_ms: int, code: int, out: "list[Port]") -> None:
        if code == 0:
            self.state = SUBSCRIBING
            self._asked_at_ms = now_ms
            filters = access.filters_of(self._device, access.SUBSCRIBE)
            self._flying_id = self._next_id()
            self._send(now_ms, packets.subscribe(self._flying_id, filters), out)
            return
        self.drop(now_ms, f"CONNECT was refused with code {code}", out)
        if code in _LASTING:
            self._backoff.refused(now_ms)

    def _subscribed(self, now_ms: int, packet: packets.Suback, out: "list[Port]") -> bool:
        if self.state != SUBSCRIBING or packet.packet_id != self._flying_id:
            return False
        if 128 in packet.codes:
            self.drop(now_ms, "a subscription was refused", out)
            self._backoff.refused(now_ms)
            return False
        self._flying_id = 0
        self.state = ONLINE
        self.connects += 1
        self._outage_ms += now_ms - self._down_since_ms
        return True

    def _send(self, now_ms: int, data: bytes, out: "list[Port]") -> None:
        self._sent_at_ms = now_ms
        out.append(Send(data))

    def _ping_at_ms(self) -> int:
        return max(min(self._sent_at_ms, self._heard_at_ms), self._asked_at_ms) + PING_AFTER_MS

    def _next_id(self) -> int:
        self._last_id = self._last_id % 0xFFFF + 1
        return self._last_id

    def _down(self, now_ms: int) -> None:
        if self.state == ONLINE:
            self._down_since_ms = now_ms
        self.state = OFF
        self._decoder = packets.Decoder()
        self._flying_id = 0
        self._held = []
