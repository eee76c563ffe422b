"""`python -m mrjerb.engines.spark` prints the path of the file that `spark-submit` takes (see `submit`)."""

import sys
from pathlib import Path

sys.stdout.write(f"{Path(__file__).with_name('submit.py')}\n")
