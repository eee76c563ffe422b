"""The peers' programs, fetched and built once into `.bench/`; a peer that cannot be had says why."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".bench"
BUILD_SECONDS = 900


class UnavailableError(Exception):
    """A peer cannot be had here; the text says why."""


def go_program(module: str, version: str) -> Path:
    """The program of a Go module, by `go install`."""
    program = CACHE / "bin" / module.rpartition("/")[2]
    if program.exists():
        return program
    if shutil.which("go") is None:
        raise UnavailableError("Go is not installed")
    # What is downloaded may be deleted like all else in the folder.
    places = {"GOBIN": str(CACHE / "bin"), "GOPATH": str(CACHE / "go"), "GOFLAGS": "-modcacherw"}
    _run(["go", "install", f"{module}@{version}"], CACHE, os.environ | places)
    return program


def node_package(name: str, version: str) -> Path:
    """The folder of an npm package."""
    folder = CACHE / f"node-{name}"
    package = folder / "node_modules" / name
    if package.exists():
        return package
    if shutil.which("npm") is None:
        raise UnavailableError("Node and npm are not installed")
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-fund", "--no-audit", "--omit=optional", "--prefix", str(folder)]
    _run([*command, f"{name}@{version}"], folder, os.environ)
    return package


def _run(command: list[str], folder: Path, environment: os._Environ[str] | dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    print(f"building: {' '.join(command)}", flush=True)
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"`{command[0]}` took more than {BUILD_SECONDS} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise UnavailableError(f"`{' '.join(command[:2])}` failed: {said[:200]}")
