"""What a demo run proved: the ledger's word beside what physically left the flasks."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from services.ledger import queries
from services.ledger.audit import audit
from services.ledger.database import Database
from services.ledger.dispensed import dispensed
from simulators import faults
from simulators.fleet import Fleet
from simulators.truth import FlaskLedger, compare


@dataclass(frozen=True)
class Summary:
    """Counts, and two numbers that must be 0: `divergences` and `double_dispenses`."""

    jobs: dict[str, int]
    items: dict[str, int]
    movements: int
    in_doubt: int
    divergences: int
    double_dispenses: int
    power_cuts: int
    wifi_drops: int
    jams: int
    duplicates: int
    dead_letters: int
    seconds: float
    problems: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return self.divergences == 0 and self.double_dispenses == 0


def flask_ledger(database: Database) -> list[FlaskLedger]:
    """What the ledger says has left each flask by now."""
    with database.read() as tx:
        return [FlaskLedger(one.device, one.flask, one.dispensed_mg, one.in_doubt_mg) for one in dispensed(tx)]


def since(before: Iterable[FlaskLedger], now: Iterable[FlaskLedger], devices: Set[str]) -> list[FlaskLedger]:
    """What left each flask of these devices in between. An item that was in doubt before is not judged again."""
    earlier = {(flask.device, flask.flask): flask for flask in before}
    since = []
    for flask in now:
        if flask.device not in devices:
            continue
        was = earlier.get((flask.device, flask.flask), FlaskLedger(flask.device, flask.flask, 0))
        doubts = Counter(flask.in_doubt_mg) - Counter(was.in_doubt_mg)
        since.append(
            flask._replace(dispensed_mg=flask.dispensed_mg - was.dispensed_mg, in_doubt_mg=tuple(doubts.elements()))
        )
    return since


def summarise(
    database: Database,
    fleet: Fleet,
    seconds: float,
    before: Sequence[FlaskLedger] = (),
    but: Set[str] = frozenset(),
) -> Summary:
    """Judges the ledger by itself (its audit) and by what left the flasks, in-doubt ranges counted.

    `before`: what had left the flasks when the fleet was switched on; other dispensers' flasks are not judged, nor are
    those of dispensers in `but`.
    """
    ledger = since(before, flask_ledger(database), {spec.device for spec in fleet.specs})
    with database.read() as tx:
        books = audit(tx)
        jobs, items = queries.job_counts(tx), queries.item_counts(tx)
        dead_letters = queries.dead_letters(tx)
    judged = compare(fleet.truth, ledger, but)
    problems = (
        *books.problems,
        *(str(divergence) for divergence in judged.divergences),
        *(f"opened without a journal entry: {opening}" for opening in judged.unjournaled),
        *(f"opened twice: {twice}" for twice in judged.double_dispenses),
    )
    return Summary(
        jobs={state: count for state, count in jobs.items() if count},
        items={state: count for state, count in items.items() if count},
        movements=books.movements,
        in_doubt=books.in_doubt,
        divergences=books.divergences + len(judged.divergences) + len(judged.unjournaled),
        double_dispenses=len(judged.double_dispenses),
        power_cuts=fleet.faults[faults.POWER_CUT],
        wifi_drops=fleet.faults[faults.WIFI_DROP],
        jams=fleet.faults[faults.JAM],
        duplicates=fleet.faults[faults.DUPLICATE],
        dead_letters=len(dead_letters),
        seconds=round(seconds, 1),
        problems=problems,
    )
