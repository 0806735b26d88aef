"""`dashboard.show` in a real JupyterLab, behind proxies, in nbclient, and in no other page."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import types
from pathlib import Path

import httpx
import nbclient
import nbformat
import pytest
from helpers.browsing import PATIENCE, until
from helpers.port_proxy import port_proxy
from helpers.servers import running
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

import dashboard

LAYER = "block/conv 1"
ROOT = Path(__file__).parents[2]
NEWS = "@jupyterlab/apputils-extension:announcements"
BASE = "/user/ann%40lab/"
CELLS = (
    "import dashboard, os\n"
    "store = os.environ['STORE']\n"
    "view = dashboard.show(store, 'maps', layer='block/conv 1', sample=3, height=650)\n"
    "view",
    "view.stop(); direct = dashboard.show(store, 'maps', sample=4, proxy=False)\ndirect",
    "direct.selection",
)
# Where in the window of its frame a tile's middle is.
MIDDLE = """async (filter) => {
  const { session } = await import(new URL("assets/feature_maps/session.js", document.baseURI));
  const { wall } = session();
  const cell = wall.cellBox(wall.order.indexOf(filter), { y: 4, x: 4 });
  return { x: cell.x + cell.width / 2, y: cell.y + cell.height / 2 };
}"""


def notebook(*cells: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory, store_path) -> dict[str, str]:
    """The environment of Jupyter's programs: nothing of the person who runs the tests."""
    folder = tmp_path_factory.mktemp("jupyter")
    places = {
        name: str(folder / name)
        for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")
    }
    own = {"PYTHONPATH": str(ROOT), "STORE": str(store_path), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    return {**os.environ, **places, **own, "JUPYTER_DATA_DIR": str(folder / "data")}


@pytest.fixture(scope="session")
def lab(jupyter, tmp_path_factory):
    """The address of a notebook in a real JupyterLab, below a path as JupyterHub has it."""
    folder = tmp_path_factory.mktemp("lab")
    settings = Path(jupyter["JUPYTER_CONFIG_DIR"]) / "labconfig"
    settings.mkdir(parents=True)
    (settings / "page_config.json").write_text(json.dumps({"disabledExtensions": {NEWS: True}}))
    nbformat.write(notebook(*CELLS), folder / "show.ipynb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.base_url": BASE,
        "ServerApp.root_dir": folder,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "IdentityProvider.token": "of-a-test",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.core_mode": True,  # no talk of building Dash's own extension
        "LabApp.extension_manager": "readonly",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *arguments], env=jupyter, stderr=log, cwd=folder
        )
    url = f"http://127.0.0.1:{port}{BASE}"
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            httpx.get(f"{url}api")
            break
        except httpx.TransportError:
            assert time.monotonic() < deadline, (folder / "log").read_text()[-3000:]
            assert server.poll() is None, (folder / "log").read_text()[-3000:]
            time.sleep(0.1)
    yield f"{url}lab/tree/show.ipynb?token=of-a-test"
    server.send_signal(signal.SIGTERM)
    server.wait(30)


def frame_of(page):
    """The frame of a view, once the wall is drawn in it."""
    element = page.wait_for_selector("iframe[title^='Dashboard of']")
    frame = element.content_frame()
    frame.wait_for_selector("#maps-wall[data-drawn]")
    return frame


def click_tile(frame, index: int) -> None:
    """Selects a filter on the wall of a view, and waits for its link."""
    place = frame.evaluate(MIDDLE, index)
    frame.locator(".wall canvas").first.click(position=place)
    frame.wait_for_url(re.compile(rf"[?&]filter={index}(&|$)"))


def watched_page(browser):
    """A page, and what frames of views complain of: a list that grows."""
    page = browser.new_context(viewport={"width": 1300, "height": 1000}).new_page()
    page.set_default_timeout(1000 * PATIENCE)
    complaints: list[str] = []

    def note(message) -> None:
        if "/maps?" in message.location["url"] or "/assets/" in message.location["url"]:
            complaints.append(f"{message.type}: {message.text}")

    page.on("console", note)
    return page, complaints


def run_cell(page, index: int):
    """Runs a cell of a notebook in JupyterLab; its output, once there is one."""
    cell = page.locator(".jp-Notebook-cell").nth(index)
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    output = cell.locator(".jp-OutputArea-output").last
    output.wait_for(timeout=3000 * PATIENCE)  # the first one imports Dash in the kernel
    return output


@pytest.mark.browser
def test_jupyterlab_shows_the_wall_and_the_kernel_reads_what_is_clicked(browser, lab):
    page, complaints = watched_page(browser)
    page.goto(lab)
    page.get_by_text("| Idle").first.wait_for()  # before, keys may go to a cell that is replaced
    output = run_cell(page, 0)
    assert "Reached by Jupyter's proxy of ports: jupyter-server-proxy" in output.inner_text()
    frame = frame_of(page)
    assert f"{BASE}proxy/" in frame.url
    assert frame.locator("#maps-wall").get_attribute("data-drawn") == f"{LAYER} 3 0"
    # The same in a frame of another origin, at the kernel's own port.
    output = run_cell(page, 1)
    assert "Reached without a proxy" in output.inner_text()
    page.locator("iframe[title^='Dashboard of']").nth(1).wait_for()
    elements = page.locator("iframe[title^='Dashboard of']")
    frame = elements.nth(1).element_handle().content_frame()
    frame.wait_for_selector("#maps-wall[data-drawn]")
    click_tile(frame, 7)
    words = ""
    while "filter=7" not in words:  # the link is told a moment later
        words = run_cell(page, 2).inner_text()
    assert words.startswith(f"Selection(page='maps', layer='{LAYER}', filter=7, sample=4")
    assert complaints == []
    page.context.close()


def test_nbclient_runs_a_notebook_with_a_view_whose_server_ends_with_the_kernel(jupyter):
    cells = (
        "import dashboard, fmcore, os, urllib.request\n"
        "with fmcore.open_store(os.environ['STORE']) as store:\n"
        "    view = dashboard.show(store, 'filter', filter=2)\n"
        "view",
        "status = urllib.request.urlopen(view.url).status\n"
        "root = view.url.partition('filter?')[0]\n"
        "urllib.request.urlopen(f'{root}selection', b'maps?layer=conv2&filter=1&sample=5')\n"
        "f'{status} {view.selection.page} {view.selection.layer} {view.selection.sample}'",
        "view.url",
        "from fmcore.progress import notebook_bar\n"
        "with notebook_bar(40, 'sample') as done:\n"
        "    done(39)",
    )
    ran = notebook(*cells)
    nbclient.NotebookClient(ran, timeout=120, kernel_name="python3").execute(env=jupyter)
    view, words, url = (cell.outputs[-1]["data"] for cell in ran.cells[:3])
    assert view["text/html"].startswith('<iframe src="http://127.0.0.1:')
    assert 'referrerpolicy="no-referrer"' in view["text/html"]
    assert "without a proxy" in view["text/plain"]
    assert words["text/plain"] == "'200 maps conv2 5'"
    assert "39/40" in "".join(output["text"] for output in ran.cells[3].outputs)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url["text/plain"].strip("'"))


def page_with(view):
    """A notebook's page with a view in it."""
    page = f"<!doctype html><title>Notebook</title>{view._repr_html_()}"
    return Starlette(routes=[Route("/", lambda _: HTMLResponse(page))])


@pytest.fixture
def colab(monkeypatch):
    """The address of what stands for Colab: its page's answers, and its proxy on another origin."""
    with running(port_proxy()) as address:
        address = address.replace("127.0.0.1", "localhost")

        def eval_js(script: str) -> str:
            port = re.fullmatch(
                r"google\.colab\.kernel\.proxyPort\((\d+), \{'cache': true\}\)", script
            )
            return f"{address}port-{port[1]}/"

        output = types.SimpleNamespace(eval_js=eval_js)
        monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
        module = types.ModuleType("google.colab")
        module.output = output
        monkeypatch.setitem(sys.modules, "google.colab", module)
        yield address


@pytest.mark.browser
def test_behind_a_proxy_of_another_origin_the_frame_works_and_no_other_site_may_frame_it(
    browser, colab, store_path
):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = f"http://127.0.0.1:{port}"
    with dashboard.show(store_path, "maps", layer=LAYER, sample=2, origin=own) as view:
        assert view.url.startswith(f"{colab}port-")
        assert view.words == "by Colab's proxy of ports"
        page, complaints = watched_page(browser)
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        with running(page_with(view), port=port):
            page.goto(own)
            frame = frame_of(page)
            assert frame.evaluate("document.referrer") == ""
            assert frame.evaluate("document.cookie") == ""
            click_tile(frame, 6)
            until(page, lambda: view.selection.filter == 6)
            frame.get_by_role("banner").get_by_role("link", name="Filter", exact=True).click()
            until(page, lambda: view.selection.page == "filter")
        assert (view.selection.layer, view.selection.sample) == (LAYER, 2)
        assert complaints == []
        assert sockets == []
        with running(page_with(view)) as other:
            page.on("console", lambda message: complaints.append(message.text))
            page.goto(other)
            until(page, lambda: any("frame-ancestors" in words for words in complaints))
            assert page.frames[1].url.startswith("chrome-error:")
        page.context.close()
