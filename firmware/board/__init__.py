"""The dispenser's hardware and network: the only part of the firmware that does I/O."""
