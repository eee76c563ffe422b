"""What the peers' programs have in common: their command line, and how they write their result.

    python with_PEER.py word_count WORDS OUTPUT
    python with_PEER.py click_rates IMPRESSIONS CLICKS OUTPUT

WORDS, IMPRESSIONS and CLICKS are folders of JSON lines; OUTPUT is a file of lines `JSON, tab, JSON`.
"""

import json
import sys
from pathlib import Path


def run(**loads):
    """Run the load that the command line names, and write the pairs that it returns."""
    name, *folders, output = sys.argv[1:]
    with Path(output).open("w") as file:
        file.writelines(f"{json.dumps(key)}\t{json.dumps(value)}\n" for key, value in loads[name](*folders))


def files(folder):
    """The files of a folder, as texts."""
    return [str(path) for path in sorted(Path(folder).iterdir())]


def rates(impressions, clicks):
    """Clicks over impressions, of two counts by advertiser."""
    for advertiser, shown in impressions.items():
        clicked = clicks.get(advertiser, 0)
        yield advertiser, (clicked, shown, clicked / shown)
