"""The dispenser without hardware: no clock, file, socket or pin. `board/` and the simulators carry out its orders."""
