"""Scripts and styles that the server keeps."""

from __future__ import annotations

import asyncio
import gzip

from dashboard.server.static_files import KeptFiles

SCRIPT = b"export const a = 1;\n" * 500


async def asked(app) -> bytes:
    """What a client gets that asks for a script."""
    sent = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/assets/a.js",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"accept-encoding", b"gzip")],
    }

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return gzip.decompress(b"".join(message.get("body", b"") for message in sent))


def test_an_answer_that_was_cut_short_is_not_kept_for_the_next_client():
    parts = [SCRIPT[:4000], SCRIPT, b"not asked for a third time"]

    async def files(scope, receive, send):
        size = str(len(SCRIPT)).encode()
        headers = [(b"content-length", size), (b"content-type", b"text/javascript")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": parts.pop(0)})

    async def three():
        app = KeptFiles(files)
        return [await asked(app) for _ in range(3)]

    assert asyncio.run(three())[1:] == [SCRIPT, SCRIPT]
    assert len(parts) == 1
