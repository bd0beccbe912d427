"""What still has to be published: for every topic its latest message, so no outage can make it grow.

The order is status, accept, progress, completions. An entry stays until the broker has acknowledged that very message;
a newer one takes its place at once, so an older state never follows a newer one.
"""

from protocol import topics
from protocol.topics import Channel

STATUS = 0
ACCEPT = 1
_COMPLETION = 99


def progress_of(flask: int) -> int:
    """The key of a flask's progress: after `ACCEPT`, before any completion."""
    return ACCEPT + flask


class Message:
    """One message on its way: what, and where."""

    __slots__ = ("channel", "flask", "key", "payload", "seq")

    def __init__(self, channel: Channel, flask: "int | None", key: int, seq: int, payload: bytes) -> None:
        self.channel = channel
        self.flask = flask
        self.key = key
        self.seq = seq
        self.payload = payload


class Outbox:
    """Latest message per topic, and the completions due in this round."""

    __slots__ = ("_completions", "_flying", "_waiting")

    def __init__(self) -> None:
        self._waiting = {}  # type: dict[int, bytes]
        self._completions = []  # type: list[tuple[int, bytes]]
        self._flying = None  # type: Message | None

    def put(self, key: int, payload: bytes) -> None:
        """The latest message under `STATUS`, `ACCEPT` or a `progress_of` key; an older one that waits is dropped."""
        self._waiting[key] = payload

    def put_completion(self, seq: int, payload: bytes) -> None:
        """Publish this completion; those with a lower number go first, so that the newest stays retained."""
        self.drop_completion(seq)
        self._completions.append((seq, payload))
        self._completions.sort()

    def drop_completion(self, seq: int) -> None:
        """This completion need not be published any more."""
        self._completions = [entry for entry in self._completions if entry[0] != seq]

    def receipted(self, seq: int) -> None:
        """The server has this completion. It still goes when it has to be the last, and so the retained one."""
        if len(self._completions) == 1 or (self._completions and self._completions[-1][0] != seq):
            self.drop_completion(seq)

    def next(self) -> "Message | None":
        """The message to publish now, or None: nothing waits, or one is already on its way."""
        if self._flying is not None:
            return None
        if self._waiting:
            key = min(self._waiting)
            self._flying = Message(_channel(key), _flask(key), key, 0, self._waiting[key])
        elif self._completions:
            seq, payload = self._completions[0]
            self._flying = Message(topics.COMPLETION, None, _COMPLETION, seq, payload)
        return self._flying

    def acknowledged(self) -> None:
        """The broker has the message that was on its way."""
        sent = self._flying
        self._flying = None
        if sent is None:
            return
        if sent.key == _COMPLETION:
            self.drop_completion(sent.seq)
        elif self._waiting.get(sent.key) is sent.payload:
            del self._waiting[sent.key]

    def lost(self) -> None:
        """The connection went: what was on its way has to go again."""
        self._flying = None

    def is_waiting(self, key: int) -> bool:
        """The message under that key has not been acknowledged."""
        return key in self._waiting

    def is_empty(self) -> bool:
        """Nothing waits and nothing is on its way."""
        return not self._waiting and not self._completions and self._flying is None


def _channel(key: int) -> Channel:
    if key == STATUS:
        return topics.STATUS
    return topics.ACCEPT if key == ACCEPT else topics.PROGRESS


def _flask(key: int) -> "int | None":
    return key - ACCEPT if key > ACCEPT else None
