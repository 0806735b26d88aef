"""Every page before axe-core's rules of accessibility, in both themes, on a desk and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.browsing import PATIENCE, drawn, ready, settled, visit
from helpers.factories import absent, make_store, sampled
from helpers.servers import running

from dashboard import create_app
from dashboard.auth.guard import Login
from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.stores.source import Source

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "js" / "node_modules" / "axe-core" / "axe.min.js"
PASSWORD = "correct horse battery"
SCHEMES = ("light", "dark")
SIZES = {"desk": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
LINK = "?layer=conv2&filter=2&sample=3&class=1"
# What a library draws, the rules that it breaks, and why that stays.
OF_LIBRARIES = {
    ".ag-root-wrapper": {"aria-required-children": "a grid without rows yet has none to name"},
    ".swagger-ui": {
        "nested-interactive": "Swagger UI has a button to copy an address within one that opens it",
        "heading-order": "Swagger UI skips a level",
        "region": "Swagger UI has its head beside its <main>",
    },
    "[data-portal]": {"region": "Mantine's lists lie at the end of the document"},
    # Its own node is in a dialog, which is no part of the page.
    "header.frame": dict.fromkeys(
        ("landmark-no-duplicate-banner", "landmark-unique"), "Mantine's dialogs have a <header>"
    ),
}


def _wait_for(selector: str):
    return lambda page: page.wait_for_selector(selector)


def _wall(page) -> None:
    drawn(page, "conv2 3 2")
    page.locator("#maps-thumbnails [data-sample]").first.wait_for()


def _contrasted(page) -> None:
    page.wait_for_selector("#contrast-filters[data-rows]")
    page.locator("#contrast-first .contrast-card").first.wait_for()
    ready(page, "contrast-mean-maps-difference")


def _ready(graph: str):
    return lambda page: ready(page, graph)


# Of each page its address below the server, and what it is there by.
PAGES = {
    "the login": ("login", _wait_for("#password")),
    "the catalogue": ("", _wait_for(".ag-row")),
    "overview": ("stores/first/overview", _wait_for("#overview-filters[data-rows]")),
    "feature maps": (f"stores/first/maps{LINK}", _wall),
    "layers": (f"stores/first/layers{LINK}", _wait_for("#layers-rows[data-drawn]")),
    "a place in the image": (f"stores/first/maps{LINK}&at=3,4", _wait_for(".reactions-place")),
    "classes": (f"stores/first/classes{LINK}", _ready("classes-heatmap")),
    "filter": (f"stores/first/filter{LINK}", _ready("filter-histogram")),
    "kernels": (f"stores/first/kernels{LINK}", _wait_for("#kernels-wall[data-drawn]")),
    "contrast": (f"stores/first/contrast{LINK}&a=label%3Done", _contrasted),
    "contrast without groups": (f"stores/first/contrast{LINK}", _wait_for(".contrast-start")),
    "samples": (f"stores/first/samples{LINK}&group=wrong", _wait_for("#samples-map[data-drawn]")),
    "compare": (f"stores/first/compare{LINK}", _ready("compare-cka")),
    "an account": ("account", _wait_for("main")),
    "the HTTP API": ("docs", _wait_for(".opblock")),
    "a damaged store": ("stores/broken/maps", _wait_for("main")),
}


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shelf")
    for name, n in (("first", 37), ("second", 37)):
        make_store(folder / f"{name}.h5", n)
    (folder / "broken.h5").write_bytes((folder / "first.h5").read_bytes()[:3000])
    people = People(tmp_path_factory.mktemp("people") / "people", create=True)
    people.add("vera", "export", PASSWORD)
    login = Login(people, Journal(people.path.with_name("log")), secure=False)
    with running(create_app(Source(folder), login=login)) as url:
        yield url


@pytest.fixture(scope="module")
def person(browser, team):
    """The page of a theme that scripts of tests may be added to, of somebody who is logged in."""
    if not AXE.exists():
        absent("axe-core is not installed: `make scripts` does it")
    pages = {}

    def opened(scheme: str, *, is_in: bool = True):
        if (scheme, is_in) in pages:
            return pages[scheme, is_in]
        context = browser.new_context(color_scheme=scheme, bypass_csp=True)
        pages[scheme, is_in] = page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        if is_in:
            page.goto(f"{team}login")
            page.fill("#name", "vera")
            page.fill("#password", PASSWORD)
            page.press("#password", "Enter")
            page.wait_for_selector(".ag-row")
        return page

    yield opened
    for page in pages.values():
        page.context.close()


def violations(page) -> list[str]:
    """What axe-core finds on a page, a line for each node, without what libraries are known for."""
    page.evaluate(AXE.read_text())
    report = page.evaluate(
        """async (libraries) => {
          const { violations } = await axe.run(document, { resultTypes: ["violations"] });
          const isKnown = (rule, target) => Object.entries(libraries).some(
            ([place, rules]) => rule in rules && document.querySelector(target)?.closest(place));
          return violations.flatMap(({ id, impact, nodes }) => nodes
            .filter(({ target }) => !isKnown(id, target.at(-1)))
            .map(({ html, any, all, none }) => [
              id, impact, html.slice(0, 160), [...any, ...all, ...none][0]?.message].join(" | ")));
        }""",
        OF_LIBRARIES,
    )
    return list(dict.fromkeys(report))


@pytest.mark.parametrize(("name", "scheme"), sampled(8, PAGES, SCHEMES))
def test_a_page_breaks_no_rule_of_accessibility(person, team, name, scheme):
    address, arrived = PAGES[name]
    page = person(scheme, is_in=name != "the login")
    broken = []
    for size, viewport in SIZES.items():
        page.set_viewport_size(viewport)
        visit(page, team + address)
        arrived(page)
        settled(page)
        broken += [f"{size}: {line}" for line in violations(page)]
    assert not broken, "\n".join(broken)


def _help(page) -> None:
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()


def _list(page) -> None:
    page.get_by_role("textbox", name="Layer", exact=True).click()
    page.get_by_role("option").first.wait_for()


def _menu(page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Values (.npy)").wait_for()


@pytest.mark.parametrize(("open_it", "scheme"), sampled(2, [_help, _list, _menu], SCHEMES))
def test_what_opens_above_a_page_breaks_none_either(person, team, open_it, scheme):
    page = person(scheme)
    page.set_viewport_size(SIZES["desk"])
    visit(page, team + PAGES["feature maps"][0])
    _wall(page)
    open_it(page)
    settled(page)
    broken = violations(page)
    assert not broken, "\n".join(broken)
