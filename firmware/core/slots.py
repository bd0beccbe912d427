"""What a flash slot holds: a checksum, and one record as the wire would carry it.

The checksum is over the bytes as they were written, never over JSON made again: the order of its names may differ.
"""

import binascii

from firmware.core.job import Item, Job
from protocol import codec
from protocol.errors import ITEM_ERRORS
from protocol.fields import HEX_CHARS, ID_CHARS, BadValue, Choice, Int, Record, Records, Text, table
from protocol.limits import KEPT_COMPLETIONS, MAX_COUNT, MAX_FLASKS, MAX_ITEMS, MAX_OPEN_MS, MAX_TARGET_MG
from protocol.states import ITEM_STATES

# Two generations of the small state, rewritten at every step of a job; the history is not.
STATES = ("state.a", "state.b")
DONE = tuple(["done.%d" % index for index in range(KEPT_COMPLETIONS)])
CONFIG = "config"

# 8 hexadecimal digits of CRC-32 and a line feed.
_SEAL_BYTES = 9


class StoredItem(Record):
    """One item of the job in hand."""

    flask: int
    target_mg: int
    state: str
    dispensed_mg: "int | None"
    duration_ms: "int | None"
    error: "str | None"
    open_ms: "int | None" = None
    FIELDS = table(
        Int("flask", 1, MAX_FLASKS, "flask number"),
        Int("target_mg", 1, MAX_TARGET_MG, "amount asked for", "mg"),
        Choice("state", ITEM_STATES, "state of the item"),
        Int("dispensed_mg", 0, 2 * MAX_TARGET_MG, "amount that left the flask", "mg", null=True),
        Int("duration_ms", 0, 2 * MAX_OPEN_MS, "time the flask was open", "ms", null=True),
        Choice("error", tuple(ITEM_ERRORS), "why the item was not done", null=True),
        Int("open_ms", 1, MAX_OPEN_MS, "how long to open it whatever its flow", "ms", optional=True),
    )


class StoredState(Record):
    """The small state file. `unreceipted` has bit n set while the completion in slot n waits for its receipt."""

    generation: int
    epoch: str
    boot: int
    last_seq: int
    unreceipted: int
    job: "str | None"
    seq: int
    items: "tuple[StoredItem, ...]"
    FIELDS = table(
        Int("generation", 1, MAX_COUNT, "rises by one with every save"),
        Text("epoch", 8, 16, HEX_CHARS, "the flash store's random name"),
        Int("boot", 1, MAX_COUNT, "boot counter"),
        Int("last_seq", 0, MAX_COUNT, "highest job number accepted"),
        Int("unreceipted", 0, (1 << KEPT_COMPLETIONS) - 1, "bits of the completions that were not receipted"),
        Text("job", 1, 32, ID_CHARS, "job in hand", null=True),
        Int("seq", 0, MAX_COUNT, "its number; 0 without a job"),
        Records("items", StoredItem, 0, MAX_ITEMS, "its items, in order"),
    )

    def check(self) -> None:
        if (self.job is None) != (not self.items) or (self.job is None) != (self.seq == 0):
            raise BadValue("job, seq and items go together")


def seal(body: bytes) -> bytes:
    """The content of a slot that holds `body`."""
    return ("%08x\n" % (binascii.crc32(body) & 0xFFFFFFFF)).encode() + body


def unseal(content: "bytes | None") -> "bytes | None":
    """The body, or None when the slot is absent, torn or was changed."""
    if content is None or len(content) < _SEAL_BYTES:
        return None
    body = bytes(content[_SEAL_BYTES:])
    return body if seal(body) == bytes(content) else None


def read_state(content: "bytes | None") -> "StoredState | None":
    """The state in a slot, or None when it cannot be trusted."""
    body = unseal(content)
    if body is None:
        return None
    try:
        return codec.decode(StoredState, body)
    except codec.Malformed:
        return None


def read_job(state: StoredState) -> "Job | None":
    """The job in hand, as it was."""
    if state.job is None:
        return None
    items = []
    for one in state.items:
        items.append(
            Item(one.flask, one.target_mg, one.state, one.dispensed_mg, one.duration_ms, one.error, one.open_ms)
        )
    return Job(state.job, state.seq, items)


def write_state(generation: int, epoch: str, boot: int, last_seq: int, unreceipted: int, job: "Job | None") -> bytes:
    """The content of a state slot."""
    items = []
    for item in job.items if job else ():
        items.append(
            StoredItem(
                flask=item.flask,
                target_mg=item.target_mg,
                state=item.state,
                dispensed_mg=item.dispensed_mg,
                duration_ms=item.duration_ms,
                error=item.error,
                open_ms=item.open_ms,
            )
        )
    state = StoredState(
        generation=generation,
        epoch=epoch,
        boot=boot,
        last_seq=last_seq,
        unreceipted=unreceipted,
        job=job.id if job else None,
        seq=job.seq if job else 0,
        items=tuple(items),
    )
    return seal(codec.encode(state))
