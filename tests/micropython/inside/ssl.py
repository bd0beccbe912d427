"""The part of MicroPython's `ssl` that the firmware uses. The handshake is real; JavaScript does it."""

PROTOCOL_TLS_CLIENT = 0
CERT_NONE = 0
CERT_REQUIRED = 2


class SSLContext:
    """As on the chip: it verifies nothing until it is told to."""

    def __init__(self, protocol: int) -> None:
        self.verify_mode = CERT_NONE
        self._certificates = ""

    def load_verify_locations(self, cafile: "str | None" = None, cadata: "bytes | None" = None) -> None:
        """Certificates to trust, in DER or PEM."""
        if cadata is None or cafile is not None:
            raise ValueError("the VM takes certificates as cadata")
        self._certificates = bytes(cadata).decode()

    @property
    def trusted(self) -> str:
        """For the bridge. Raises ValueError where nothing would be verified: the tests want no such thing."""
        if self.verify_mode != CERT_REQUIRED or not self._certificates:
            raise ValueError("this TLS context verifies nothing")
        return self._certificates
