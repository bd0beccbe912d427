"""Which pin of the ESP32 goes where, as the wiring table in docs/firmware.md says (a test compares them)."""

# The servo driver's I2C, and its OE: high takes all pulses away.
SDA = 21
SCL = 22
ENABLE = 19

# To ground when pressed. On most boards this is the button that is there already, marked BOOT.
BUTTON = 0

# On at high. On most boards there is a LED on it already.
LED = 2

# The load cell's converter.
SCALE_DATA = 32
SCALE_CLOCK = 33

# Every servo driver takes this; faster gains nothing that a servo could notice.
I2C_HZ = 100_000
