"""The dashboard's pure modules, tested by Node's own runner; and that all of them can be read."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from taba import dashboard

HERE = Path(__file__).parent
SOURCE = Path(str(dashboard.folder()))
TOOLS = Path(__file__).parents[4] / ".tools/bin"
NODE = shutil.which("node") or shutil.which("node", path=str(TOOLS))
MODULES = sorted(path for path in SOURCE.rglob("*.js") if "vendor" not in path.parts)

pytestmark = pytest.mark.skipif(NODE is None, reason="node is missing: `make setup` installs it")


@pytest.mark.parametrize("file", sorted(HERE.glob("*.test.mjs")), ids=lambda file: file.name)
def test_a_module_does_what_it_says(file):
    """Formatting, merging, search, drawing and asking, apart from any browser."""
    assert NODE is not None
    ended = subprocess.run([NODE, "--test", str(file)], capture_output=True, text=True, timeout=60, cwd=HERE)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_module_can_be_read():
    """No module has a syntax that the engine refuses, or names a file that is not there."""
    assert NODE is not None
    for path in MODULES:
        read = path.read_text(encoding="utf-8")
        for named in re.findall(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""", read):
            if "vendor" not in named:
                assert (path.parent / named).resolve().is_file(), f"{path}: {named}"
    checked = subprocess.run(
        [NODE, "--input-type=module", "--check"],
        input="\n".join(f"import {str(path)!r};" for path in MODULES),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stderr


def test_modules_stay_small():
    """A file is about one thing."""
    assert [path.name for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > 320] == []
