"""Every bound at the door, in one place: what a client can make the server hold, and how long.

`make docs` writes the table of `deploy/README.md` from here, and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KIB, MIB = 1 << 10, 1 << 20


def _bound(value: Any, *, what: str, then: str, why: str) -> Any:
    """A bound with its line of the table.

    Args:
        value: a count, bytes or seconds, as the name of the field says.
        what: the noun that is bounded.
        then: what happens beyond it.
        why: the reason of the number.
    """
    return field(default=value, metadata={"what": what, "then": then, "why": why})


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the server takes; counts are of one worker."""

    url_bytes: int = _bound(
        8 * KIB,
        what="address of a request",
        then="414",
        why="links of pages have some hundred bytes; proxies stop near 8 KiB too",
    )
    head_bytes: int = _bound(
        64 * KIB,
        what="address and headers of a request, and what follows a body",
        then="431",
        why="the parser keeps ten times their size; browsers send 1 to 4 KiB, with all cookies of "
        "a site up to 16 KiB",
    )
    headers: int = _bound(
        100,
        what="headers of a request",
        then="431",
        why="browsers send some 20, and a chain of proxies adds 10",
    )
    queued_requests: int = _bound(
        16,
        what="requests on one connection that wait for the answer before",
        then="the connection ends",
        why="browsers send one after the other; each that waits is kept with its headers",
    )
    head_seconds: float = _bound(
        15.0,
        what="time until the headers of a request are whole, from its first byte or from the "
        "beginning of the connection",
        then="the connection ends",
        why="as for a body",
    )
    body_bytes: int = _bound(
        MIB,
        what="body of a request",
        then="413",
        why="pages send a few KiB; JSON of a MiB is read in 10 ms",
    )
    body_seconds: float = _bound(
        15.0,
        what="time until a body is whole",
        then="408",
        why="1 MiB takes 8 s at 1 Mbit/s",
    )
    stalled_seconds: float = _bound(
        60.0,
        what="time in which a client takes no byte of its answer",
        then="the connection ends",
        why="an answer under way holds a place among the requests; nginx waits as long",
    )
    idle_seconds: float = _bound(
        75.0,
        what="time between two requests on a connection",
        then="the connection ends",
        why="longer than a person looks at a picture: a new connection would cost the next click",
    )
    connections: int = _bound(
        2048,
        what="connections, or three quarters of the open files that the system allows if that is "
        "less",
        then="the one that rests longest ends, people's last; without any, the newest",
        why="300 people with 6 connections each are 1,800; stores and the files of people and logs "
        "need the rest of the open files",
    )
    requests: int = _bound(
        128,
        what="requests of everybody under way",
        then="503",
        why="each may hold a body and an answer: 128 of 2 MiB are 256 MiB",
    )
    requests_of_person: int = _bound(
        48,
        what="requests of one person under way",
        then="429",
        why="eight tabs of six connections; two people leave room for a third",
    )
    threads: int = _bound(
        16,
        what="threads that make pages, and as many that answer the HTTP API",
        then="a request waits",
        why="ten callbacks that wait for a disk leave six for everybody else",
    )
    threads_of_person: int = _bound(
        8,
        what="threads of one person, of either kind",
        then="their requests wait; those whose client has left are dropped",
        why="half: whoever asks for what is slow leaves as much to all others",
    )
    text_characters: int = _bound(
        8 * KIB,
        what="text in a body: what is typed, chosen, or stands in the address",
        then="400",
        why="as long as an address; what costs more than its length is bounded closer where it is "
        "read",
    )
    stranger_body_bytes: int = _bound(
        16 * KIB,
        what="body of somebody who is not logged in",
        then="413",
        why="a login has 0.1 KiB, and a password at most 4 KiB",
    )
    stranger_bodies: int = _bound(
        256,
        what="bodies under way of people who are not logged in",
        then="the oldest of them gets 408",
        why="a browser sends a login at once, for which bodies that stay open make way; with their "
        "headers 256 take 20 MiB at most",
    )
    stranger_requests: int = _bound(
        16,
        what="requests under way of people who are not logged in, beside those who are",
        then="503",
        why="as many logins as wait for their turn",
    )
    stranger_requests_of_address: int = _bound(
        8,
        what="requests under way from one address, of people who are not logged in",
        then="503",
        why="half: one address leaves as much to all others",
    )


BOUNDS = Bounds()
