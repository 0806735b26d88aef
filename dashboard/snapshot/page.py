"""The text around a snapshot's data: one page whose scripts and styles lie in it."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from string import Template

from dashboard.server.static_files import COMMENT, PLOTLY
from dashboard.snapshot.bundle import bundled

_ASSETS = Path(__file__).parents[1] / "assets"
_PAGE = Path(__file__).with_name("page.html")
# The sheets of a snapshot: how the dashboard looks, and what is a snapshot's own.
_SHEETS = ("style.css", "snapshot/page.css")


def page_ends(title: str, pages: Sequence[str]) -> tuple[bytes, bytes]:
    """What stands before the data of a page and after it, as UTF-8.

    Its policy lets scripts run that have the digests of those in it, and lets nothing be asked of
    anybody: a text of a store that were taken for a script would not run, nor could it send
    anything.

    Args:
        title: of the page.
        pages: which pages are in it. Plotly's script may run where one of them has graphs; it lies
            among the data, and the page runs it when it first needs it.
    """
    has_graphs = needs_plotly(pages)
    script, style = _script(), _style()
    scripts = [script, PLOTLY.read_text("utf-8")] if has_graphs else [script]
    # Plotly makes an empty sheet, and fills it with rules; and it sets styles of what it draws.
    sheets = [style, ""] if has_graphs else [style]
    attributes = "'unsafe-inline'" if has_graphs else "'none'"
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_digest, scripts))}",
            f"style-src-elem {' '.join(map(_digest, sheets))}",
            f"style-src-attr {attributes}",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    text = Template(_PAGE.read_text("utf-8")).substitute(
        policy=policy,
        version=html.escape(version("feature-map-dashboard")),
        title=html.escape(title),
        style=style,
        blocks="\0",
    )
    head, tail = text.split("\0")
    end = f'{tail}<script type="module">{script}</script>\n</body>\n</html>\n'
    return head.encode(), end.encode()


def needs_plotly(pages: Sequence[str]) -> bool:
    """Whether one of the pages has graphs: then Plotly's script has to be among the data."""
    return bool({"filter", "classes"} & {*pages})


def block_text(name: str, data: bytes) -> bytes:
    """A block of data as an element that no browser runs; its text is base64, whatever it holds.

    Args:
        name: of the block, of letters, digits and hyphens.
        data: its bytes.
    """
    return b'<script type="text/plain" id="data-%b">%b</script>\n' % (
        name.encode("ascii"),
        base64.b64encode(data),
    )


@cache
def _script() -> str:
    return bundled(_ASSETS / "snapshot" / "snapshot.js")


@cache
def _style() -> str:
    sheets = (COMMENT.sub(b"", (_ASSETS / name).read_bytes()).decode() for name in _SHEETS)
    return "".join(sheets)


def _digest(text: str) -> str:
    """The digest of a script or a sheet, as a policy names it."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
