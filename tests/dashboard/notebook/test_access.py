"""What of a notebook's surroundings decides how the browser reaches the kernel."""

from __future__ import annotations

import json
import os
import sys
import types

import pytest

from dashboard.notebook import access
from dashboard.notebook.access import access_to
from fmcore.errors import SelectionError


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """Jupyter's folder, with what a server says of itself that is the parent of this process."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    about = {"base_url": "/lab/", "pid": 77, "token": "a-secret"}
    (tmp_path / "jpserver-77.json").write_text(json.dumps(about))
    return tmp_path


def without_proxy(monkeypatch):
    monkeypatch.setattr(access, "find_spec", lambda name: None if "proxy" in name else object())


def decided(environ, *, proxy=None, origin=None):
    return access_to(8123, proxy=proxy, origin=origin, environ=environ)


def test_without_anything_the_frame_goes_to_the_port_itself():
    direct = decided({})
    assert direct.address == "http://127.0.0.1:8123"
    assert direct.prefix == ""
    assert direct.hosts == ("127.0.0.1", "localhost")
    assert {"'self'", "http://localhost:*", "vscode-webview:"} <= {*direct.frames}
    assert "*" not in direct.frames
    assert "install jupyter-server-proxy" in direct.words


def test_a_jupyter_server_with_the_proxy_is_gone_through_and_its_token_is_not_taken(runtime):
    through = decided({"JPY_PARENT_PID": "77"})
    assert through.address == "/lab/proxy/8123"
    assert through.frames == ("'self'",)
    assert "a-secret" not in repr(through)


def test_jupyter_without_its_proxy_is_not_gone_through(runtime, monkeypatch):
    without_proxy(monkeypatch)
    assert decided({"JPY_PARENT_PID": "77"}).address == "http://127.0.0.1:8123"


@pytest.mark.parametrize("environ", [{"JPY_PARENT_PID": "78"}, {"JPY_PARENT_PID": "../x"}])
def test_a_kernel_that_no_jupyter_server_started_is_reached_directly(runtime, environ):
    assert decided(environ).address == "http://127.0.0.1:8123"


def test_in_a_hub_the_path_is_the_hubs_and_the_words_say_if_the_proxy_is_not_seen(monkeypatch):
    environ = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ann%40lab/"}
    hub = decided(environ)
    assert hub.address == "/user/ann%40lab/proxy/8123"
    assert hub.prefix == "/user/ann@lab/proxy/8123"
    assert "jupyter-server-proxy is installed" in hub.words
    without_proxy(monkeypatch)
    unseen = decided(environ)
    assert unseen.address == hub.address
    assert "kernel's environment has none" in unseen.words


def test_proxy_false_is_direct_everywhere(runtime, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    assert decided({"JPY_PARENT_PID": "77"}, proxy=False).address == "http://127.0.0.1:8123"


def test_an_address_of_a_proxy_is_taken_as_it_is():
    own = decided({}, proxy="https://hub.example.org/at/{port}/", origin="https://nb.example.org")
    assert own.address == "https://hub.example.org/at/8123"
    assert own.prefix == "/at/8123"
    assert own.frames[-1] == "https://nb.example.org"


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({"proxy": "hub.example.org/{port}"}, "proxy="),
        ({"proxy": ""}, "proxy="),
        ({"proxy": "/a/{name}/"}, "proxy="),
        ({"proxy": "/a; script-src *"}, "proxy="),
        ({"proxy": "javascript:alert(1)"}, "proxy="),
        ({"proxy": '/"><script>'}, "proxy="),
        ({"proxy": True}, "no proxy is known"),
        ({"origin": "*"}, "origin="),
        ({"origin": "https://a.example; script-src *"}, "origin="),
        ({"origin": "https://a.example/"}, "origin="),
    ],
)
def test_what_is_no_address_is_refused_in_one_line(wish, word):
    with pytest.raises(SelectionError, match=word) as raised:
        decided({}, **wish)
    assert "\n" not in str(raised.value)


def test_this_process_is_no_notebook():
    assert access_to(1, proxy=None, origin=None, environ=os.environ).address.startswith("http://")
