"""What all tests share: how long hypothesis searches, and where helpers of one folder lie that serve others too."""

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

FOLDERS = (".", "engines", "local", "hadoop", "../hadoop")
sys.path += [str(Path(__file__).parent / folder) for folder in FOLDERS]

_shared = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("here", _shared)
settings.register_profile("ci", _shared, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")
