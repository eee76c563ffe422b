"""Fuzz the parsers: `make fuzz`, for TABA_FUZZ_MINUTES minutes of one processor's time in all (10).

    python fuzz_run.py [--minutes M] [TARGET …]      a process for each target, one after the other, then a table
    python fuzz_run.py --one TARGET SECONDS          this process, by atheris (libFuzzer, guided by coverage)

What a search has learned is kept in build/fuzz/TARGET, and the next one goes on from there. An input that breaks a
promise is written to build/fuzz/found; mend the parser, and keep the input beside this file, in found/TARGET.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import fuzz_targets

ROOT = Path(__file__).parents[4]
WORK = ROOT / "build" / "fuzz"
RSS_MEGABYTES = 1500
"""libFuzzer ends the process beyond it, and keeps the input."""
ADDRESSES = 16 << 30
"""Of the address space, of which engines reserve much more than they use."""
ONE_ALLOCATION_MEGABYTES = 512


def search(name: str, seconds: int) -> None:
    """Fuzz one target in this process; it ends here."""
    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    with atheris.instrument_imports(include=["taba"]):
        one = fuzz_targets.load_all()[name]
    corpus, found = WORK / name, WORK / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(one.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    for file in one.found():
        (corpus / f"found-{file.name}").write_bytes(file.read_bytes())
    flags = [
        f"-max_total_time={seconds}",
        f"-max_len={one.longest}",
        f"-timeout={one.seconds}",
        f"-rss_limit_mb={RSS_MEGABYTES}",
        f"-malloc_limit_mb={ONE_ALLOCATION_MEGABYTES}",
        f"-artifact_prefix={found}/{name}-",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], one.run)
    atheris.Fuzz()


def searched(name: str, seconds: int) -> tuple[bool, str]:
    """Fuzz one target in a process of its own; whether nothing was found, and a line about it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, __file__, "--one", name, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=Path(__file__).parent)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    log = WORK / f"{name}.log"
    log.write_text(done.stdout + done.stderr)
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    memory = re.search(r"stat::peak_rss_mb:\s*(\d+)", done.stderr)
    covered = re.findall(r"cov: (\d+)", done.stderr)
    told = [runs[1] if runs else "?", covered[-1] if covered else "?", f"{memory[1]} MB" if memory else "?"]
    sound = done.returncode == 0
    outcome = "nothing" if sound else f"see {log.relative_to(ROOT)}"
    return sound, f"{name:18} {spent:8.0f} {told[0]:>12} {told[1]:>8} {told[2]:>8}  {outcome}"


def tell(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Fuzz what is asked for; 1 where something was found."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--minutes", type=float, default=float(os.environ.get("TABA_FUZZ_MINUTES", "10")))
    asked.add_argument("--one", nargs=2, metavar=("TARGET", "SECONDS"))
    asked.add_argument("targets", nargs="*")
    given = asked.parse_args()
    if given.one:
        search(given.one[0], int(given.one[1]))
    known = fuzz_targets.load_all()
    names = given.targets or list(known)
    if unknown := sorted(set(names) - set(known)):
        asked.error(f"there is no target {', '.join(unknown)}: there are {', '.join(known)}")
    WORK.mkdir(parents=True, exist_ok=True)
    seconds = max(1, round(given.minutes * 60 / len(names)))
    tell(f"{len(names)} targets, {seconds} s each, from {time.strftime('%Y-%m-%d %H:%M:%S')}")
    tell(f"{'target':18} {'cpu s':>8} {'inputs':>12} {'covered':>8} {'memory':>8}  found")
    all_sound = True
    for name in names:
        sound, line = searched(name, seconds)
        tell(line)
        all_sound &= sound
    return 0 if all_sound else 1


if __name__ == "__main__":
    sys.exit(main())
