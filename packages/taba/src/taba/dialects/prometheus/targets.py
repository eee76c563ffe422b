"""Which pages are fetched, and what is added to their series. Pure; standard library only.

    target = [ job "=" ] URL            node=http://10.0.0.7:9100/metrics

Without a scheme it is http, without a path /metrics. The label `instance` is HOST:PORT, and so is the client; `job` is
what stands before `=`, and without that there is none. A page's own labels of these names become `exported_instance`
and `exported_job`, as in Prometheus.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from taba.dialects.prometheus.naming import INSTANCE_LABEL

JOB_LABEL, EXPORTED = "job", "exported_"
DEFAULT_PATH = "/metrics"
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-f:.]+(?:%[A-Za-z0-9._-]+)?")
_ADDRESS = re.compile(r"[\x21-\x7e]+")
_PORTS = {"http": 80, "https": 443}
_SECRET = re.compile(r"(?i)([?&][^=&]*(?:token|key|secret|pass|auth|sig)[^=&]*=)[^&]+")
_JOB = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.:/-]{0,99})=(?=\S)")


@dataclass(frozen=True, slots=True)
class Target:
    """A page. `request` is its path with the query; `labels` are those that its series get."""

    url: str
    scheme: str
    host: str
    port: int
    request: str
    labels: tuple[tuple[str, str], ...]

    @property
    def shown(self) -> str:
        """The URL, without the values in its query that look like secrets."""
        return _SECRET.sub(r"\1…", self.url)

    @property
    def instance(self) -> str:
        """HOST:PORT."""
        return dict(self.labels)[INSTANCE_LABEL]


def target(written: str) -> Target:
    """A target as somebody wrote it. Raises ValueError that says how to write one."""
    shown = f"…{written[written.rindex('@') :]}" if "@" in written else written  # a password is for no log
    wrong = f"{shown!r} is no page to scrape: write it as http://127.0.0.1:9100/metrics, or JOB=http://…"
    found = _JOB.match(written)
    job, address = (found[1], written[found.end() :]) if found and "://" not in found[1] else ("", written)
    address = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise ValueError(wrong) from None
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{wrong} (a user's name and password are not taken)")
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host) or parts.fragment or not _ADDRESS.fullmatch(address):
        raise ValueError(wrong)
    bracketed = f"[{host}]" if ":" in host else host
    port = port or _PORTS[parts.scheme]
    request = (parts.path or DEFAULT_PATH) + (f"?{parts.query}" if parts.query else "")
    labels = ((INSTANCE_LABEL, f"{bracketed}:{port}"), *(((JOB_LABEL, job),) if job else ()))
    url = f"{parts.scheme}://{bracketed}:{port}{request}"
    return Target(url, parts.scheme, host, port, request, labels)


def with_target(pairs: list[tuple[str, str]], found: Target) -> list[tuple[str, str]]:
    """A series' labels with those of its target; its own of the same names give way."""
    added = dict(found.labels)
    return [*((EXPORTED + key if key in added else key, value) for key, value in pairs), *found.labels]
