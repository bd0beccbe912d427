"""The dispensers of a fleet, claimed as real ones are, and the wait until the broker knows them."""

import asyncio
import getpass
import itertools
from collections.abc import Sequence

from services import devices
from services.clock import now_ms
from services.devices import Claim, FlaskSetup
from services.ledger.database import Database
from services.mqtt import Account, BrokerAddress, connected
from simulators.flask import FlaskSpec
from simulators.fleet import DispenserSpec, FleetBroken

# Four flasks are usual; 10 kg each lasts for any test.
FLASKS = 4
CONTENTS_MG = 10_000_000
FLOW_MG_PER_S = 20_000

# In one transaction: short enough that other writers of an SQLite ledger hardly wait.
_AT_ONCE = 500

# A house tells its broker of new accounts within a second or two.
_KNOWN_S = 30.0


def claim_fleet(database: Database, names: Sequence[str]) -> list[DispenserSpec]:
    """Claims them all; one that is claimed already gets a new password, for the old one is nowhere kept."""
    flasks = range(1, FLASKS + 1)
    setups = [FlaskSetup(flask, f"Ingredient {flask}", CONTENTS_MG, CONTENTS_MG, FLOW_MG_PER_S) for flask in flasks]
    contents = tuple(FlaskSpec(flask, CONTENTS_MG, FLOW_MG_PER_S) for flask in flasks)
    passwords: dict[str, str] = {}
    rest = iter(names)
    while some := list(itertools.islice(rest, _AT_ONCE)):
        claims = [Claim(name, name, setups) for name in some]
        made = devices.claim_all(database, claims, now_ms=now_ms(), by=getpass.getuser())
        passwords |= made
        passwords |= devices.rotate_passwords(database, [name for name in some if name not in made])
    return [DispenserSpec(name, passwords[name], contents) for name in names]


async def known_to_broker(address: BrokerAddress, spec: DispenserSpec) -> None:
    """Returns when the broker lets this dispenser, the last one claimed, sign in: then it knows them all.

    Raises `FleetBroken` when it does not within half a minute.
    """
    why = ["it was not tried"]
    try:
        async with asyncio.timeout(_KNOWN_S):
            async with connected(address, Account(spec.device, spec.password), on_refusal=why.append):
                pass
    except TimeoutError:
        raise FleetBroken(
            f"The broker at {address.host}:{address.port} lets {spec.device} not sign in: {why[-1]}. Is it the broker "
            "of this house, and is the house up?"
        ) from None
