"""The seeded world: dispensers, a broker and a network whose time, chance and faults all come from one seed.

Whatever runs in it is the product's own code; only sockets, time, flash and randomness are replaced. The services are
put into it by `tests/simulation`.
"""
