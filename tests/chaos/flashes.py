"""What the dispensers of a fleet have in flash: the reports that they hold for receipted, and what is left to do."""

from firmware.core.slots import DONE, unseal
from protocol import codec
from protocol.messages import JobCompleted
from simulators.flash import Flash
from simulators.fleet import Fleet
from simulators.truth import newest_state


class Flashes:
    """`look` often enough, and `receipted` is every job whose receipt a dispenser has saved: it says those no more.

    A dispenser keeps its last 8 reports, so "often enough" is before it has ended 8 jobs.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.receipted: set[str] = set()
        self._fleet = fleet
        self._seen_writes: dict[str, int] = {}

    def look(self) -> None:
        """Read what was written since the last look."""
        for device, flash in self._flashes():
            if self._seen_writes.get(device) != flash.writes:
                self._seen_writes[device] = flash.writes
                self.receipted |= receipted(flash.read())

    def busy(self) -> list[str]:
        """The dispensers that have a job in hand, or a report that was not receipted."""
        states = {device: newest_state(flash.read()) for device, flash in self._flashes()}
        return [device for device, state in states.items() if state and (state.job or state.unreceipted)]

    def _flashes(self) -> list[tuple[str, Flash]]:
        return [(device, board.hardware.flash) for device, board in self._fleet.boards.items()]


def receipted(slots: dict[str, bytes]) -> set[str]:
    """The jobs of the reports that are receipted, by what is in flash."""
    state = newest_state(slots)
    if state is None:
        return set()
    jobs = set()
    for index, name in enumerate(DONE):
        body = None if state.unreceipted >> index & 1 else unseal(slots.get(name))
        if body is not None:
            done = codec.decode(JobCompleted, body)
            # A report is saved before the state that says that it waits: until then its job is the one in hand.
            if done.job != state.job and done.seq <= state.last_seq:
                jobs.add(done.job)
    return jobs
