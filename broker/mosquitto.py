"""Mosquitto's three files, made from the same access rules: configuration, access list and passwords. Text only."""

import string
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from broker.limits import MAX_PACKET_BYTES, MOSQUITTO_INFLIGHT
from protocol import access, topics

_NAME_CHARS = frozenset(string.ascii_letters + string.digits + "_-")

_VERBS = {access.PUBLISH: "write", access.SUBSCRIBE: "read"}


class BadAccount(ValueError):
    """An account that cannot be written into Mosquitto's files."""


class Tls(NamedTuple):
    """The files of a TLS listener."""

    certificate: Path
    key: Path


def config(
    directory: Path, *, host: str, port: int, as_user: str | None = None, tls: Tls | None = None, log: str | None = None
) -> str:
    """`mosquitto.conf` for one listener, with its other files in `directory`.

    `as_user` is the system user that Mosquitto becomes when root starts it; `log` where it logs, in Mosquitto's words
    (none: `mosquitto.log` in the directory).
    """
    lines = [
        # One session for each account: nobody can take over, or wipe, another's.
        "per_listener_settings false",
        "allow_anonymous false",
        f"password_file {directory / 'passwords'}",
        f"acl_file {directory / 'access'}",
        f"listener {port} {host}",
        "use_username_as_clientid true",
        "max_qos 1",
        # Refused by its header, before it is read. `message_size_limit` would read it first.
        f"max_packet_size {MAX_PACKET_BYTES}",
        f"max_inflight_messages {MOSQUITTO_INFLIGHT}",
        # The default of 1,000 silently drops the rest of a backlog. 0: no bound but memory.
        "max_queued_messages 0",
        "persistence true",
        f"persistence_location {directory}/",
        # Seconds. The default of half an hour is what a kill -9 would lose.
        "autosave_interval 5",
        # $SYS tells everybody who may read it about everybody; nobody may, so it is not made.
        "sys_interval 0",
        "set_tcp_nodelay true",
        f"log_dest {log or f'file {directory}/mosquitto.log'}",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "log_type information",
    ]
    if tls is not None:
        # Below the listener that it is for. Older versions than TLS 1.2 are refused by Mosquitto itself.
        lines += [f"certfile {tls.certificate}", f"keyfile {tls.key}"]
    if as_user is not None:
        lines.append(f"user {as_user}")
    return "\n".join(lines) + "\n"


def access_list(accounts: Mapping[str, str]) -> str:
    """The access list: one block for each service and operator, patterns for all dispensers.

    A pattern also holds for the other accounts, below their own names. Those are no device ids, so all it would give
    them is a place for rubbish; each is denied it. Raises `BadAccount`.
    """
    lines = []
    for user in sorted(accounts):
        if _checked_role(user) == access.DEVICE:
            continue
        lines += ["", f"user {user}", f"topic deny {topics.ROOT}/{user}/#"]
        lines += [f"topic {verb} {own}" for action, verb in _VERBS.items() for own in access.filters_of(user, action)]
    lines += ["", "# Dispensers, each below its own name."]
    lines += [
        f"pattern {_VERBS[rule.action]} {rule.filter.replace('{user}', '%u')}"
        for rule in access.RULES
        if rule.role == access.DEVICE
    ]
    return "\n".join(lines).lstrip("\n") + "\n"


def passwords(accounts: Mapping[str, str]) -> str:
    """The password file from user -> hash as Mosquitto writes it (`$7$<iterations>$<salt>$<hash>`, both base64).

    Raises `BadAccount`.
    """
    for user, hashed in accounts.items():
        _checked_role(user)
        if not hashed.startswith("$7$") or not hashed.isprintable() or ":" in hashed:
            raise BadAccount(
                f"The password hash of {user} is not one of Mosquitto's $7$ hashes. Make a new credential."
            )
    return "".join(f"{user}:{hashed}\n" for user, hashed in sorted(accounts.items()))


def _checked_role(user: str) -> str:
    role = access.role_of(user)
    if role is None or not _NAME_CHARS.issuperset(user):
        raise BadAccount(
            f"{user!r} cannot be an account of the broker. Use a device id, a service account or "
            f"{access.OPERATOR_PREFIX}<name> of letters, digits, _ and -."
        )
    return role
