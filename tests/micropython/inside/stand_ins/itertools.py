"""The part of `itertools` that the tests use, as lists."""


def pairwise(values: "object") -> "list[tuple[object, object]]":
    """Each value with the next."""
    one = list(values)  # type: ignore[call-overload]  # any iterable
    return list(zip(one, one[1:]))  # noqa: B905, RUF007  # this is pairwise; MicroPython's zip has no strict


def product(*groups: "object") -> "list[tuple[object, ...]]":
    """Every choice of one of each."""
    rows = [()]  # type: list[tuple[object, ...]]
    for group in groups:
        values = list(group)  # type: ignore[call-overload]  # any iterable
        rows = [row + (value,) for row in rows for value in values]  # noqa: RUF005  # MicroPython has no (*row, value)
    return rows


def permutations(values: "object") -> "list[tuple[object, ...]]":
    """Every order."""
    left = list(values)  # type: ignore[call-overload]  # any iterable
    if not left:
        return [()]
    return [
        (one,) + rest  # noqa: RUF005  # as above
        for position, one in enumerate(left)
        for rest in permutations(left[:position] + left[position + 1 :])
    ]
