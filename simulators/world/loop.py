"""An event loop whose time is virtual: it never waits, and it runs the same callbacks in the same order every time."""

import asyncio
import contextvars
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

# Callbacks of one virtual instant. A million of them without time passing is a loop that never ends.
MOST_AT_ONCE = 1_000_000


class Stuck(Exception):
    """Callbacks follow each other without time passing."""


class Call:
    """A callback that waits, as `asyncio.TimerHandle`; what that keeps for its debugging took a twentieth of a run."""

    __slots__ = ("args", "callback", "context", "is_cancelled", "when_s")

    def __init__(
        self,
        when_s: float,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> None:
        self.when_s = when_s
        self.callback = callback
        self.args = args
        self.context = contextvars.copy_context() if context is None else context
        self.is_cancelled = False

    def cancel(self) -> None:
        """It is thrown away when its time comes."""
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self.when_s


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs tasks and timers in virtual seconds from 0. Callbacks of one instant run in the order they were asked for.

    `on_error` hears the context of every exception that nobody caught. `work` carries out what `asyncio.to_thread`
    asks for; `open_stream` is `create_connection`. Whatever else a loop can do is as in
    asyncio's own base class, which refuses it.
    """

    def __init__(self, on_error: Callable[[dict[str, Any]], None]) -> None:
        self.work: Callable[[Callable[[], Any], asyncio.Future[Any]], None] | None = None
        self.open_stream: Callable[[Callable[[], asyncio.Protocol], str], Coroutine[Any, Any, Any]] | None = None
        self._on_error = on_error
        self._now_s = 0.0
        self._ready: deque[Call] = deque()
        self._timers: list[tuple[float, int, Call]] = []
        self._count = itertools.count()

    def time(self) -> float:
        """Virtual seconds since the world began."""
        return self._now_s

    @property
    def now_ms(self) -> int:
        """Virtual milliseconds since the world began."""
        return int(self._now_s * 1000)

    def run(self, done: Callable[[], bool], until_s: float) -> bool:
        """Run until `done`, which is asked after every callback. False: it is not, and time is up or nothing is left.

        Time stops at `until_s` at the latest.
        """
        with self._running():
            at_once = 0
            while not done():
                if self._ready:
                    at_once += 1
                    if at_once > MOST_AT_ONCE:
                        raise Stuck(f"at {self._now_s} s: next is {self._ready[0]!r}")
                    call = self._ready.popleft()
                elif self._timers and self._timers[0][0] <= until_s:
                    when_s, _, call = heapq.heappop(self._timers)
                    if when_s > self._now_s:
                        self._now_s = when_s
                        at_once = 0
                else:
                    self._now_s = max(self._now_s, until_s)
                    return False
                if not call.is_cancelled:
                    self._carry_out(call)
            return True

    def _carry_out(self, call: Call) -> None:
        try:
            call.context.run(call.callback, *call.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # as asyncio does: the loop goes on
            self._on_error({"message": f"{call.callback!r} raised", "exception": error})

    @contextmanager
    def _running(self) -> Iterator[None]:
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(None)

    def call_soon(  # type: ignore[override]  # typed looser than asyncio's
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Call:
        call = Call(self._now_s, callback, args, context)
        self._ready.append(call)
        return call

    def call_later(  # type: ignore[override]  # as call_soon
        self, delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Call:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # as call_soon
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Call:
        call = Call(when, callback, args, context)
        heapq.heappush(self._timers, (when, next(self._count), call))
        return call

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def run_in_executor(  # type: ignore[override]  # as call_soon
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        if self.work is None:
            raise RuntimeError("nobody works for this loop")
        future = self.create_future()
        self.work(lambda: func(*args), future)
        return future

    async def create_connection(  # type: ignore[override]  # of all that asyncio offers, one host and port
        self, protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int, *, ssl: object = None
    ) -> Any:
        if self.open_stream is None:
            raise RuntimeError("this loop has no network")
        return await self.open_stream(protocol_factory, host)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._on_error(context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False
