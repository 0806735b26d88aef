"""`/readyz`, whether the server can do its work, and `/metrics`, what it has done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dashboard.server.ledger import Ledger
from dashboard.server.roles import Role
from dashboard.server.routes import GuardedRoute

# An answer holds for so long: whoever asks oftener costs the disk no more.
KEPT_SECONDS = 1.0
# A disk that takes longer is none to serve from; callers of health checks give up at about as much.
LATEST_SECONDS = 5.0
# Raises where something is not as it must be.
Check = Callable[[], object]


class Readiness:
    """Whether all that a request needs answers; looked at once for all who ask at the same time."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        """Checks nothing yet.

        Args:
            checks: by what they look at, in words for people.
        """
        self._checks = checks
        self._looking: asyncio.Task[str] | None = None
        self._since = 0.0

    async def problem(self) -> str:
        """Why the server cannot do its work now; empty if it can."""
        looking, now = self._looking, time.monotonic()
        # One that hangs is waited for, not asked again: each takes a thread.
        if looking is None or (looking.done() and now - self._since > KEPT_SECONDS):
            looking = asyncio.create_task(self._look())
            self._looking, self._since = looking, now
        done, _ = await asyncio.wait({looking}, timeout=LATEST_SECONDS)
        return looking.result() if done else f"no answer within {LATEST_SECONDS:.0f} s"

    async def _look(self) -> str:
        for what, check in self._checks.items():
            try:
                await run_in_threadpool(check)
            except OSError as error:
                # Not its whole text: that has the path on the server, and strangers may ask.
                return f"{what}: {error.strerror or type(error).__name__}"
        return ""


def watch_routes(checks: Mapping[str, Check], ledger: Ledger) -> list[GuardedRoute]:
    """`/readyz`, for whatever decides where requests go, and `/metrics`, for admins."""
    readiness = Readiness(checks)

    async def ready(_: Request) -> Response:
        reason = await readiness.problem()
        about = {"status": "not ready", "reason": reason} if reason else {"status": "ready"}
        return JSONResponse(about, 503 if reason else 200, {"cache-control": "no-store"})

    async def numbers(_: Request) -> Response:
        text = await run_in_threadpool(ledger.text)
        return Response(text, headers={"cache-control": "no-store"}, media_type=CONTENT_TYPE_LATEST)

    return [
        GuardedRoute("/readyz", ready, role=Role.ANYBODY),
        # How many people do what is nobody's business but an admin's.
        GuardedRoute("/metrics", numbers, role=Role.ADMIN),
    ]
