"""Who may publish and subscribe to what. Every broker's configuration is made from these rules.

A user name is a device id (role `device`, confined to its own topics) or a service account, whose name has an
underscore and so can never be a device id. A broker uses the user name as the client id: one account, one session,
and nobody can take over another's.
"""

from protocol import topics
from protocol.fields import DEVICE_CHARS, ID_CHARS

DEVICE = "device"
INGEST = "ingest"
DISPATCH = "dispatch"
DASHBOARD = "dashboard"
OPERATOR = "operator"

PUBLISH = "publish"
SUBSCRIBE = "subscribe"

# Account names of the services. Operators' tools sign in as `op_<name>`.
SERVICE_ACCOUNTS = {"svc_ingest": INGEST, "svc_dispatch": DISPATCH, "svc_dashboard": DASHBOARD}
OPERATOR_PREFIX = "op_"

_TO_DEVICE = (
    topics.STATUS,  # its own, to notice a last will that came late
    topics.OFFER,
    topics.CANCEL,
    topics.RECEIPT,
    topics.RESEND,
    topics.CONFIG,
    topics.FIRMWARE,
)


class Rule:
    """`role` may `action` topics that match `filter`; `{user}` in it stands for the user's own name."""

    def __init__(self, role: str, action: str, filter: str) -> None:
        self.role = role
        self.action = action
        self.filter = filter


def _rules() -> "tuple[Rule, ...]":
    rules = []
    for channel in topics.CHANNELS:
        own = channel.sender == DEVICE
        rules.append(Rule(channel.sender, PUBLISH, channel.filter("{user}" if own else "+")))
        if own:
            rules.append(Rule(INGEST, SUBSCRIBE, channel.filter()))
    for channel in _TO_DEVICE:
        rules.append(Rule(DEVICE, SUBSCRIBE, channel.filter("{user}")))
    for role in (DASHBOARD, OPERATOR):
        rules.append(Rule(role, SUBSCRIBE, topics.ROOT + "/#"))
    return tuple(rules)


RULES = _rules()


def role_of(user: str) -> "str | None":
    """The role that a user name has, or None when the name is nobody's."""
    if user in SERVICE_ACCOUNTS:
        return SERVICE_ACCOUNTS[user]
    if user.startswith(OPERATOR_PREFIX):
        name = user[len(OPERATOR_PREFIX) :]
        return OPERATOR if 0 < len(name) <= 32 and not name.strip(ID_CHARS) else None
    if 3 <= len(user) <= 32 and not user.strip(DEVICE_CHARS):
        return DEVICE
    return None


def filters_of(user: str, action: str) -> "tuple[str, ...]":
    """The filters within which `user` may `action`."""
    role = role_of(user)
    return tuple([rule.filter.replace("{user}", user) for rule in RULES if rule.role == role and rule.action == action])


def may_publish(user: str, topic: str) -> bool:
    """Whether `user` may publish to the topic (a name without wildcards)."""
    return any(covers(allowed, topic) for allowed in filters_of(user, PUBLISH))


def may_subscribe(user: str, filter: str) -> bool:
    """Whether everything that `filter` can match lies within what `user` may read."""
    return any(covers(allowed, filter) for allowed in filters_of(user, SUBSCRIBE))


def covers(allowed: str, asked: str) -> bool:
    """Whether every topic that `asked` (a topic or a filter) can match is matched by the filter `allowed`.

    `a/+` covers `a/b` and `a/+`, but neither `a/#` nor `a/b/c`: a wildcard is only covered by one at least as wide.
    """
    allowed_levels = allowed.split("/")
    asked_levels = asked.split("/")
    if asked_levels[0].startswith("$") and allowed_levels[0] in ("+", "#"):
        return False
    for position, level in enumerate(allowed_levels):
        if level == "#":
            return True
        if position >= len(asked_levels):
            return False
        wanted = asked_levels[position]
        if wanted == "#" or (level != "+" and level != wanted):
            return False
    return len(allowed_levels) == len(asked_levels)
