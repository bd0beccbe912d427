"""Tries every cut: before each flash write, at each byte of it, after it, in the middle of each opening, and again.

A write that is cut leaves the first n bytes in the slot itself: worse than littlefs, which leaves the old content
(`blocks` shows that). Every torn size is booted; those that the boot takes for unreadable all go on alike, so one of
them is run to the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from firmware.core.slots import STATES
from tests.power_cuts.lives import Life, World, first_orders, first_world, live
from tests.power_cuts.shapes import Figures, Shape


@dataclass(frozen=True)
class Effort:
    """How much is tried. `torn_every`, `flip_every`: every n-th byte, every n-th bit; `double`: cut recoveries too."""

    torn_every: int = 1
    flip_every: int = 101
    double: bool = True


def search(shape: Shape, effort: Effort) -> Figures:
    """Every cut of one job. Deterministic: the same shape and effort give the same figures."""
    figures = Figures()
    life = live(shape, first_world(shape))
    figures.take(shape, life.ending)
    for world in _cut_anywhere(life, figures, shape, effort):
        recovery = live(shape, world)
        figures.take(shape, recovery.ending)
        if effort.double:
            for again in _cut_again(recovery, figures):
                figures.take(shape, live(shape, again).ending)
    return figures


def _cut_anywhere(life: Life, figures: Figures, shape: Shape, effort: Effort) -> Iterator[World]:
    """The worlds that different cuts of this life leave, to be lived on in; worlds that only rotted are judged here."""
    for operation in life.operations:
        world, slot, content = operation.world, operation.slot, operation.content
        figures.cuts += 2
        figures.before += 1
        yield world
        yield world.holding(slot, content)
        unreadable = world.holding(slot, b"")
        expected = first_orders(unreadable)
        yield unreadable
        for size in range(0, len(content), effort.torn_every):
            figures.cuts += 1
            figures.torn += 1
            torn = world.holding(slot, content[:size])
            _expect(torn, expected, figures, shape)
        for generation in STATES:
            if generation in world.flash:
                _flip(world, generation, figures, shape, effort.flip_every)
    for world in life.open_worlds:
        figures.cuts += 1
        figures.while_open += 1
        yield world


def _cut_again(recovery: Life, figures: Figures) -> Iterator[World]:
    for operation in recovery.operations:
        world, slot, content = operation.world, operation.slot, operation.content
        figures.cuts += 3
        figures.double += 3
        yield world
        yield world.holding(slot, content[: len(content) // 2])
        yield world.holding(slot, content)
    for world in recovery.open_worlds:
        figures.cuts += 1
        figures.double += 1
        yield world


def _flip(world: World, generation: str, figures: Figures, shape: Shape, every: int) -> None:
    """Turn bits of one generation: the boot must take each for the loss of that generation, and end the job."""
    lost = world.holding(generation, b"")
    figures.take(shape, live(shape, lost).ending)
    expected = first_orders(lost)
    content = world.flash[generation]
    for bit in range(0, 8 * len(content), every):
        figures.bit_flips += 1
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        _expect(world.holding(generation, bytes(changed)), expected, figures, shape)


def _expect(damaged: World, expected: str | None, figures: Figures, shape: Shape) -> None:
    """A boot from damage is a boot from the loss of that slot; where it is not, it shows where that leads."""
    found = first_orders(damaged)
    if found is None:
        figures.unbootable += 1
    elif found != expected:
        figures.undetected += 1
        figures.take(shape, live(shape, damaged).ending)
