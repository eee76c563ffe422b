"""Settings that all tests share: how long hypothesis searches, and where the tests' own helpers lie."""

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# The helpers of one folder serve the tests of others too; their file names are unique.
sys.path += [str(Path(__file__).parent / folder) for folder in ("handlers", "states", "store", "server")]

_shared = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("here", _shared)
settings.register_profile("ci", _shared, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")
