"""Runs mrjob's published example jobs: by mrjob itself, under compat with their files as they are, and written anew."""

import ast
import io
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

ANEW = Path(__file__).parent / "examples_mrjob"
MRJERB = str(Path(sys.executable).parent / "mrjerb")
WORDS = ["the", "Button", "you", "button", "u", "don't", "Über", "naïve", "up", "a1", "frame", "FRAME", "of", "quay"]


def published() -> Path:
    """The folder of mrjob's examples."""
    spec = find_spec("mrjob")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "examples"


class Example(NamedTuple):
    """A job of mrjob's: its name there, and ours. `runner` is the one of mrjob's that can run it."""

    name: str
    anew: str | None
    inputs: str = "text"
    args: tuple[str, ...] = ()
    runner: str = "inline"
    options: tuple[str, ...] = ()


EXAMPLES = [
    Example("mr_count_lines_by_file", "count_lines_by_file"),
    Example("mr_count_lines_right", "count_lines"),
    Example("mr_grep", "grep", args=("-e", "FRAME"), runner="local", options=("--expression", "FRAME")),
    Example("mr_log_sampler", "log_sampler", args=("--sample-size", "100000"), options=("--sample-size", "100000")),
    Example("mr_most_used_word", "most_used_word", options=("--files", str(published() / "stop_words.txt"))),
    Example("mr_next_word_stats", "next_word_stats"),
    Example("mr_nick_nack", "nick_nack"),
    Example("mr_nick_nack_input_format", None),
    Example("mr_phone_to_url", "phone_to_url", inputs="wet"),
    Example("mr_text_classifier", "text_classifier", inputs="documents"),
    Example("mr_wc", "wc"),
    Example("mr_word_freq_count", "word_freq_count"),
    Example("mr_words_containing_u_freq_count", "words_containing_u", runner="local"),
]


def inputs_of(kind: str, folder: Path) -> list[str]:
    """The inputs of an example, made in a folder."""
    if kind == "documents":
        return sorted(str(path) for path in (published() / "docs-to-classify").iterdir())
    if kind == "wet":
        return [_wet(folder / f"{name}.wet", name) for name in ("one", "two")]
    return [_text(folder / "one.txt", 400, 1), _text(folder / "two.txt", 130, 7)]


def _text(path: Path, lines: int, step: int) -> str:
    """Lines of words, all of which follow from numbers."""
    words = [[WORDS[(at * step + place * place) % len(WORDS)] for place in range(at % 9)] for at in range(lines)]
    path.write_text("".join(" ".join(line) + "\n" for line in words))
    return str(path)


def _wet(path: Path, name: str) -> str:
    """A file of pages with telephone numbers, as Common Crawl has them."""
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=False)
        for page in range(12):
            text = "".join(f"call (415) 555-{number:04} or 1-212-555-{number * page:04}\n" for number in range(page))
            record = writer.create_warc_record(
                f"http://{name}{page % 3}.example.com/{'x' * page}",
                "conversion",
                payload=io.BytesIO(text.encode()),
                warc_content_type="text/plain",
                http_headers=StatusAndHeaders("", [], "") if page == 11 else None,
            )
            writer.write_record(record)
    return str(path)


def run(words: list[str], folder: Path, *, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    """A command of this Python, in a folder, with a history of its own. Sets have the same order each time."""
    environment = os.environ | {"PYTHONHASHSEED": "0", "XDG_STATE_HOME": str(folder / "state"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, timeout=200)
    assert done.returncode == code, done.stdout.decode() + done.stderr.decode()
    return done


def by_mrjob(example: Example, inputs: list[str], folder: Path) -> bytes:
    """The output of mrjob itself, in the order of its parts: mrjob prints them as the folder happens to list them."""
    script = str(published() / f"{example.name}.py")
    words = [script, *example.args, "--no-conf", "-r", example.runner, "--num-cores", "1", "-o", str(folder / "mrjob")]
    run([*words, *inputs], folder)
    return parts_in(folder / "mrjob")


def parts_in(folder: Path) -> bytes:
    """The lines of an output, part by part."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("part-*")))


def by_compat(example: Example, inputs: list[str], folder: Path, *, runner: str, args: tuple[str, ...] = ()) -> bytes:
    """The output under compat, of the file as mrjob publishes it."""
    script = str(published() / f"{example.name}.py")
    words = ["-m", "mrjerb.compat", script, *example.args, *args, "--no-conf", "-q", "-r", runner, *inputs]
    return run(words, folder).stdout


def written_anew(example: Example, inputs: list[str], folder: Path) -> bytes:
    """The output of the job that is written anew."""
    script = str(ANEW / f"{example.anew}.py")
    if example.inputs == "wet":
        (folder / "paths.txt").write_text("".join(f"{path}\n" for path in inputs))
        inputs = [str(folder / "paths.txt")]
    words = [MRJERB, "run", script, *inputs, "-o", str(folder / "anew"), "--quiet", *example.options]
    run(words, folder)
    return parts_in(folder / "anew")


def lines_of_code(path: Path) -> int:
    """How many lines of a file are neither blank, nor a comment, nor a text that says what something does."""
    text = path.read_text()
    said: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(body, list) and body:
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and first.end_lineno:
                said.update(range(first.lineno, first.end_lineno + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(1 for at, line in lines if line.strip() and not line.strip().startswith("#") and at not in said)
