"""The operation that answers with the input image of a sample as a picture."""

from __future__ import annotations

import io
import re
from typing import Any

from numpy.typing import NDArray
from starlette.responses import Response

from dashboard.api.answers import Call
from dashboard.server import headers as caching
from dashboard.stores.source import Snapshot
from fmcore.dataset import as_pixels
from fmcore.errors import SampleNotFoundError, SelectionError

LARGEST = 4096
_SAMPLE = re.compile(r"\d{1,12}", re.ASCII)
_SIZE = re.compile(r"[1-9]\d{0,3}", re.ASCII)
FOR_EVER = f"private, {caching.FOR_EVER}"


async def image(call: Call) -> Response:
    """The picture of one sample: at once where it is kept, else made in a thread."""
    digest, size = call.take("v"), call.take("size")
    if size and (not _SIZE.fullmatch(size) or int(size) > LARGEST):
        raise SelectionError(f"size must be 1 to {LARGEST}; found {size!r}", field="size")
    call.refuse_rest()
    snapshot = call.current()  # nothing here may wait for a disk: it holds up all
    quick = _answer(call, snapshot, digest, size, wait=False) if snapshot is not None else None
    if quick is not None:
        return quick

    def waiting() -> Response:
        answer = _answer(call, call.snapshot(), digest, size, wait=True)
        assert answer is not None  # noqa: S101 (it waited)
        return answer

    return await call.in_thread(waiting)


def _answer(
    call: Call, snapshot: Snapshot, digest: str, size: str, *, wait: bool
) -> Response | None:
    """The picture; None where it is not kept and must not be waited for."""
    text = call.request.path_params["sample"]
    if not _SAMPLE.fullmatch(text):
        raise SampleNotFoundError(f"no sample {text[:40]!r} in {snapshot.file_name}")
    sample = int(text)
    if digest and digest != snapshot.digest:
        # A link with a digest never means another picture.
        raise SampleNotFoundError(
            f"no sample {sample} of the store that {snapshot.name} was before"
        )
    headers = {
        "etag": call.tag(snapshot.digest, "image", str(sample)),
        "cache-control": FOR_EVER if digest == snapshot.digest else "private, no-cache",
        "x-store-digest": snapshot.digest,
    }
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    texts = (f"{name}={text}" for name, text in sorted(call.query.items()) if name != "v")
    key = ("png", str(sample), *texts)
    data: bytes | None = snapshot.held(key)
    if data is None and not wait:
        return None

    def make() -> bytes:
        return png_of(snapshot.store.image(sample), longest=int(size) if size else None)

    return Response(data or snapshot.derived(key, make), 200, headers, "image/png")


def png_of(image: NDArray[Any], *, longest: int | None = None) -> bytes:
    """The image as a PNG file, made smaller where its longer side has over `longest` pixels.

    Args:
        image: <uint8 or float32>[image_y, image_x, image_channel].
        longest: None for its own size.
    """
    from PIL import Image  # at the first picture: the server answers before

    picture, file = Image.fromarray(as_pixels(image)), io.BytesIO()
    if longest is not None:
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
