"""States in words for people: an icon and a label, never a colour alone. Names of icons are in templates/icons.html."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """How a state is shown. `tone` chooses the colour: idle, busy, good, warn, bad."""

    icon: str
    label: str
    tone: str
    meaning: str


ITEM_WORDS = {
    "pending": Word("clock", "Waiting", "idle", "Its turn has not come yet."),
    "dispensing": Word("pour", "Dispensing", "busy", "The flask is open."),
    "done": Word("check", "Done", "good", "The flask closed on time."),
    "failed": Word("cross", "Failed", "bad", "This flask did not give what was asked."),
    "in_doubt": Word(
        "question", "In doubt", "warn", "Nobody knows how much came out: between nothing and the whole target."
    ),
    "skipped": Word("skip", "Skipped", "idle", "The job was stopped before this flask's turn."),
}

JOB_WORDS = {
    "queued": Word("clock", "Waiting", "idle", "It starts when the dispenser is online and free."),
    "offered": Word("send", "Sent", "busy", "Sent to the dispenser, which has not answered yet."),
    "running": Word("pour", "Running", "busy", "The dispenser has saved the job and works on it."),
    "done": Word("check", "Done", "good", "Every flask gave what was asked."),
    "done_partial": Word("half", "Partly done", "warn", "Some flasks gave what was asked and some did not."),
    "failed": Word("cross", "Failed", "bad", "No flask gave what was asked."),
    "cancelled": Word("stop", "Stopped", "idle", "Stopped before any flask was done."),
    "expired": Word("hourglass", "Expired", "idle", "Its time was up before the dispenser took it."),
}

MOVEMENT_WORDS = {
    "dispense": "Dispensed",
    "partial": "Dispensed in part",
    "refill": "Refilled",
    "count": "Counted",
    "resolve": "Resolved",
}

FAULT_WORDS = {
    "flash_full": "It cannot save to its flash and takes no jobs. Restart it; if this repeats, replace the board.",
    "name_taken": "Another dispenser signs in under its name; it takes no jobs. Switch one off, restart the other.",
    "servo_fault": "Its servo driver does not answer and it takes no jobs. Check the cable and the power.",
}

RESOLUTION_WORDS = {
    "dispensed": "An operator said that it came out.",
    "not_dispensed": "An operator said that nothing came out.",
    "weighed": "An operator weighed what came out.",
}
