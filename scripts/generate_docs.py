"""Writes the generated parts of docs/: the blocks between `<!-- generated: NAME -->` and `<!-- end -->`.

`--check` writes nothing and fails when a block is not what its table says.
"""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from protocol import access, codec, errors, limits, messages, states, topics
from protocol.fields import Record, Records
from services.settings import Settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def topic_table() -> str:
    rows = [
        (
            f"`{channel.path.replace('{flask}', '<n>')}`",
            channel.sender,
            str(channel.qos),
            "yes" if channel.retained else "no",
            f"[`{channel.record.__name__}`](#{channel.record.__name__.lower()})",
            channel.purpose,
        )
        for channel in topics.CHANNELS
    ]
    return _table(("topic below `pitada/v1/<device>/`", "from", "QoS", "retained", "payload", "purpose"), rows)


def message_tables() -> str:
    return "\n".join(_message(record) for record in _records())


def item_diagram() -> str:
    return _diagram(states.ITEM_TRANSITIONS, "pending")


def job_diagram() -> str:
    return _diagram(states.JOB_TRANSITIONS, "queued")


def item_transitions() -> str:
    return _table(("from", "to", "who says so", "when"), states.ITEM_TRANSITIONS)


def job_transitions() -> str:
    return _table(("from", "to", "who says so", "when"), states.JOB_TRANSITIONS)


def access_table() -> str:
    rows = [(rule.role, rule.action, f"`{rule.filter.replace('{user}', '<own name>')}`") for rule in access.RULES]
    return _table(("role", "may", "topics"), sorted(rows))


def error_table() -> str:
    return _table(("code", "words"), [(f"`{code}`", words) for code, words in errors.ITEM_ERRORS.items()])


def refusal_table() -> str:
    return _table(("code", "words"), [(f"`{code}`", words) for code, words in errors.REFUSALS.items()])


def limit_table() -> str:
    source = Path(limits.__file__).read_text(encoding="utf-8")
    found = re.findall(r"((?:# .*\n)+)((?:[A-Z_]+ = [\d_]+\n)+)", source)
    rows = []
    for comment, constants in found:
        why = " ".join(line.removeprefix("# ") for line in comment.splitlines())
        for line in constants.splitlines():
            name, value = line.split(" = ")
            rows.append((f"`{name}`", value.replace("_", " "), why))
    return _table(("limit", "value", "why"), rows)


def example() -> str:
    """One job of two flasks, the second jammed, as it travels."""
    job, epoch = "01JD4X7M0T2Q8R5V9W3Y6Z1A2B", "9f1c27e0aa41d3b6"
    ids: dict[str, Any] = {"job": job, "seq": 7}
    when: dict[str, Any] = {"epoch": epoch, "boot": 3}
    salt: dict[str, Any] = {"item": 0, "target_mg": 5000, "error": None}
    done: dict[str, Any] = {**salt, "state": "done", "dispensed_mg": 5003, "duration_ms": 625}
    jammed: dict[str, Any] = {
        "item": 1, "target_mg": 2000, "error": "jammed", "state": "failed", "dispensed_mg": 0, "duration_ms": 0,
    }  # fmt: skip
    items = (messages.OfferedItem(flask=1, target_mg=5000), messages.OfferedItem(flask=2, target_mg=2000))
    reports = (messages.ItemReport(flask=1, **done), messages.ItemReport(flask=2, **jammed))
    opened: dict[str, Any] = {**salt, "state": "dispensing", "dispensed_mg": None, "duration_ms": None}
    exchange: list[tuple[topics.Channel, int | None, Record]] = [
        (topics.OFFER, None, messages.OfferJob(epoch=epoch, items=items, **ids)),
        (topics.ACCEPT, None, messages.JobAccepted(refusal=None, ms=61_020, **ids, **when)),
        (topics.PROGRESS, 1, messages.ItemProgressed(ms=61_090, **opened, **ids, **when)),
        (topics.PROGRESS, 1, messages.ItemProgressed(ms=61_760, **done, **ids, **when)),
        (topics.PROGRESS, 2, messages.ItemProgressed(ms=62_130, **jammed, **ids, **when)),
        (
            topics.COMPLETION,
            None,
            messages.JobCompleted(state="done_partial", items=reports, ms=62_200, **ids, **when),
        ),
        (topics.RECEIPT, None, messages.CompletionReceived(epoch=epoch, **ids)),
    ]
    lines = []
    for channel, flask, message in exchange:
        arrow = "->" if channel.sender == "device" else "<-"
        lines.append(f"{arrow} {channel.topic('kitchen', flask)}\n   {codec.encode(message).decode()}")
    return "\n".join(["```", *lines, "```"])


def settings_table() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        default = "none" if field.default is None else f"`{field.default}`"
        rows.append((f"`PITADA_{name.upper()}`", default, field.description or ""))
    return _table(("variable", "default", "meaning"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "topics": topic_table,
    "example": example,
    "messages": message_tables,
    "item-diagram": item_diagram,
    "item-transitions": item_transitions,
    "job-diagram": job_diagram,
    "job-transitions": job_transitions,
    "access": access_table,
    "item-errors": error_table,
    "refusals": refusal_table,
    "limits": limit_table,
    "settings": settings_table,
}


def render(text: str) -> str:
    """The page with every generated block made anew."""
    return BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match['name']]()}\n{match[3]}", text)


def main(arguments: list[str]) -> None:
    stale = []
    for page in sorted(DOCS.rglob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = render(before)
        if before != after:
            stale.append(page)
            if "--check" not in arguments:
                page.write_text(after, encoding="utf-8")
    if stale and "--check" in arguments:
        names = ", ".join(str(page.relative_to(DOCS.parent)) for page in stale)
        sys.exit(f"Out of date: {names}. Run `make docs` and commit the result.")


def _records() -> Iterable[type[Record]]:
    """The topics' messages in their order, each followed by the records it holds."""
    seen: list[type[Record]] = []
    for channel in topics.CHANNELS:
        held = [field.record for field in channel.record.FIELDS if isinstance(field, Records)]
        seen += [record for record in (channel.record, *held) if record not in seen]
    return seen


def _message(record: type[Record]) -> str:
    rows = [
        (
            f"`{field.name}`",
            field.kind + (" or null" if field.null else "") + (", may be absent" if field.optional else ""),
            field.bounds(),
            field.doc,
        )
        for field in record.FIELDS
    ]
    words = re.sub(r"\n +", "\n", (record.__doc__ or "").strip())
    return f"### {record.__name__}\n\n{words}\n\n" + _table(("field", "type", "allowed", "meaning"), rows) + "\n"


def _diagram(transitions: Iterable[tuple[str, str, str, str]], first: str) -> str:
    arrows: dict[tuple[str, str], set[str]] = {}
    for source, target, who, _ in transitions:
        arrows.setdefault((source, target), set()).add(who)
    lines = [f"    {source} --> {target}: {', '.join(sorted(who))}" for (source, target), who in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *lines, "```"])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
