"""A real Prometheus that scrapes a server or an exporter, and questions to its API."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from engines import free_port
from server_process import wait_until

CONFIGURATION = """
global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}
scrape_configs:
  - job_name: taba
    static_configs: [{{targets: ["{target}"]}}]
"""
WRITING = """
remote_write:
  - url: {url}
    queue_config: {{batch_send_deadline: 200ms, min_backoff: 50ms, max_backoff: 500ms, max_samples_per_send: 40}}
    metadata_config: {{send_interval: 1s}}
"""


class Prometheus:
    """Scrapes `url` every `interval`, and writes to `write_to` where that is given; ends with `close`."""

    def __init__(self, folder: Path, url: str, interval: str = "500ms", write_to: str | None = None) -> None:
        folder.mkdir()
        configuration = CONFIGURATION.format(interval=interval, target=urlsplit(url).netloc)
        configuration += WRITING.format(url=write_to) if write_to else ""
        (folder / "prometheus.yml").write_text(configuration)
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._log = (folder / "log").open("wb")
        self._command = [
            "prometheus",
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self.start()

    def start(self) -> None:
        """Start, and wait until it scrapes."""
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        wait_until(self._ready, 60)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait(60)

    def log(self) -> str:
        """What it said."""
        return Path(self._log.name).read_text(errors="replace")

    def _ready(self) -> bool:
        assert self._process.poll() is None, Path(self._log.name).read_text()
        try:
            return urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def get(self, path: str, **parameters: Any) -> Any:
        """The data of a question to the API."""
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=60) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> dict[frozenset[tuple[str, str]], float]:
        """The present values of an expression, by labels (without those of the target)."""
        found = self.get("query", query=expression, time=time.time())["result"]
        return {
            frozenset((key, text) for key, text in one["metric"].items() if key not in ("instance", "job")): float(
                one["value"][1]
            )
            for one in found
        }

    def value(self, expression: str) -> float | None:
        """The one value of an expression; None where it has none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return next(iter(found.values()), None)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._log.close()


def promtool(text: bytes) -> subprocess.CompletedProcess[bytes]:
    """What `promtool check metrics` says of a text in the classic format: 0, and not a word, where all is well."""
    return subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60)
