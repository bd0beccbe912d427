"""Why a dispenser or an account was left as it was. The text says what happened, to what, and what to do."""


class DeviceRefused(Exception):
    """Nothing was changed."""


class DeviceExists(DeviceRefused):
    """The id is claimed already."""

    def __init__(self, device: str) -> None:
        self.device = device
        super().__init__(f"{device} is claimed already. Choose another id, or give {device} a new password.")


class BadSetup(DeviceRefused):
    """What was asked for a dispenser cannot be."""


class UnknownDispenser(DeviceRefused):
    """No dispenser has this id."""

    def __init__(self, device: str) -> None:
        self.device = device
        super().__init__(f"There is no dispenser {device!r}. Claim it first, or check the name.")


class UnknownFlask(DeviceRefused):
    """The dispenser has no flask with this number."""

    def __init__(self, device: str, flask: int, flasks: tuple[int, ...]) -> None:
        self.device = device
        self.flask = flask
        has = ", ".join(str(number) for number in flasks) or "none"
        super().__init__(f"Dispenser {device} has no flask {flask}; it has {has}. Correct the number.")


class FlaskInUse(DeviceRefused):
    """The flask holds, or was promised, what it would no longer be."""

    def __init__(self, device: str, flask: int, ingredient: str) -> None:
        self.device = device
        self.flask = flask
        self.ingredient = ingredient
        super().__init__(
            f"Flask {flask} of {device} still holds {ingredient}, or a job waits for it. Wait for its jobs, empty it "
            "and count it as 0, then change the ingredient."
        )


class UnknownAccount(DeviceRefused):
    """No account has this name."""

    def __init__(self, user: str) -> None:
        self.user = user
        super().__init__(f"There is no account {user!r}. Claim the dispenser first, or check the name.")


class NotAServiceAccount(DeviceRefused):
    """The name is a dispenser's, or has no role at all."""

    def __init__(self, user: str) -> None:
        self.user = user
        super().__init__(
            f"{user!r} is no service's or operator's name. Use svc_ingest, svc_dispatch, svc_dashboard or op_…."
        )
