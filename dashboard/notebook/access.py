"""How the browser that shows a notebook reaches a port of its kernel, and who may frame it.

Nothing is tried, because only the browser could: the decision follows from what the kernel's
process says of itself, and `Access.words` says it to the person.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fmcore.errors import SelectionError

# Of notebooks on this machine: Jupyter's on any port, since a tunnel has another one, and VS Code's
# output, which lies in its window.
LOCAL_FRAMES = (
    "'self'",
    *("http://localhost:*", "http://127.0.0.1:*", "https://localhost:*", "https://127.0.0.1:*"),
    *("vscode-webview:", "vscode-file:"),
)
# Colab has each output in a frame of an origin of its own.
COLAB_FRAMES = ("https://colab.research.google.com", "https://*.googleusercontent.com")
# A notebook behind a proxy of its own server has the proxy's origin.
PROXY_FRAMES = ("'self'",)
LOOPBACK_NAMES = ("127.0.0.1", "localhost")
# Under which name people reach a proxy, the kernel cannot know.
ANY_NAME = ("*",)
_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9.-]{1,253}(:(\d{1,5}|\*))?", re.ASCII)
_PLACE = re.compile(r"(https?://[A-Za-z0-9.-]{1,253}(:\d{1,5})?)?(/[\w.~/{}%-]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Access:
    """How a browser reaches a port.

    Attributes:
        address: what leads to the port, without a slash at its end: a URL, or a path on the
            notebook's own server.
        frames: the origins whose pages may frame what is there, as `frame-ancestors` takes them.
        hosts: the names that requests may ask for, as `KnownHosts` takes them.
        words: what was decided, why, and what to do where it is wrong.
    """

    address: str
    frames: tuple[str, ...]
    hosts: tuple[str, ...]
    words: str

    @property
    def prefix(self) -> str:
        """The path of the address, decoded, as a server sees paths."""
        return unquote(urlsplit(self.address).path)


def access_to(
    port: int, *, proxy: str | bool | None, origin: str | None, environ: Mapping[str, str]
) -> Access:
    """How the browser of this process's notebook reaches a port of this machine.

    Args:
        port: on 127.0.0.1.
        proxy: what leads to ports, with `{port}` for the port; False for none; None or True to
            decide by the process.
        origin: one more origin whose pages may frame what is there.
        environ: the variables of the process.

    Raises:
        SelectionError: if `proxy` is no address, or `origin` no origin.
    """
    if origin is not None and not _ORIGIN.fullmatch(origin):
        raise SelectionError(
            f"origin={origin!r}: expected a scheme and a host, such as https://hub.example.org",
            field="origin",
        )
    frames: tuple[str, ...] = PROXY_FRAMES
    hosts: tuple[str, ...] = ANY_NAME
    if isinstance(proxy, str):
        address, words = _place_of(proxy, port), "as proxy= says"
        frames = LOCAL_FRAMES
    elif proxy is not False and "google.colab" in sys.modules:
        address, words = _colab_address(port), "by Colab's proxy of ports"
        frames = COLAB_FRAMES
    elif proxy is not False and (base := _jupyter_proxy(environ)):
        address = f"{base[0]}proxy/{port}"
        words = f"by Jupyter's proxy of ports: {base[1]}. Where the frame stays empty, give proxy="
    elif proxy is True:
        raise SelectionError(
            "proxy=True: no proxy is known here: neither Colab's, nor that of a Jupyter server "
            "with jupyter-server-proxy; give its address, such as proxy='/proxy/{port}/'",
            field="proxy",
        )
    else:
        address, frames, hosts = f"http://127.0.0.1:{port}", LOCAL_FRAMES, LOOPBACK_NAMES
        words = (
            "without a proxy: the browser must run on the kernel's machine. Where it does not, "
            "install jupyter-server-proxy beside Jupyter, or give proxy="
        )
    extra = () if origin is None else (origin,)
    return Access(address.rstrip("/"), (*frames, *extra), hosts, words)


def _place_of(proxy: str, port: int) -> str:
    if proxy and _PLACE.fullmatch(proxy) and proxy.replace("{port}", "").count("{") == 0:
        return proxy.replace("{port}", str(port))
    raise SelectionError(
        f"proxy={proxy!r}: expected a URL or a path that leads to ports of the kernel, such as "
        "'https://hub.example.org/user/ann/proxy/{port}/' or '/proxy/{port}/'",
        field="proxy",
    )


def _colab_address(port: int) -> str:
    """What Colab's page says leads to a port of its virtual machine; waits for the page."""
    from google.colab import output

    return str(output.eval_js(f"google.colab.kernel.proxyPort({port}, {{'cache': true}})"))


def _jupyter_proxy(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Where the Jupyter server is that proxies ports, with a slash at its end, and how we know."""
    has_proxy = find_spec("jupyter_server_proxy") is not None
    base = environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
    if base:
        words = "installed" if has_proxy else "expected, though the kernel's environment has none,"
        return f"{base.rstrip('/')}/", f"jupyter-server-proxy is {words} at JupyterHub's {base}"
    base = _jupyter_base(environ) if has_proxy else ""
    return (base, "jupyter-server-proxy is installed") if base else None


def _jupyter_base(environ: Mapping[str, str]) -> str:
    """The path of the Jupyter server that started this kernel; empty where there is none."""
    process = environ.get("JPY_PARENT_PID", "")
    if not process.isdigit() or find_spec("jupyter_core") is None:
        return ""
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        about = json.loads((Path(jupyter_runtime_dir()) / f"jpserver-{process}.json").read_text())
    except (OSError, ValueError):  # another program started the kernel, such as nbclient
        return ""
    return f"{str(about['base_url']).rstrip('/')}/"
