"""A real nginx on loopback, with the configuration of deploy/ and other ports in it."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from engines import free_port

CONFIGURATION = Path(__file__).parents[4] / "deploy/nginx.conf"
PROGRAM = shutil.which("nginx") or "/usr/sbin/nginx"
AROUND = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/taba.conf;
}}
"""


class Nginx:
    """nginx before servers, as deploy/nginx.conf has it; ends with `close`."""

    def __init__(self, folder: Path, servers: Sequence[str]) -> None:
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "taba.conf").write_text(self._configured(servers))
        # Else its processes are nobody's, who may not write into our folder.
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
        command = [PROGRAM, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=60)
        assert checked.returncode == 0, checked.stderr
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not (folder / "nginx.pid").exists() or not (folder / "nginx.pid").read_text():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def _configured(self, servers: Sequence[str]) -> str:
        """The configuration with our servers in the place of its own, each with what follows it there."""
        text, count = re.subn(r"listen 127\.0\.0\.1:8300;", f"listen 127.0.0.1:{self.port};", CONFIGURATION.read_text())
        assert count == 1
        (options,) = set(re.findall(r"^ *server 127\.0\.0\.1:\d+(.*);$", text, re.MULTILINE))
        lines = "".join(f"    server {urlsplit(url).netloc}{options};\n" for url in servers)
        text, count = re.subn(r"(?:^ *server 127\.0\.0\.1:\d+.*;\n)+", lines, text, flags=re.MULTILINE)
        assert count == 1
        return text

    def log(self) -> str:
        return (self.folder / "error.log").read_text(errors="replace")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)
