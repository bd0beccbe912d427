"""Dispensers without hardware: the real core over real sockets, flasks with physics, faults from a seed, and the truth.

`fleet.Fleet` is the face; `truth.compare` judges a ledger by what physically left the flasks.
"""
