"""What can go wrong without being a bug: the text of each error says what to do."""

from broker.server import BrokerNotStarted
from broker.store import StoreBroken
from pitada.demo.run import DemoStuck
from pitada.flashing import FlashingFailed
from pitada.fleet.api import ApiRefused, ApiUnreachable
from pitada.fleet.orders import OrdersStuck
from pitada.local.certificates import CertificatesFailed
from pitada.local.mosquitto import MosquittoFailed
from pitada.local.postgresql import LocalPostgresqlError
from pitada.local.up import UpLocalFailed
from pitada.secrets import BadSecrets
from pitada.web import PortTaken
from services.calibration import CalibrationRefused
from services.devices import DeviceRefused
from services.ledger.database import LedgerError
from services.orders import OrderRefused
from services.recipes import RecipeRefused
from simulators.fleet import FleetBroken

EXPECTED = (
    ApiRefused,
    ApiUnreachable,
    BadSecrets,
    BrokerNotStarted,
    CalibrationRefused,
    CertificatesFailed,
    DemoStuck,
    DeviceRefused,
    FlashingFailed,
    FleetBroken,
    LedgerError,
    LocalPostgresqlError,
    MosquittoFailed,
    OrderRefused,
    OrdersStuck,
    PortTaken,
    RecipeRefused,
    StoreBroken,
    UpLocalFailed,
)


def expected(error: BaseException) -> Exception | None:
    """The expected error that `error` is, or that a group of errors holds."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for inner in error.exceptions if (found := expected(inner))), None)
    return error if isinstance(error, EXPECTED) else None
