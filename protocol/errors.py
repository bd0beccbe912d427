"""Why a dispenser did not do what was asked: one code a reason, each with words for the operator.

The words say what happened and what to do next; the dashboard and the CLI translate them, never the codes.
"""

# Reasons why one item of a job was not done.
ITEM_ERRORS = {
    "unknown_flask": "This dispenser has no such flask. Check the order or the dispenser's configuration.",
    "not_calibrated": "The flask has no flow set. Calibrate it, then retry.",
    "over_limit": "The amount needs the flask open longer than its limit. Split the order or raise the limit.",
    "jammed": "Too little came out: the gate is stuck, or the flask is empty. Free or fill it, then retry.",
    "servo_fault": "The servo driver did not answer. Check its cable and power, then retry.",
    "flash_full": "The dispenser could not save to its flash, so it did not open the flask. Restart it; if this "
    "repeats, replace the board.",
    "interrupted": "Power was lost while the flask was open. Weigh what came out and resolve the item.",
    "cancelled": "The job was stopped before this flask was finished. Retry what is missing if it is still wanted.",
}

# Reasons why a whole offer was refused. The job stays with the server, which decides what to do next.
REFUSALS = {
    "busy": "The dispenser is working on another job. The job waits.",
    "stale_seq": "The dispenser has already used this job number. The server takes a newer one.",
    "wrong_epoch": "The dispenser's flash was replaced since the job was offered.",
    "flash_full": "The dispenser could not save the job to its flash. Restart it; if this repeats, replace the board.",
    "invalid": "The dispenser did not understand the offer. Check that its firmware is current.",
}

# Why a dispenser takes no jobs at all.
FAULTS = {
    "flash_full": "It cannot save to its flash and takes no jobs. Restart it; if this repeats, replace the board.",
    "name_taken": "Another dispenser signs in under its name; it takes no jobs. Switch one off, restart the other.",
    "servo_fault": "Its servo driver does not answer and it takes no jobs. Check the cable and the power.",
}
