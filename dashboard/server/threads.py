"""Threads that people share: nobody holds more than a share of them, and who left is not served."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.types import Receive, Scope

from dashboard.server.limits import person_name

T = TypeVar("T")


class ClientLeftError(Exception):
    """Nobody waits for the answer any more; the work was not begun."""


class Threads:
    """Threads for work that may wait; people take turns where more is asked for than there are."""

    def __init__(self, n: int, *, of_person: int, name: str) -> None:
        """Starts none yet, so that a process may be forked.

        Args:
            n: how many.
            of_person: how many of them one person may hold.
            name: what their names begin with.
        """
        self._pool = ThreadPoolExecutor(n, thread_name_prefix=name)
        self._most, self._most_of_person = n, of_person
        self._n_working = 0
        self._working: Counter[str] = Counter()
        # Who waits, longest without a turn first.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def run(self, scope: Scope, receive: Receive, function: Callable[[], T]) -> T:
        """What a function returns, called in a thread with the context of who asked.

        Args:
            scope: whose request it is for; whoever is not known has no share of their own.
            receive: says when the client has left, after the whole body.
            function: the work.

        Raises:
            ClientLeftError: if the client left before a thread was free.
        """
        who = person_name(scope)
        # All who wait can have no turn now, or they had it.
        if self._has_turn(who):
            self._begin(who)
        else:
            await self._turn(who, receive)
        work = self._pool.submit(contextvars.copy_context().run, function)
        try:
            return await asyncio.wrap_future(work)
        finally:
            if work.done():
                self._end(who)
            else:  # the request was cancelled, and a thread cannot be
                loop = asyncio.get_running_loop()
                work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._end, who))

    async def _turn(self, who: str, receive: Receive) -> None:
        """Waits until a thread is taken for somebody."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        leaving = asyncio.ensure_future(_left(receive))
        is_awaited = False
        try:
            await asyncio.wait((turn, leaving), return_when=asyncio.FIRST_COMPLETED)
            is_awaited = not leaving.done()
        finally:
            leaving.cancel()
            if not is_awaited and turn.done():
                self._end(who)
            elif not is_awaited:
                self._waiting[who].remove(turn)
        if not is_awaited:
            leaving.result()  # raises what went wrong
            raise ClientLeftError

    def _has_turn(self, who: str) -> bool:
        if self._n_working >= self._most:
            return False
        return not who or self._working[who] < self._most_of_person

    def _begin(self, who: str) -> None:
        self._n_working += 1
        self._working[who] += 1

    def _end(self, who: str) -> None:
        """Gives a thread back, and to the next."""
        self._n_working -= 1
        self._working[who] -= 1
        if not self._working[who]:
            del self._working[who]
        for name, turns in list(self._waiting.items()):
            if not turns:
                del self._waiting[name]
            elif self._has_turn(name):
                turns.popleft().set_result(None)
                del self._waiting[name]
                if turns:
                    self._waiting[name] = turns  # behind all others
                self._begin(name)
                return


async def _left(receive: Receive) -> None:
    """Waits until a client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
