"""The first module of a boot in the VM: stands in for what the chip's build has beyond it, then runs one task."""

import asyncio
import json
import sys

import _bridge  # type: ignore[import-not-found]  # made in vm.mjs

from tests.micropython.inside import ssl, streams

sys.modules["ssl"] = ssl
asyncio.open_connection = streams.open_connection  # type: ignore[assignment]  # the VM's asyncio has no sockets


def start(call: str, arguments: str) -> None:
    """Run `module:function` with a JSON list of arguments as a task; the process ends when it does.

    A task, since the port's top level cannot be cancelled or hear exceptions.
    """
    asyncio.create_task(_run(call, json.loads(arguments)))  # noqa: RUF006  # the VM's loop holds its tasks


async def _run(call: str, arguments: "list[object]") -> None:
    code = 0
    try:
        module, function = call.split(":")
        __import__(module)
        await getattr(sys.modules[module], function)(*arguments)
    except BaseException as error:
        sys.print_exception(error)  # type: ignore[attr-defined]  # MicroPython's
        code = 1
    _bridge.exit(code)
