"""Fields that several messages share: the same name means the same thing everywhere."""

from protocol.errors import ITEM_ERRORS
from protocol.fields import HEX_CHARS, ID_CHARS, Choice, Int, Text
from protocol.limits import MAX_COUNT, MAX_FLASKS, MAX_ITEMS, MAX_MS, MAX_OPEN_MS, MAX_TARGET_MG

JOB = Text("job", 1, 32, ID_CHARS, "the job's id, given by the server")
SEQ = Int("seq", 1, MAX_COUNT, "the dispenser's job number, given by the server; it only rises")
EPOCH = Text("epoch", 8, 16, HEX_CHARS, "the flash store's random name; a wiped or replaced board has a new one")
BOOT = Int("boot", 1, MAX_COUNT, "boot counter, kept in flash")
MS = Int("ms", 0, MAX_MS, "time since boot when this was recorded", "ms")
FLASK = Int("flask", 1, MAX_FLASKS, "flask number, from 1")
ITEM = Int("item", 0, MAX_ITEMS - 1, "position in the job, from 0")
TARGET = Int("target_mg", 1, MAX_TARGET_MG, "amount asked for", "mg")
DISPENSED = Int(
    "dispensed_mg",
    0,
    2 * MAX_TARGET_MG,
    "amount that left the flask; null while it is open, and for ever when in doubt: from 0 to target_mg",
    "mg",
    null=True,
)
DURATION = Int(
    "duration_ms", 0, MAX_OPEN_MS * 2, "time the flask was open; null while it is, or in doubt", "ms", null=True
)
ITEM_ERROR = Choice("error", tuple(sorted(ITEM_ERRORS)), "why the item was not done", null=True)
