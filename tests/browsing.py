"""What a person does at the dashboard, for browser tests."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest


def ready(page, graph: str) -> None:
    page.wait_for_selector(f"#{graph} .nsewdrag")
    page.wait_for_selector("[data-dash-is-loading]", state="detached")


def until(page, holds) -> None:
    """Waits in Python: the page's policy forbids the evaluation that Playwright's wait needs."""
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(100)
    pytest.fail("waited 10 s")


def asked(page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def cell_position(page, graph: str, y: float, x: float) -> tuple[float, float]:
    """Where on the page the middle of a cell of a graph is drawn."""
    return page.evaluate(
        """([id, y, x]) => {
          const drawn = document.querySelector(`#${id} .js-plotly-plot`);
          const { xaxis, yaxis } = drawn._fullLayout;
          const box = drawn.getBoundingClientRect();
          return [box.left + xaxis._offset + xaxis.c2p(x), box.top + yaxis._offset + yaxis.c2p(y)];
        }""",
        [graph, float(y), float(x)],
    )


def hover(page, graph: str, y: float, x: float) -> str:
    left, top = cell_position(page, graph, y, x)
    page.mouse.move(left - 3, top - 3)
    page.mouse.move(left, top)
    label = page.locator(f"#{graph} .hoverlayer .hovertext text").first
    label.wait_for()
    return " | ".join(label.locator("tspan.line").all_text_contents())
