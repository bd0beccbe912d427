"""`pitada flash`: the firmware onto an ESP32."""

from pathlib import Path
from typing import Annotated

import typer

from pitada import flashing
from pitada.cli.options import AsJson
from pitada.cli.output import console, errors, print_json

BUILT = Path("build/firmware/board")


def flash(
    port: Annotated[str, typer.Option(help="Where the board is: /dev/ttyUSB0, COM3, …")],
    built: Annotated[Path, typer.Option("--from", help="What `make firmware` made.")] = BUILT,
    ca: Annotated[Path | None, typer.Option(help="Certificate of your authority, for TLS: ca.crt.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put the firmware onto an ESP32 that runs MicroPython. Its settings and its journal stay."""
    label = flashing.flash(flashing.mpremote(), port, built, ca, errors.print)
    if as_json:
        print_json({"network": label.network, "password": label.password})
        return
    console.print(
        f"Done. Write on the dispenser's label: Wi-Fi [bold]{label.network}[/], password [bold]{label.password}[/].\n"
        "A new dispenser opens this Wi-Fi now: join it with a phone and open http://192.168.4.1/. One that has its "
        "settings goes to work; hold its button for 8 seconds to change them.",
        soft_wrap=True,
    )
