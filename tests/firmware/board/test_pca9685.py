"""The servo driver's registers, by what its outputs do."""

from collections.abc import Iterator
from itertools import repeat

import pytest

from firmware.board.pca9685 import ADDRESS, Pca9685
from tests.firmware.board.chips import I2C, Pin, ServoDriver


@pytest.fixture
def chip() -> ServoDriver:
    return ServoDriver(Pin(0))


@pytest.fixture
def bus(chip: ServoDriver) -> I2C:
    return I2C({ADDRESS: chip})


@pytest.fixture
def driver(bus: I2C) -> Pca9685:
    return Pca9685(bus)


def test_it_sends_fifty_pulses_a_second_and_none_until_it_is_told(driver: Pca9685, chip: ServoDriver) -> None:
    chip.registers[0x09] = 0
    driver.set_up()
    assert chip.pulses_per_s == pytest.approx(50, rel=0.002)
    assert [chip.pulse_us(channel) for channel in range(16)] == [0] * 16
    assert driver.is_set_up()


@pytest.mark.parametrize("channel", [0, 7, 15])
@pytest.mark.parametrize("pulse_us", [500, 1000, 1500, 2000, 2500])
def test_a_pulse_is_as_long_as_asked_on_its_channel_alone(
    driver: Pca9685, chip: ServoDriver, channel: int, pulse_us: int
) -> None:
    driver.set_up()
    driver.set_pulse(channel, pulse_us)
    assert abs(chip.pulse_us(channel) - pulse_us) <= 3  # a count is 4.88 us
    assert sum(chip.pulse_us(other) > 0 for other in range(16)) == 1
    driver.set_off(channel)
    assert chip.pulse_us(channel) == 0


def test_a_driver_that_lost_its_power_is_seen(driver: Pca9685, chip: ServoDriver) -> None:
    driver.set_up()
    chip.power_cycle()
    assert not driver.is_set_up()
    driver.set_up()
    assert driver.is_set_up()


def test_a_driver_that_does_not_answer_is_an_error(driver: Pca9685, bus: I2C) -> None:
    bus.script = repeat(True)
    with pytest.raises(OSError, match="ENODEV"):
        driver.set_up()
    with pytest.raises(OSError, match="ENODEV"):
        driver.set_pulse(3, 1000)
    with pytest.raises(OSError, match="ENODEV"):
        driver.is_set_up()


class Forgetful(ServoDriver):
    """Answers, and keeps nothing."""

    def write(self, register: int, data: bytes) -> None:
        pass


def test_a_driver_that_does_not_keep_what_it_is_told_is_an_error() -> None:
    driver = Pca9685(I2C({ADDRESS: Forgetful(Pin(0))}))
    with pytest.raises(OSError, match="does not keep its settings"):
        driver.set_up()
    with pytest.raises(OSError, match="channel 3 does not hold its pulse"):
        driver.set_pulse(3, 1000)


def test_another_address_is_another_driver(chip: ServoDriver) -> None:
    script: Iterator[bool] = iter(())
    bus = I2C({0x41: chip})
    bus.script = script
    Pca9685(bus, 0x41).set_up()
    with pytest.raises(OSError, match="ENODEV"):
        Pca9685(bus).set_up()
