"""nginx with the very configuration that `deploy/` recommends; its paths and ports are a test's."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

from helpers.factories import tool

CONF = Path(__file__).parents[2] / "deploy" / "nginx.conf"
# Around the file, as Debian's own configuration is; all that is written lies in the test's folder.
MAIN = """
daemon off;
{user}
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  include /etc/nginx/mime.types;
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {folder}/site.conf;
}}
"""


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine that nobody vouches for, and its key."""
    folder.mkdir(exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        tool("openssl", debian="openssl"),
        *["req", "-x509", "-newkey", "rsa:2048", "-nodes"],
    ]
    command += ["-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def site(folder: Path, upstream: Path, *, port: int, prefix: str) -> str:
    """`deploy/nginx.conf` with what it says to replace; each part must be there, once."""
    cert, key = certificate(folder)
    text = CONF.read_text("utf-8")
    for written, here in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "server_name maps.example.org;": "server_name localhost;",
        "/etc/nginx/cert.pem": str(cert),
        "/etc/nginx/key.pem": str(key),
        "unix:/run/fmdash/socket:": f"unix:{upstream}:",
        "  location / {": f"  location {prefix}/ {{",
    }.items():
        assert text.count(written) == 1, written
        text = text.replace(written, here)
    return text


@contextlib.contextmanager
def behind_nginx(folder: Path, upstream: Path, *, prefix: str = ""):
    """The address of nginx in front of a server that listens on a Unix socket."""
    nginx = tool(shutil.which("nginx") or "/usr/sbin/nginx", debian="nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "site.conf").write_text(site(folder, upstream, port=port, prefix=prefix))
    # Its workers would else be somebody who may not enter the test's folder.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))
    command = [nginx, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5):
                    break
            except OSError:
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline, (folder / "error.log").read_text()
                time.sleep(0.02)
        yield f"https://localhost:{port}{prefix}/"
    finally:
        process.terminate()
        process.wait(20)


def trusting(folder: Path) -> ssl.SSLContext:
    """What trusts the certificate of `behind_nginx`."""
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))
