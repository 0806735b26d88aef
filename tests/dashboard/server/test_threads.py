"""Threads are shared: a person holds a share, people take turns, and who left is not served."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import SimpleNamespace

import pytest

from dashboard.server.threads import ClientLeftError, Threads


class Crowd:
    """People with work that waits until it is let go."""

    def __init__(self, n: int = 4, of_person: int = 2) -> None:
        self.threads = Threads(n, of_person=of_person, name="test")
        self.begun: list[str] = []
        self.release = threading.Event()

    def work(self, who: str, left: asyncio.Event | None = None) -> asyncio.Task:
        scope = {"type": "http", "state": {"person": SimpleNamespace(name=who) if who else None}}

        async def receive():
            await (left or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        def function() -> str:
            self.begun.append(who)
            assert self.release.wait(20)
            return who

        return asyncio.create_task(self.threads.run(scope, receive, function))


async def begun(crowd: Crowd, n: int) -> None:
    """Waits until so many have begun, and all others had their chance."""
    async with asyncio.timeout(20):
        while len(crowd.begun) < n:
            await asyncio.sleep(0.001)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(crowd.begun) == n


def test_a_person_holds_a_share_and_leaves_the_rest_to_others():
    async def run():
        crowd = Crowd()
        tasks = [crowd.work("ada") for _ in range(10)]
        await begun(crowd, 2)
        tasks += [crowd.work("vera") for _ in range(10)]
        await begun(crowd, 4)
        assert sorted(crowd.begun) == ["ada", "ada", "vera", "vera"]
        crowd.release.set()
        assert sorted(await asyncio.gather(*tasks)) == ["ada"] * 10 + ["vera"] * 10

    asyncio.run(run())


def test_people_take_turns_however_much_one_of_them_asks_for():
    async def run():
        crowd = Crowd(n=1, of_person=1)
        crowd.release.set()
        tasks = [crowd.work("ada") for _ in range(20)]
        await asyncio.sleep(0)  # all of them wait before the next comes
        tasks += [crowd.work("vera")]
        await asyncio.gather(*tasks)
        assert crowd.begun.index("vera") <= 3

    asyncio.run(run())


def test_without_login_nobody_has_a_share():
    async def run():
        crowd = Crowd()
        tasks = [crowd.work("") for _ in range(5)]
        await begun(crowd, 4)
        crowd.release.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_work_whose_client_left_is_not_begun_and_takes_no_turn():
    async def run():
        crowd, left = Crowd(), asyncio.Event()
        first = [crowd.work("ada") for _ in range(2)]
        waiting = [crowd.work("ada", left) for _ in range(40)]
        await begun(crowd, 2)
        left.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in results} == {ClientLeftError}
        last = crowd.work("ada")
        crowd.release.set()
        await asyncio.gather(*first, last)
        assert len(crowd.begun) == 3

    asyncio.run(run())


@pytest.mark.parametrize("is_begun", [True, False])
def test_a_cancelled_request_gives_its_thread_back_when_it_is_free(is_begun):
    async def run():
        crowd = Crowd(n=2, of_person=1)
        first = crowd.work("ada")
        await begun(crowd, 1)
        second = crowd.work("ada")
        await asyncio.sleep(0)
        cancelled = first if is_begun else second
        cancelled.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await cancelled
        third = crowd.work("ada")
        await begun(crowd, 1)  # the thread of the first is still at work
        crowd.release.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*{first, second, third} - {cancelled})

    asyncio.run(run())
