"""Programs in JavaScript, run by Node: what tests of the JavaScript client drive it with."""

import os
import shutil
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).parents[4]
PACKAGE = ROOT / "packages/taba-js"
MODULES = Path(__file__).parent / "node_modules"
NODE = shutil.which("node") or shutil.which("node", path=str(ROOT / ".tools/bin"))


class NodeProgram:
    """A running program, whose text may use `Client`, and `lines`, which gives what `tell` says, line by line."""

    def __init__(self, folder: Path, text: str, **environment: str) -> None:
        assert NODE is not None, "node is missing: `make setup` installs it"
        head = f'import {{ Client }} from "{PACKAGE / "src/node.js"}";\n'
        if "lines" in text:
            head += 'import { createInterface } from "node:readline";\n'
            head += "const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();\n"
            head += "const told = async () => (await lines.next()).value;\n"
        file = folder / f"program-{len(list(folder.glob('program-*.mjs')))}.mjs"
        file.write_text(head + text)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TABA_")}
        self._process = subprocess.Popen(
            [NODE, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=inherited | environment,
        )
        self.errors: list[str] = []
        assert self._process.stderr is not None
        self._gathering = threading.Thread(target=lambda: self.errors.extend(self._process.stderr or ()), daemon=True)
        self._gathering.start()

    def tell(self, line: str = "") -> None:
        """Say a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """The next line that it writes."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "".join(self.errors)
        return line.strip()

    def end(self, seconds: float = 60.0) -> str:
        """Wait until it has ended by itself, which must succeed; what it wrote."""
        written, _ = self._finished(seconds)
        assert self._process.returncode == 0, written + "".join(self.errors)
        return written

    def kill(self) -> None:
        """End it with SIGKILL, if it runs."""
        self._process.kill()
        self._finished(30)

    def _finished(self, seconds: float) -> tuple[str, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if not self._process.stdin.closed:
            self._process.stdin.close()
        written = self._process.stdout.read() if self._process.poll() is None else ""
        self._process.wait(seconds)
        self._gathering.join(60)
        return written, "".join(self.errors)


def run(folder: Path, text: str, **environment: str) -> str:
    """What a program writes that ends by itself."""
    return NodeProgram(folder, text, **environment).end()
