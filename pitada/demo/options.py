"""What a demo run is asked to be."""

from dataclasses import dataclass
from typing import Literal

BrokerKind = Literal["embedded", "mosquitto"]
DatabaseKind = Literal["sqlite", "postgresql"]


@dataclass(frozen=True)
class DemoOptions:
    """`jobs` None: until stopped, at the leisure of someone who watches."""

    jobs: int | None
    seed: int
    broker: BrokerKind
    database: DatabaseKind
    http_port: int
