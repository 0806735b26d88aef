"""Sets of indices as short texts for a link: ranges, `set:…`, which is packed, or all but such.

A set is packed in one of two ways, whichever is shorter, and then deflated as zlib does (RFC 1950,
with its checksum), in base64 for addresses (RFC 4648, 5) without `=`:

- steps: the number of indices between one and the next, the first counted from 0, each in groups
  of seven bits, the lowest first, with the highest bit set where more follow;
- bits: a byte 0, and then the deflated bits of all samples, the lowest bit of a byte first.

A random half of n samples has n bits of information, so no text of it has less than n / 6
characters; this comes within 1 % of that.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError

# An address has 8 KiB at most (`dashboard/server/bounds.py`; proxies stop there too), and a link
# says where it leads, and what else its page shows, in less than 1,000 characters.
LONGEST = 7_000
# Beyond this, a set is written as ranges only if that is shorter.
LONGEST_PLAIN = 64
PREFIX = "set:"
PACKED = re.compile(PREFIX + r"([A-Za-z0-9_-]+)", re.ASCII)
_BITS = b"\0"  # no stream of zlib begins with it


def set_text(indices: Iterable[int] | NDArray[np.integer] | NDArray[np.bool_]) -> str:
    """The shortest expression of a set of samples.

    Args:
        indices: indices of samples, in any order, or a mask <bool>[sample].

    Raises:
        SelectionError: if it is longer than a link can be, as that of a random half of 42,000
            samples or more.
    """
    every = _ascending(indices)
    if not len(every):
        return "not all"
    starts = np.flatnonzero(np.diff(every, prepend=every[0] - 2) != 1)
    ends = np.append(starts[1:], len(every))
    plain = ",".join(
        str(first) if last == first else f"{first}:{last + 1}"
        for first, last in zip(every[starts].tolist(), every[ends - 1].tolist(), strict=True)
    )
    if len(plain) <= LONGEST_PLAIN:
        return plain
    text = min(plain, _packed(every), key=len)
    size = int(every[-1]) + 1
    if 2 * len(every) > size:  # those that are left out are fewer
        others = np.flatnonzero(np.bincount(every, minlength=size) == 0)
        text = min(text, f":{size} not {_packed(others)}", key=len)
    if len(text) > LONGEST:
        raise SelectionError(
            f"a set of {len(every):,} samples takes {len(text):,} characters; a link holds "
            f"{LONGEST:,}: save their ids as a file, and select them with @FILE on the command "
            "line or in Python",
            field="group",
        )
    return text


def unpack(text: str, n_samples: int) -> NDArray[np.int64]:
    """The indices of a `set:…`, ascending, <int64>[index].

    Args:
        text: the expression.
        n_samples: the number of samples of the store, which bounds what is inflated.

    Raises:
        SelectionError: if it is damaged, or of a store with more samples.
    """
    body = text.removeprefix(PREFIX)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        is_bits = raw[:1] == _BITS
        # A step of two bytes is worth 128 samples at least, so few of them have more than one.
        most = n_samples // 8 + 2 if is_bits else n_samples + n_samples // 64 + 8
        inflater = zlib.decompressobj()
        content = inflater.decompress(raw[1:] if is_bits else raw, most)
    except (ValueError, zlib.error) as error:
        raise _damage(text, str(error)) from error
    if not inflater.eof and (inflater.unconsumed_tail or len(content) == most):
        raise _foreign(f"more than {n_samples:,} samples")
    if not inflater.eof or inflater.unused_data:
        raise _damage(text, "its end does not fit")
    values = np.frombuffer(content, np.uint8)
    indices = _of_bits(values) if is_bits else _of_steps(text, values, n_samples)
    if len(indices) and indices[-1] >= n_samples:
        raise _foreign(f"sample {indices[-1]:,}, of 0 to {n_samples - 1:,}")
    return indices


def _ascending(indices: Iterable[int] | NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[Any]:
    values = np.asarray(indices if isinstance(indices, np.ndarray) else list(indices))
    if values.dtype == np.bool_:
        return np.flatnonzero(values)
    every = np.unique(values).astype(np.int64)
    if len(every) and every[0] < 0:
        raise SelectionError(
            f"there is no sample {every[0]}; expected indices from 0", field="group"
        )
    return every


def _packed(every: NDArray[np.int64]) -> str:
    bits = np.packbits(np.bincount(every).astype(np.bool_), bitorder="little").tobytes()
    as_steps = _encoded(zlib.compress(_as_steps(every), 9))
    return min(as_steps, _encoded(_BITS + zlib.compress(bits, 9)), key=len)


def _encoded(data: bytes) -> str:
    return PREFIX + base64.urlsafe_b64encode(data).decode().rstrip("=")


def _as_steps(every: NDArray[np.int64]) -> bytes:
    out = bytearray()
    for step in (np.diff(every, prepend=-1) - 1).tolist():
        while step > 127:
            out.append(128 | step & 127)
            step >>= 7
        out.append(step)
    return bytes(out)


def _of_bits(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.flatnonzero(np.unpackbits(values, bitorder="little"))


def _of_steps(text: str, values: NDArray[np.uint8], n_samples: int) -> NDArray[np.int64]:
    ends = np.flatnonzero(values < 128)
    # Eight groups of seven bits fit an integer of 64.
    if not len(ends) or ends[-1] != len(values) - 1 or np.diff(ends, prepend=-1).max() > 8:
        raise _damage(text, "its steps do not end")
    starts = np.append(0, ends[:-1] + 1)
    shifts = 7 * (np.arange(len(values)) - np.repeat(starts, ends - starts + 1))
    steps = np.add.reduceat((values & 127).astype(np.int64) << shifts, starts)
    if steps.max() >= n_samples:  # before they are added up
        raise _foreign(f"a sample {steps.max():,} after the one before")
    return np.cumsum(steps + 1) - 1


def _damage(text: str, reason: str) -> SelectionError:
    return SelectionError(
        f"the set of samples {text[:24]}… is damaged: {reason}; take the link again", field="group"
    )


def _foreign(what: str) -> SelectionError:
    return SelectionError(
        f"the set of samples names {what}: it is of another store; take it again in this one",
        field="group",
    )
