"""The VM is no kinder than the chip: in what it does at a power cut, on the network, and when memory is short."""

import asyncio
import ssl
from pathlib import Path

import pytest

from pitada.local import certificates
from tests.micropython.vm import Vm, boot

SAVE = "tests.micropython.inside.probes:save"
TALK = "tests.micropython.inside.probes:talk"


async def saved_with_cut(image: Path, flash: Path, cut_at: int, torn_bytes: int = -1) -> tuple[bytes | None, list[str]]:
    """Save `one`, then `three`, then remove the slot, with a power cut; what the slot holds, and what was said."""
    async with Vm(image, flash, SAVE, "state.a", "one", "three", cut_at=cut_at, torn_bytes=torn_bytes) as vm:
        assert await vm.ended() != 0
    slot = flash / "state.a"
    return slot.read_bytes() if slot.exists() else None, vm.lines


@pytest.mark.parametrize(("cut_at", "expected"), [(1, None), (2, None), (3, b"one"), (4, b"one"), (5, b"three")])
async def test_power_goes_before_the_flash_operation_that_was_asked_for(
    vm_image: Path, tmp_path: Path, cut_at: int, expected: bytes | None
) -> None:
    content, lines = await saved_with_cut(vm_image, tmp_path / "flash", cut_at)
    assert content == expected
    assert lines[-1].startswith(f"cut at operation {cut_at}:")


async def test_a_torn_write_leaves_the_old_slot_and_is_not_read(vm_image: Path, tmp_path: Path) -> None:
    content, _lines = await saved_with_cut(vm_image, tmp_path / "flash", 3, torn_bytes=2)
    assert content == b"one"
    assert (tmp_path / "flash/~").read_bytes() == b"th"
    lines = await boot(vm_image, tmp_path / "flash", "tests.micropython.inside.probes:read")
    assert lines[0] == "out [('state.a', b'one')]"


async def test_what_was_saved_is_there_at_the_next_boot(vm_image: Path, tmp_path: Path) -> None:
    await saved_with_cut(vm_image, tmp_path / "flash", 5)
    lines = await boot(vm_image, tmp_path / "flash", "tests.micropython.inside.probes:read")
    assert lines[0] == "out [('state.a', b'three')]"


async def test_a_stream_carries_bytes_both_ways(vm_image: Path, tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readexactly(5))[::-1])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        lines = await boot(vm_image, tmp_path, TALK, server.sockets[0].getsockname()[1], "")
    assert lines[:4] == ["out open", "out read b'olle'", "out read b'h'", "out read b''"]


async def test_connecting_to_nobody_succeeds_and_reading_does_not(
    vm_image: Path, tmp_path: Path, unused_tcp_port: int
) -> None:
    lines = await boot(vm_image, tmp_path, TALK, unused_tcp_port, "")
    assert lines[:2] == ["out open", "out OSError"]


async def test_tls_is_real_and_a_server_that_nobody_vouches_for_is_a_value_error(
    vm_image: Path, tmp_path: Path
) -> None:
    ours = certificates.make(tmp_path / "ours")
    theirs = certificates.make(tmp_path / "theirs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours.broker, ours.broker_key)

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hi")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        good = await boot(vm_image, tmp_path / "flash", TALK, port, ours.authority.read_text())
        bad = await boot(vm_image, tmp_path / "flash", TALK, port, theirs.authority.read_text())
    assert "out read b'hi'" in good
    assert bad[:2] == ["out open", "out ValueError"]


async def test_a_capped_heap_ends_in_a_memory_error_where_it_was_told_to(vm_image: Path, tmp_path: Path) -> None:
    async with Vm(
        vm_image, tmp_path, "tests.micropython.inside.probes:fill", 1024, heap_bytes=128 << 10, is_capped=True
    ) as vm:
        await vm.ended()
    steps = int(vm.lines[0].split()[-1])
    assert 60 < steps < 128, vm.lines
