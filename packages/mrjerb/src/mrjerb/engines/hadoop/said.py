"""What the `hadoop` command says while a job runs, line by line: how far it is, its ids, its failures.

… Running job: job_1700000000000_0001
… Submitted application application_1700000000000_0001
… map 50% reduce 0%
… Task Id : attempt_1700000000000_0001_m_000000_0, Status : FAILED
"""

import re
from collections import deque
from typing import Final

from mrjerb.engines.hadoop.reports import Failure, found_failure

_JOB: Final = re.compile(r"Running job: (job_\w+)")
_APPLICATION: Final = re.compile(r"Submitted application (application_\w+)")
_PERCENT: Final = re.compile(r"\bmap (\d+)% reduce (\d+)%")
_TRACKED: Final = re.compile(r"The url to track the job: (\S+)")
_ATTEMPT: Final = re.compile(r"Task Id : (attempt_\w+), Status : (\w+)")
_NOISE: Final = re.compile(r"^\s+at |^\s*\.\.\. \d+ more|^\s*$")
KEPT: Final = 60


class Said:
    """What was said of a job so far."""

    def __init__(self) -> None:
        self.job: str | None = None
        self.application: str | None = None
        self.url: str | None = None
        self.map = self.reduce = 0
        self.failures: list[Failure] = []
        self.failed_attempts: list[str] = []
        self.last: deque[str] = deque(maxlen=KEPT)

    def line(self, line: str) -> bool:
        """Take a line; whether it says how far the job is."""
        failure = found_failure(line)
        if failure is not None:
            self.failures.append(failure)
            return False
        if not _NOISE.match(line):
            self.last.append(line)
        return self._facts(line)

    def _facts(self, line: str) -> bool:
        if found := _JOB.search(line):
            self.job = found[1]
        elif found := _APPLICATION.search(line):
            self.application = found[1]
        elif found := _TRACKED.search(line):
            self.url = found[1]
        elif found := _ATTEMPT.search(line):
            self.failed_attempts.append(found[1])
        elif found := _PERCENT.search(line):
            self.map, self.reduce = int(found[1]), int(found[2])
            return True
        return False
