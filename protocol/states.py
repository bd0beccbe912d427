"""What an item and a job can be, and how they get there. The tables are the design.

Every state has a rank. A message moves an item or a job only to a higher rank, so messages may come late, twice or in
any order and the end is the same. A dispenser's word on an end ranks above the server's: it was there. The server alone
may take back a word of its own, to doubt an item that it had skipped.
"""

DEVICE = "device"
SERVER = "server"

# (from, to, who says so, when)
ITEM_TRANSITIONS = (
    ("pending", "dispensing", DEVICE, "the dispenser saved that it opens the flask"),
    ("pending", "failed", DEVICE, "the flask cannot be opened"),
    ("pending", "skipped", DEVICE, "the job was cancelled before the flask's turn"),
    ("dispensing", "done", DEVICE, "the flask closed on time"),
    ("dispensing", "failed", DEVICE, "the flask did not open, or was closed early"),
    ("dispensing", "in_doubt", DEVICE, "power was lost while the flask was open, or it was opened to calibrate"),
    ("pending", "skipped", SERVER, "the job was cancelled or expired before it was offered"),
    ("pending", "in_doubt", SERVER, "the dispenser's flash was replaced, or a backup restored: nobody knows"),
    ("dispensing", "in_doubt", SERVER, "the dispenser's flash was replaced, or a backup restored: nobody knows"),
    (
        "skipped",
        "in_doubt",
        SERVER,
        "it expired after it was offered, and the dispenser will never answer: nobody knows",
    ),
)

JOB_TRANSITIONS = (
    ("queued", "offered", SERVER, "the dispenser is online and free"),
    ("offered", "running", DEVICE, "the job is in the dispenser's flash"),
    ("running", "done", DEVICE, "every item is done"),
    ("running", "done_partial", DEVICE, "some items are done and some are not"),
    ("running", "failed", DEVICE, "no item is done"),
    ("running", "cancelled", DEVICE, "stopped, and no item is done"),
    ("offered", "cancelled", DEVICE, "stopped before the dispenser had it"),
    ("queued", "cancelled", SERVER, "cancelled before it was offered, or it retried what was dispensed after all"),
    ("queued", "expired", SERVER, "its time was up before it was offered"),
    ("offered", "expired", SERVER, "its time was up before the dispenser took it"),
    ("queued", "failed", SERVER, "a restored backup does not know whether it ran"),
    ("offered", "failed", SERVER, "a backup does not know, it retried what was dispensed, or the flash was replaced"),
    ("running", "failed", SERVER, "the dispenser's flash was replaced, or a restored backup does not know"),
    ("running", "done", SERVER, "the dispenser's flash was replaced after every item was done"),
    ("running", "done_partial", SERVER, "the dispenser's flash was replaced after some items were done"),
)

ITEM_STATES = ("pending", "dispensing", "done", "failed", "in_doubt", "skipped")
JOB_STATES = ("queued", "offered", "running", "done", "done_partial", "failed", "cancelled", "expired")

ITEM_ENDS = ("done", "failed", "in_doubt", "skipped")
JOB_ENDS = ("done", "done_partial", "failed", "cancelled", "expired")

# The states a dispenser may report at the end of a job.
COMPLETION_STATES = ("done", "done_partial", "failed", "cancelled")

_ITEM_OPEN_RANKS = {"pending": 0, "dispensing": 1}
_ITEM_END_RANKS = {SERVER: 2, DEVICE: 3}
_JOB_OPEN_RANKS = {"queued": 0, "offered": 1, "running": 2}
_JOB_END_RANKS = {SERVER: 3, DEVICE: 4}


def item_rank(state: str, says: str = DEVICE) -> int:
    """The rank of an item's state, 0 to 3, as `says` (DEVICE or SERVER) reports it."""
    rank = _ITEM_OPEN_RANKS.get(state)
    return _ITEM_END_RANKS[says] if rank is None else rank


def job_rank(state: str, says: str = DEVICE) -> int:
    """The rank of a job's state, 0 to 4, as `says` (DEVICE or SERVER) reports it."""
    rank = _JOB_OPEN_RANKS.get(state)
    return _JOB_END_RANKS[says] if rank is None else rank


def job_outcome(item_states: "tuple[str, ...] | list[str]") -> str:
    """The end of a job whose items ended so. No items at all: it was cancelled before the dispenser had it."""
    done = len([state for state in item_states if state == "done"])
    if done:
        return "done" if done == len(item_states) else "done_partial"
    if not item_states or "skipped" in item_states:
        return "cancelled"
    return "failed"
