"""The bounds every part keeps, each with the reason for its value."""

# A dispenser has about 50 kB of free heap to work with: one message, its parsed form and its copy must fit many times.
MAX_PAYLOAD_BYTES = 4096

# One PCA9685 servo driver has 16 channels.
MAX_FLASKS = 16
MAX_ITEMS = 16

# 10 kg: more than any flask holds; an order above it is a typing error.
MAX_TARGET_MG = 10_000_000

# Ten minutes with an open gate is a fault, whatever the order said.
MAX_OPEN_MS = 600_000

# A report that was not receipted is sent again this often.
COMPLETION_RETRY_MS = 30_000

# Completions a dispenser keeps in flash, for a server restored from an old backup.
KEPT_COMPLETIONS = 8

# Half a minute of silence, times 1.5, is the longest a dead dispenser can look alive.
KEEPALIVE_S = 30

# Numbers stay inside MicroPython's 31-bit small integers, so counting allocates nothing.
MAX_COUNT = 1_000_000_000

# 300 years in milliseconds; also the last integer size that JavaScript holds exactly, with room to spare.
MAX_MS = 10_000_000_000_000
