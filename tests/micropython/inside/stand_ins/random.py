"""`random.Random`: the same seed gives the same numbers, though not CPython's."""


class Random:
    """xorshift32 (Marsaglia 2003)."""

    def __init__(self, seed: int) -> None:
        self._state = (seed * 2654435761 + 0x9E3779B9) & 0xFFFFFFFF or 1

    def getrandbits(self, count: int) -> int:
        bits = 0
        for _ in range(0, count, 16):
            state = self._state
            state ^= state << 13 & 0xFFFFFFFF
            state ^= state >> 17
            state ^= state << 5 & 0xFFFFFFFF
            self._state = state
            bits = bits << 16 | state >> 16
        return bits & (1 << count) - 1

    def randrange(self, start: int, stop: "int | None" = None) -> int:
        low, high = (0, start) if stop is None else (start, stop)
        span = high - low
        bits = 16
        while span >> bits:
            bits += 16
        return low + self.getrandbits(bits + 16) % span

    def randint(self, low: int, high: int) -> int:
        return self.randrange(low, high + 1)

    def random(self) -> float:
        return self.getrandbits(24) / (1 << 24)

    def choice(self, values: "list[object]") -> "object":
        return values[self.randrange(len(values))]

    def sample(self, values: "list[object]", count: int) -> "list[object]":
        left = list(values)
        return [left.pop(self.randrange(len(left))) for _ in range(count)]

    def randbytes(self, count: int) -> bytes:
        return bytes([self.getrandbits(8) for _ in range(count)])
