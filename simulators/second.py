"""Two boards under one id, and how a person ends that.

The second one is a new board: its flash is empty, so it is another store to the ledger, which from then on ignores the
first. A person switches the second off, wipes the first and restarts it; not in the middle of a job, so that the ledger
can know to the milligram what left the flasks.
"""

import asyncio

from simulators.board import Board
from simulators.truth import newest_state

# How long somebody leaves the second board on.
ON_S = (5.0, 30.0)

# A board that has a job in hand is waited for, but not for ever: its report may find nobody.
_AT_REST_WITHIN_S = 120.0
_LOOK_S = 0.2

# From pulling the plug to a board that is set up anew.
_SET_UP_MS = 2_000


async def run_second(first: Board, second: Board, on_s: float) -> None:
    """The second board is on for a while; then the first is set up anew."""
    second.boot()
    try:
        await asyncio.sleep(on_s)
        await _at_rest(second)
    finally:
        await second.stop()
    await _at_rest(first)
    first.hardware.flash.wipe()
    first.power_cut(_SET_UP_MS)


async def _at_rest(board: Board) -> None:
    deadline_s = asyncio.get_running_loop().time() + _AT_REST_WITHIN_S
    while not _is_at_rest(board) and asyncio.get_running_loop().time() < deadline_s:
        await asyncio.sleep(_LOOK_S)


def _is_at_rest(board: Board) -> bool:
    """No job in hand, and no report that waits for its receipt; as the flash says it."""
    newest = newest_state(board.hardware.flash.read())
    return newest is not None and newest.job is None and not newest.unreceipted
