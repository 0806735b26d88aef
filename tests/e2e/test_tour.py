"""The tasks of docs/tour.md as a newcomer does them: in at most four clicks, and rightly."""

from __future__ import annotations

import dataclasses
import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import numpy as np
import pytest
from helpers.browsing import asked, drawn, ready, settled, until
from helpers.factories import (
    NumpyProbe,
    make_plan,
    make_samples,
    make_store,
    once,
    reference,
    tool,
)
from helpers.servers import running, served
from playwright.sync_api import expect
from sklearn.metrics import roc_auc_score

import dashboard.cli
import fmcore.cli
from dashboard import create_app
from dashboard.pages import PAGES
from dashboard.pages.state import FIELDS
from dashboard.stores.source import Source
from fmcore.capture import capture

pytestmark = pytest.mark.browser
TOUR = Path(__file__).parents[2] / "docs" / "tour.md"
LAYER, FILTER = "block/conv 1", 7
MOST_CLICKS = 4
PASSWORD = "correct horse battery"


class Shuffled(NumpyProbe):
    """The filters of the first layer in another order, as another training has them."""

    order = np.random.default_rng(5).permutation(20)

    def __call__(self, images, others=None):
        captured = super().__call__(images, others)
        first = captured.activations[0][..., self.order]
        return dataclasses.replace(captured, activations=(first, captured.activations[1]))


def _make_shelf(folder: Path) -> None:
    make_store(folder / "last.h5")
    plan = make_plan()
    other = dataclasses.replace(plan.store.model, digest="1" * 64)
    plan = dataclasses.replace(plan, store=dataclasses.replace(plan.store, model=other))
    capture(Shuffled(), make_samples(37), folder / "early.h5", plan)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Path:
    return once(tmp_path_factory, "tour", _make_shelf)


@pytest.fixture(scope="module")
def where(shelf):
    with running(create_app(Source(shelf))) as url:
        yield url


class Newcomer:
    """A person at the first page of a store who clicks and types, and whose clicks are counted."""

    def __init__(self, page, url: str) -> None:
        self.page, self.n = page, 0
        page.goto(f"{url}stores/last/")
        page.wait_for_selector("#overview-filters[data-rows]")

    def click(self, place) -> None:
        place.click()
        self.n += 1
        assert self.n <= MOST_CLICKS


@pytest.fixture
def newcomer(page_of, where):
    return Newcomer(page_of(where), where)


def maps() -> np.ndarray:
    """What the probe makes of all samples in its first layer, <float32>[sample, y, x, filter]."""
    return reference().activations[0]


def test_find_dead_filters(newcomer):
    page, flat = (
        newcomer.page,
        [maps.reshape(-1, maps.shape[-1]) for maps in reference().activations],
    )
    dead = [np.flatnonzero(values.max(axis=0) == values.min(axis=0)) for values in flat]
    n, n_filters = sum(map(len, dead)), sum(values.shape[1] for values in flat)
    finding = page.locator(".overview-finding").first
    expect(finding).to_contain_text(f"{n} of {n_filters} filters dead")
    newcomer.click(finding.get_by_role("link", name="more"))
    expect(page.locator("#classes-count")).to_contain_text(f"{len(dead[0])} of 20")
    assert asked(page)["layer"] == LAYER
    rows = page.locator("#classes-filters .ag-center-cols-container .ag-row")
    until(page, lambda: rows.count() == len(dead[0]))
    indices = rows.evaluate_all("(rows) => rows.map((row) => Number(row.getAttribute('row-id')))")
    assert sorted(indices) == dead[0].tolist()


def test_what_does_filter_7_see(newcomer):
    page, largest = newcomer.page, maps()[..., FILTER].max(axis=(1, 2))
    rows = page.locator("#overview-filters .rows .row")
    newcomer.click(rows.filter(has_text=LAYER).nth(FILTER))
    drawn(page, f"{LAYER} 0 {FILTER}")
    newcomer.click(page.locator("#maps-filter-link"))
    pictures = page.locator("#filter-strongest .thumbnail")
    pictures.first.wait_for()
    settled(page)
    links = pictures.evaluate_all("(all) => all.map((one) => one.search)")
    values = [largest[int(parse_qs(link.lstrip("?"))["sample"][0])] for link in links]
    assert len(values) > 3
    assert values == np.sort(largest)[::-1][: len(values)].tolist()
    assert asked(page) == {"layer": LAYER, "sample": "0", "filter": str(FILTER)}


def best_of_mistakes() -> tuple[int, np.ndarray, np.ndarray]:
    """The filter that tells the most frequent mistake from what is right, and both groups.

    No sample of its label is right: they are set beside the class that they are taken for.
    """
    labels, predictions = make_samples(37).labels, reference().probability.argmax(axis=1)
    counts = np.zeros((4, 4), int)
    np.add.at(counts, (labels, predictions), labels != predictions)
    label, predicted = np.unravel_index(counts.argmax(), counts.shape)
    assert (label, predicted) == (1, 2)
    assert not ((labels == label) & (predictions == label)).any()
    a, b = ((labels == true) & (predictions == predicted) for true in (label, predicted))
    means = maps().mean(axis=(1, 2), dtype=np.float64)[a | b]
    scores = [roc_auc_score(a[a | b], values) for values in means.T]
    return int(np.abs(np.array(scores) - 0.5).argmax()), a, b


def test_why_is_this_one_called_another(newcomer):
    page = newcomer.page
    newcomer.click(page.locator("nav a", has_text="Errors"))
    newcomer.click(page.locator(".errors-pair").first)
    settled(page)
    newcomer.click(page.locator(".errors-contrast"))
    page.wait_for_selector("#contrast-filters[data-rows]")
    best, a, b = best_of_mistakes()
    for letter, group in (("a", a), ("b", b)):
        words = page.locator(f"#contrast-groups-{letter}-words")
        expect(words).to_contain_text(f"{group.sum()} of 37")
    expect(page.locator(".contrast-title")).to_have_text(f"Filter {best} of {LAYER}")
    settled(page)
    newcomer.click(page.locator(".contrast-samples a.thumbnail").first)
    page.wait_for_selector("#maps-wall[data-drawn]")
    assert (a | b)[int(asked(page)["sample"])]


def test_compare_two_epochs(newcomer):
    page = newcomer.page
    newcomer.click(page.locator("nav a", has_text="Compare"))
    ready(page, "compare-cka")
    expect(page.locator("#compare-about")).to_contain_text("Both are of the same 37 images")
    row = page.locator(f"#compare-filters .ag-row[row-id='{FILTER}']")
    newcomer.click(row.locator(".ag-cell[col-id='mean_a']"))
    means = maps().mean(axis=(1, 2), dtype=np.float64)
    with np.errstate(invalid="ignore"):
        r = np.corrcoef(means.T, means[:, Shuffled.order].T)[FILTER, 20:]
    match = int(np.nanargmax(r))
    page.get_by_role("heading", name=f"B: filter {match} of {LAYER}").wait_for()
    note = page.locator("#compare-maps-note")
    expect(note).to_contain_text(f"(r = {r[match]:.3f})")
    settled(page)
    assert (asked(page)["filter"], asked(page)["with"]) == (str(FILTER), "early")
    newcomer.click(page.locator("label", has_text="Number"))
    expect(note).to_contain_text(f"By number: filter {FILTER} of B")


def test_take_the_arrays(newcomer, where):
    page = newcomer.page
    rows = page.locator("#overview-filters .rows .row")
    newcomer.click(rows.filter(has_text=LAYER).nth(FILTER))
    drawn(page, f"{LAYER} 0 {FILTER}")
    newcomer.click(page.locator("#maps-filter-link"))
    link = (
        page.locator("#filter-raw tr", has_text="All 37 samples")
        .get_by_role("link", name=".npy")
        .first
    )
    with page.expect_download() as download:
        newcomer.click(link)
    wanted = maps()[..., FILTER : FILTER + 1]
    assert np.array_equal(np.load(download.value.path()), wanted)
    (address,) = re.findall("`(api/v1/[^`]+)`", TOUR.read_text())
    address = address.replace("mnist", "last").replace("conv1", LAYER)
    answer = httpx.get(where + address)
    assert np.array_equal(np.load(io.BytesIO(answer.content)), wanted)


def test_the_three_steps_go_for_good_also_for_another_store(page_of, where):
    page = page_of(where)
    steps = page.locator(".first-steps")
    page.goto(f"{where}stores/last/")
    page.get_by_role("heading", name="New here? Three steps").wait_for()
    links = steps.get_by_role("link").evaluate_all("(all) => all.map((one) => one.pathname)")
    assert [link.rpartition("/")[2] for link in links] == ["maps", "filter", "errors"]
    page.get_by_role("button", name="Got it").focus()
    page.keyboard.press("Enter")
    expect(steps).to_be_hidden()
    assert page.evaluate("document.activeElement.tagName") == "MAIN"
    for store in ("last", "early"):
        page.goto(f"{where}stores/{store}/overview")
        page.wait_for_selector("#overview-filters[data-rows]")
        expect(steps).to_be_hidden()


def commands(heading: str) -> list[str]:
    """The commands of a task of the tour, without comments and with long ones in one line."""
    task = TOUR.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", task, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.partition("#")[0].strip() for line in lines]


@pytest.fixture
def run(tmp_path, shelf, monkeypatch, capsys):
    """Runs a command of the tour where the tiny stores are the demo's; gives what it prints."""
    shutil.copytree(shelf, tmp_path / "data")
    monkeypatch.chdir(tmp_path)

    def answer(line: str, text: str = "") -> str:
        for name, own in {
            "mnist.h5": "last.h5",
            "conv1": f"'{LAYER}'",
            "label=4 correct": "label=2 correct",  # no sample of that label is right
            "label=4 prediction=9": "label=1 prediction=2",
        }.items():
            line = line.replace(name, own)
        program, *arguments = shlex.split(line)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert {"fmcore": fmcore.cli, "fmdash": dashboard.cli}[program].main(arguments) == 0
        return capsys.readouterr().out

    return answer


def test_the_commands_of_the_tasks_say_the_same_as_the_pages(run, tmp_path):
    (health,) = commands("Find dead filters")
    dead = np.flatnonzero(maps().max(axis=(0, 1, 2)) == 0)
    assert re.search(rf"\n  dead +{len(dead)} \(", run(health))
    (contrast,) = commands("Why is this 4 called a 9?")
    assert f"\n{LAYER} filter {best_of_mistakes()[0]} " in run(contrast)
    (export,) = commands("Take the arrays")
    run(export)
    (array,) = (tmp_path / "arrays").rglob("*activation*.npy")
    wanted = reference().activations[0][..., FILTER : FILTER + 1]
    assert np.array_equal(np.load(array), wanted)


def test_set_up_a_teams_server(page_of, run, tmp_path):
    certificate = [tool("openssl", debian="openssl"), "req", "-x509", "-newkey", "rsa:2048"]
    certificate += ["-nodes", "-subj", "/CN=localhost", "-keyout", tmp_path / "key.pem"]
    subprocess.run([*certificate, "-out", tmp_path / "cert.pem"], check=True, capture_output=True)
    *people, serve = commands("Set up a team's server")
    assert len(people) + 1 <= MOST_CLICKS
    for line in people:
        run(f"{line} --password-stdin", f"{PASSWORD}\n")
    program, verb, *arguments = serve.split()
    assert (program, verb) == ("fmdash", "serve")
    with served(*arguments) as (address, _):
        url = re.sub("//[^:/]+", "//localhost", address)
        page = page_of(url)
        page.goto(url)
        page.fill("#name", people[-1].split()[3])  # fmdash user add NAME
        page.fill("#password", PASSWORD)
        page.press("#password", "Enter")
        page.get_by_role("link", name="last").click()
        page.wait_for_selector("#overview-filters[data-rows]")
        page.goto(f"{url}stores/last/filter?layer={LAYER}&filter={FILTER}")
        # For who may take files home; others read why they may not.
        page.locator("#filter-raw").get_by_role("link", name=".npy").first.wait_for()


def test_links_of_the_tour_are_links_of_the_dashboard():
    links = re.findall(r"`(\w+)\?([^`]+)`", TOUR.read_text())
    keys = {link.key for link in FIELDS.values()}
    assert len(links) == 4
    for page, query in links:
        assert page in {page.name for page in PAGES}, page
        assert {part.partition("=")[0] for part in query.split("&")} <= keys, query
