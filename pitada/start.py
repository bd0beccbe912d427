"""The way into `pitada`: its modules are loaded as fast as they can be, for a service that was killed is waited for."""

import gc


def main() -> None:
    """Runs the command on the command line.

    What modules are made of stays: to look for garbage in it takes a quarter of a start, and time in every look after.
    """
    gc.disable()
    from pitada import cli

    gc.freeze()
    gc.enable()
    cli.main()
