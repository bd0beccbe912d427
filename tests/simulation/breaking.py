"""Carries out what a plan breaks. Each kind says whether it struck: a link that is not there cannot break."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulators.board import Board
from simulators.world.sessions import Message, Session
from tests.simulation import plan
from tests.simulation.plan import Action

if TYPE_CHECKING:
    from tests.simulation.world import World

INGEST = "svc_ingest"
DISPATCH = "svc_dispatch"
DASHBOARD = "svc_dashboard"

# A message that nobody has acknowledged yet, a client that is connected: looked for so often.
_WAITING = (plan.REPEAT, plan.TAKEOVER)
_AGAIN_S = 0.03
_TRIES = 60

# Most flasks are open for less, and their save takes up to 200 ms.
_POUR_S = 0.7


def strike(world: World, action: Action, tries: int = _TRIES) -> None:
    """Do it, and count it if it did anything. What needs something under way waits a while for it."""
    if _KINDS[action.kind](world, action):
        world.struck(action.kind)
    elif action.kind in _WAITING and tries and not world.is_healed:
        world.loop.call_later(_AGAIN_S, strike, world, action, tries - 1)


def _power_cut(world: World, action: Action) -> bool:
    if action.numbers[3] < plan.IN_THE_POUR:
        # When the next flask has opened: it is still open then, or what it gave is being saved.
        world.at_opening[action.device] = lambda: world.loop.call_later(
            _POUR_S * action.numbers[4], _cut, world, action
        )
        return False  # counted when it happens
    return _cut_now(world, action)


def _cut(world: World, action: Action) -> None:
    if not world.is_healed and _cut_now(world, action):
        world.struck(action.kind)


def _cut_now(world: World, action: Action) -> bool:
    board = _board(world, action)
    if board.core is None:
        return False
    off_ms = int(100 + 3000 * action.numbers[0])
    board.power_cut(off_ms)
    if action.numbers[1] < 0.3:
        # And again while it recovers.
        again_s = (off_ms + 300 * action.numbers[2]) / 1000
        world.loop.call_later(again_s, lambda: _board(world, action).power_cut(500))
    return True


def _wifi_drop(world: World, action: Action) -> bool:
    wifi = _board(world, action).wifi
    was_online = wifi.online
    wifi.drop(int(300 + 20_000 * action.numbers[0] ** 2))
    return was_online


def _half_open(world: World, action: Action) -> bool:
    wifi = _board(world, action).wifi
    was_online = wifi.online
    wifi.half_open()
    return was_online


def _flash_full(world: World, action: Action) -> bool:
    flash = _board(world, action).hardware.flash
    flash.full = True

    def room() -> None:
        flash.full = False

    world.loop.call_later(0.5 + 8 * action.numbers[0], room)
    return True


def _bit_flip(world: World, action: Action) -> bool:
    """Power goes, and a bit of the newest state is another one when it is back."""
    board = _board(world, action)
    flash = world.dispensers.flash[action.device]
    board.power_cut(int(100 + 2000 * action.numbers[0]))
    return flash.flip(action.numbers[1])


def _wipe(world: World, action: Action) -> bool:
    world.dispensers.wipe(action.device, int(100 + 2000 * action.numbers[0]))
    return True


def _swap(world: World, action: Action) -> bool:
    world.dispensers.swap(action.device)
    return True


def _broker_stop(world: World, action: Action) -> bool:
    if not world.broker.up:
        return False
    world.broker.stop(crash=action.kind == plan.BROKER_CRASH)
    world.loop.call_later(0.2 + 4 * action.numbers[0], world.broker.start)
    return True


def _late_will(world: World, action: Action) -> bool:
    world.broker.late_wills_s = [0.5 + 30 * action.numbers[0]]
    return world.broker.break_client(action.device)


def _repeat(world: World, action: Action) -> bool:
    return world.broker.repeat(INGEST) + world.broker.repeat(action.device) > 0


def _link_break(world: World, action: Action) -> bool:
    names = [DISPATCH] if world.screen is None else [DISPATCH, DASHBOARD]
    return world.broker.break_client(INGEST if action.numbers[0] < 0.6 else names[int(action.numbers[1] * len(names))])


class _Stranger:
    """Another client under a dispenser's name. It only listens."""

    def __init__(self) -> None:
        self.session = Session("", False)

    def deliver(self, message: Message) -> None:
        pass

    def ended(self) -> None:
        pass


def _takeover(world: World, action: Action) -> bool:
    if not world.broker.up or not _board(world, action).wifi.online:
        return False
    stranger = _Stranger()
    stranger.session = world.broker.connect(stranger, action.device, False)
    world.loop.call_later(5 * action.numbers[0], world.broker.disconnect, action.device, stranger)
    return True


def _kill(world: World, action: Action) -> bool:
    process = world.processes[INGEST if action.kind == plan.INGEST_KILL else DISPATCH]
    if not process.is_alive:
        return False
    process.kill()
    world.loop.call_later(0.05 + 3 * action.numbers[0], process.start)
    return True


def _database_away(world: World, action: Action) -> bool:
    world.ledger.is_away = True

    def back() -> None:
        world.ledger.is_away = False

    world.loop.call_later(0.2 + 5 * action.numbers[0], back)
    return True


def _statement(world: World, action: Action) -> bool:
    world.ledger.fail_in(1 + int(25 * action.numbers[0]))
    return False  # counted when it fails


def _commit_unknown(world: World, _action: Action) -> bool:
    world.ledger.doubt_next = True
    return False  # counted when it happens


def _restore(world: World, action: Action) -> bool:
    if world.ledger.rows("SELECT 1 FROM device WHERE epoch IS NULL"):
        # A board that a ledger has never met may have had another life: what it did then is a dead letter, not a debit
        # (docs/decisions/0007). So nobody restores a backup from before that.
        return False
    backup = world.ledger.back_up()

    def restore() -> None:
        for process in world.processes.values():
            process.kill()
        world.ledger.restore(backup)
        world.struck(plan.RESTORE)
        world.loop.call_later(0.5, start)

    def start() -> None:
        for process in world.processes.values():
            process.start()

    world.restores += 1
    world.loop.call_later(0.5 + 20 * action.numbers[0] ** 2, restore)
    return False  # counted when it is restored


def _board(world: World, action: Action) -> Board:
    return world.dispensers.boards[action.device]


_KINDS: dict[str, Callable[[World, Action], bool]] = {
    plan.POWER_CUT: _power_cut,
    plan.WIFI_DROP: _wifi_drop,
    plan.HALF_OPEN: _half_open,
    plan.FLASH_FULL: _flash_full,
    plan.BIT_FLIP: _bit_flip,
    plan.WIPE: _wipe,
    plan.SWAP: _swap,
    plan.BROKER_CRASH: _broker_stop,
    plan.BROKER_RESTART: _broker_stop,
    plan.LATE_WILL: _late_will,
    plan.REPEAT: _repeat,
    plan.LINK_BREAK: _link_break,
    plan.TAKEOVER: _takeover,
    plan.INGEST_KILL: _kill,
    plan.DISPATCH_KILL: _kill,
    plan.DATABASE_AWAY: _database_away,
    plan.STATEMENT: _statement,
    plan.COMMIT_UNKNOWN: _commit_unknown,
    plan.RESTORE: _restore,
}
KINDS = frozenset(_KINDS)
