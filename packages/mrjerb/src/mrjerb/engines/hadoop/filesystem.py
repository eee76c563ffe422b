"""HDFS, and what else only Hadoop knows, as a filesystem of fsspec's: by `hadoop fs`, so that nothing has to be set up
twice. Each call starts a Java and takes a second or two; jobs themselves read and write by Hadoop's own ways.
"""

import os
import tempfile
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import fsspec
from fsspec.spec import AbstractFileSystem
from fsspec.utils import infer_storage_options

from mrjerb.engines.hadoop.command import CallError, Command, found_command
from mrjerb.engines.hadoop.places import MARK, marked

SCHEMES: Final = ("hdfs", "viewfs", "ofs", "o3fs", "maprfs")
STATE: Final = MARK + "%Y %b %F %n"
"""When it was changed, in milliseconds; bytes; `directory` or `regular file`; its name."""
_MISSING: Final = "No such file or directory"


def register(conf: Mapping[str, str]) -> None:
    """From here on, these URLs are read and written by the `hadoop` command that `conf` or the environment names."""
    _commands.clear()
    _commands.append(dict(conf))
    _command.cache_clear()
    for scheme in SCHEMES:
        fsspec.register_implementation(scheme, _of_scheme(scheme), clobber=True)


_commands: list[dict[str, str]] = []


@cache
def _command() -> tuple[Command, tuple[str, ...]]:
    """The command, and Hadoop's settings for it."""
    conf = _commands[-1] if _commands else {}
    settings = [
        part for name, value in conf.items() if not name.startswith("mrjerb.") for part in ("-D", f"{name}={value}")
    ]
    return found_command(conf, os.environ), tuple(settings)


@cache
def _of_scheme(scheme: str) -> type["HadoopFiles"]:
    return type("HadoopFiles", (HadoopFiles,), {"protocol": scheme})


class HadoopFiles(AbstractFileSystem):
    """Files by `hadoop fs`. Paths are as in URLs, from the root; `host` and `port` are the URL's."""

    protocol = "hdfs"
    cachable = False

    def __init__(self, host: str = "", port: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._root = f"{self.protocol}://{host or ''}{f':{port}' if port else ''}"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        found = infer_storage_options(path)["path"] if "://" in path else path
        return found.rstrip("/") or "/"

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        found = infer_storage_options(path)
        return {name: found[name] for name in ("host", "port") if name in found}

    def unstrip_protocol(self, name: str) -> str:
        """A path as a URL again."""
        return name if "://" in name else self._url(name)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What is in a folder; a file itself."""
        path = self._strip_protocol(path)
        found = [self.info(path)]
        if found[0]["type"] == "directory":
            found = self._states(path, f"{_literal(self._url(path)).rstrip('/')}/*")
        return found if detail else [one["name"] for one in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """What a path is. Raises FileNotFoundError."""
        path = self._strip_protocol(path)
        found = self._states(path.rpartition("/")[0], _literal(self._url(path)))
        if not found:
            raise FileNotFoundError(2, _MISSING, path)
        return {**found[0], "name": path}

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a folder and those above it."""
        self._call("-mkdir", "-p", self._url(path))

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """Make a folder."""
        self.makedirs(path)

    def mv(self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **_: Any) -> None:
        """Rename."""
        self._call("-mv", _literal(self._url(path1)), self._url(path2))

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy a file."""
        self._call("-cp", _literal(self._url(path1)), self._url(path2))

    def rm_file(self, path: str) -> None:
        """Remove a file."""
        self._call("-rm", "-skipTrash", _literal(self._url(path)))

    def rm(self, path: str, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove a file, or a folder with all in it."""
        self._call("-rm", *(["-r"] if recursive else []), "-skipTrash", _literal(self._url(path)))

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        """Write a file."""
        command, settings = _command()
        options = {"stdin": None, "input": value}
        self._raised(lambda: command.call(["fs", *settings, "-put", "-f", "-", self._url(path)], **options))

    def modified(self, path: str) -> Any:
        """When a file was changed, in milliseconds."""
        return self.info(path)["mtime"]

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: Any = None,
        **_: Any,
    ) -> Any:
        """A copy of a file, to be read; it is gone once it is closed."""
        if mode != "rb":
            raise NotImplementedError(f"{path}: files are written whole")
        with tempfile.TemporaryDirectory(prefix="mrjerb-") as folder:
            copy = os.path.join(folder, "copy")  # noqa: PTH118
            self._call("-get", "-ignoreCrc", _literal(self._url(path)), f"file://{copy}")
            return open(copy, "rb")  # noqa: PTH123

    def _states(self, folder: str, pattern: str) -> list[dict[str, Any]]:
        try:
            lines = marked(self._call("-stat", STATE, pattern))
        except FileNotFoundError:
            return []
        return [_state(folder, line) for line in lines]

    def _url(self, path: str) -> str:
        return self._root + self._strip_protocol(path)

    def _call(self, *arguments: str) -> str:
        command, settings = _command()
        return self._raised(lambda: command.call(["fs", *settings, *arguments]))

    def _raised(self, call: Any) -> str:
        """What a call says; what it lacks as an OSError."""
        try:
            return call()
        except CallError as error:
            said = error.said.rstrip().rpartition("\n")[2]
            if _MISSING in error.said:
                raise FileNotFoundError(2, _MISSING, said) from None
            raise OSError(5, said or str(error)) from None


def _state(folder: str, line: str) -> dict[str, Any]:
    time, size, rest = line.split(" ", 2)
    kind, name = ("directory", rest.removeprefix("directory ")) if rest.startswith("directory ") else ("file", rest)
    name = name.removeprefix("regular file ").removeprefix("regular empty file ")
    return {"name": f"{folder.rstrip('/')}/{name}", "size": int(size), "type": kind, "mtime": int(time)}


def _literal(path: str) -> str:
    """A path in which nothing is a pattern."""
    return "".join("\\" + one if one in "*?[]{}\\" else one for one in path)
