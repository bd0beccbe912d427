"""The only definition of what travels between dispensers, services and screens.

Plain Python that runs on CPython 3.11+ and on MicroPython: no typing, enum or dataclasses at run time, no I/O.
`docs/protocol.md` is generated from the tables in this package.
"""
