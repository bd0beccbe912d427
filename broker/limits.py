"""What the brokers hold at most, each with its reason, and the counters that show when a bound was hit."""

from dataclasses import asdict, dataclass

# Larger than `protocol.limits.MAX_PAYLOAD_BYTES` on purpose: a report that is too long has to reach ingest, which keeps
# it with its reason, instead of ending the connection of a dispenser that would repeat it for ever. Four times the
# protocol's limit leaves room for that, and still bounds what one packet can make a broker hold. Both brokers use it.
MAX_PACKET_BYTES = 16_384

# QoS 1 messages that the embedded broker has sent to one client and that are not acknowledged: a few batches of what
# such a fleet says at a time.
MAX_INFLIGHT = 1_000

# The same for Mosquitto. Ingest acknowledges after a commit of up to 8,000 messages: twice that keeps the next batch
# coming while one is being committed.
MOSQUITTO_INFLIGHT = 16_000


@dataclass(frozen=True, kw_only=True)
class QueueLimit:
    """What waits for one session at most; a message over either bound is dropped and counted."""

    messages: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The bounds of one embedded broker."""

    # Open connections, signed in or not. The broker is made for about 1,000 dispensers; a fleet that reconnects has
    # its old half-open connections beside the new ones for a while.
    connections: int = 2_500
    packet_bytes: int = MAX_PACKET_BYTES
    inflight: int = MAX_INFLIGHT
    # From the accepted connection to a complete CONNECT (TLS has its own 10 s before that).
    connect_timeout_s: float = 10.0
    # Unsent bytes of one client above which it counts as slow: its messages wait in its queue, and its own packets are
    # not read until it has read what is there. Some hundred messages: enough to keep a fast reader busy.
    unsent_bytes: int = 262_144
    # Ingest away for some minutes under the full load of a fleet: 1,000 dispensers, one message a second each.
    service_queue: QueueLimit = QueueLimit(messages=200_000, bytes=128 * 1024 * 1024)
    # Nothing that matters waits for a dispenser (offers go only to one that is online, receipts are repeated).
    device_queue: QueueLimit = QueueLimit(messages=1_000, bytes=512 * 1024)
    # A dispenser asks for seven filters; nobody needs more than a handful on top of that.
    subscriptions: int = 50
    # Retained messages below one dispenser's topics: 16 flasks with progress and stock, and four more, make 36.
    retained_per_device: int = 64
    # 1,000 dispensers with all of theirs, and room to spare.
    retained: int = 100_000


@dataclass
class Counters:
    """What the broker did since it was made. `connections` is the only one that falls."""

    connections: int = 0
    connections_over_limit: int = 0
    connects: int = 0
    takeovers: int = 0
    refused_connects: int = 0
    connect_timeouts: int = 0
    keepalive_timeouts: int = 0
    malformed: int = 0
    oversized: int = 0
    received: int = 0
    sent: int = 0
    dropped_queue_full: int = 0
    dropped_retained_full: int = 0
    forbidden_publishes: int = 0
    forbidden_subscriptions: int = 0
    wills: int = 0

    def values(self) -> dict[str, int]:
        """Every counter by name."""
        return asdict(self)
