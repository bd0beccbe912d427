"""What the fleet's channel shows: every dispenser and flask, and the newest jobs."""

from collections.abc import Callable, Mapping

from dashboard.channel import Channel
from dashboard.job_picture import summary_value
from dashboard.ledger_reads import Fleet
from dashboard.picture import DispenserPicture, dispenser_value, flask_value, picture_of


class FleetPicture:
    """The dispensers as they are known, and the channel that shows them. Bounded by the fleet in the ledger."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.channel = Channel(now_ms)
        self.dispensers: dict[str, DispenserPicture] = {}

    def take(self, fleet: Fleet) -> None:
        """The ledger was read: show what it has, and no longer what it has not."""
        for view in fleet.dispensers:
            picture = self.dispensers.get(view.device)
            if picture is None:
                self.dispensers[view.device] = picture_of(view)
            else:
                picture.reread(view)
        for device in self.dispensers.keys() - {view.device for view in fleet.dispensers}:
            del self.dispensers[device]
        shown = {"feed"}
        for device, picture in self.dispensers.items():
            self.show(device)
            shown.add(f"device/{device}")
            for flask in picture.flasks:
                self.show_flask(device, flask)
                shown.add(f"flask/{device}/{flask}")
        for job in fleet.jobs:
            self.channel.put(f"job/{job.job}", summary_value(job))
            shown.add(f"job/{job.job}")
        for key in self.channel.keys() - shown:
            self.channel.put(key, None)

    def show(self, device: str) -> Mapping[str, object]:
        """Put a dispenser on the channel, and return what is shown of it."""
        value = dispenser_value(self.dispensers[device])
        self.channel.put(f"device/{device}", value)
        return value

    def show_flask(self, device: str, flask: int) -> None:
        """Put a flask on the channel; one that the ledger does not know is not shown."""
        picture = self.dispensers[device]
        if flask in picture.flasks:
            self.channel.put(f"flask/{device}/{flask}", flask_value(picture, flask))
