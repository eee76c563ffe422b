"""A server that compacts as any server does, but does not wait so long for it.

python fault_server.py SETTINGS     serve with the settings, as JSON

Where it cannot open an engine's store it is started anew, as a process manager does.
"""

import json
import os
import sys
import time

import msgspec

from taba.config import Settings
from taba.server import service
from taba.server.main import StartError, serve
from taba.states import tiers
from taba.store import StoreError


def main() -> None:
    service.COMPACT_SECONDS = 0.4
    tiers.SETTLE_SECONDS = 1
    settings = msgspec.convert(json.loads(sys.argv[1]), Settings, dec_hook=lambda kind, value: kind(value))
    try:
        serve(settings, lambda url: None)
    except (StartError, StoreError) as error:
        if "://" not in settings.store or isinstance(error, StartError):
            sys.exit(str(error))
        sys.stderr.write(f"it cannot start: {error}\n")
        time.sleep(0.3)
        os.execv(sys.executable, [sys.executable, *sys.argv])


if __name__ == "__main__":
    main()
