"""`import mrjob` finds what is here: modules by mrjob's names, for jobs whose files are not edited.

    mrjob.job  mrjob.step  mrjob.protocol  mrjob.compat  mrjob.util  mrjob.parse  mrjob.py2  mrjob.cat  mrjob.runner

Other modules of mrjob, such as `mrjob.emr`, are not there, and what a job imports of them says so by name.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import io
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

VERSION: Final = "0.7.4"
"""The release of mrjob whose behaviour is kept."""


def _job() -> dict[str, Any]:
    from mrjerb.compat.job import MRJob
    from mrjerb.errors import UsageError

    return {"MRJob": MRJob, "UsageError": UsageError}


def _step() -> dict[str, Any]:
    from mrjerb.compat import steps

    names = "INPUT OUTPUT GENERIC_ARGS MRStep JarStep SparkStep SparkJarStep SparkScriptStep StepFailedException"
    return {name: getattr(steps, name) for name in names.split()}


def _protocol() -> dict[str, Any]:
    from mrjerb.compat import protocols

    named = {name: kind for name, kind in vars(protocols).items() if name.endswith("Protocol")}
    return {**named, "__getattr__": protocols.__getattr__}


def _compat() -> dict[str, Any]:
    from mrjerb.compat import jobconf

    return {name: getattr(jobconf, name) for name in ("jobconf_from_env", "jobconf_from_dict")}


def _util() -> dict[str, Any]:
    from mrjerb.compat import util

    names = (
        "cmd_line expand_path file_ext log_to_null log_to_stream safeeval shlex_split to_lines unique which is_uri "
        "parse_mr_job_stderr is_compressed to_unicode"
    )
    return {name: getattr(util, name) for name in names.split()}


def _parse() -> dict[str, Any]:
    return {**_util(), "urlparse": urllib.parse.urlparse}


def _py2() -> dict[str, Any]:
    return {
        "PY2": False,
        "string_types": (str,),
        "integer_types": (int,),
        "StringIO": io.StringIO,
        "xrange": range,
        "ParseResult": urllib.parse.ParseResult,
        "urljoin": urllib.parse.urljoin,
        "urlparse": urllib.parse.urlparse,
        "urlopen": urllib.request.urlopen,
        "pathname2url": urllib.request.pathname2url,
        "to_unicode": _util()["to_unicode"],
    }


def _runner() -> dict[str, Any]:
    from mrjerb.compat.running import Runner

    return {"MRJobRunner": Runner}


def _package() -> dict[str, Any]:
    return {"__version__": VERSION}


MODULES: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "mrjob": _package,
    "mrjob.job": _job,
    "mrjob.step": _step,
    "mrjob.protocol": _protocol,
    "mrjob.compat": _compat,
    "mrjob.util": _util,
    "mrjob.parse": _parse,
    "mrjob.cat": _util,
    "mrjob.py2": _py2,
    "mrjob.runner": _runner,
}


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds mrjob's modules here, before any that is installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module of a name, if it is one of mrjob's. Raises ModuleNotFoundError for those that are not here."""
        if fullname in MODULES:
            spec = importlib.machinery.ModuleSpec(fullname, self, is_package=fullname == "mrjob")
            installed = importlib.machinery.PathFinder.find_spec("mrjob") if fullname == "mrjob" else None
            if installed is not None:  # whose examples may import one another
                spec.submodule_search_locations = installed.submodule_search_locations
            return spec
        if fullname.startswith("mrjob.") and not fullname.startswith("mrjob.examples"):
            raise ModuleNotFoundError(f"{fullname} is not supported by mrjerb.compat", name=fullname)
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module."""
        vars(module).update(MODULES[module.__name__]())


_finder: Final = Finder()


def install() -> None:
    """Have `import mrjob` find mrjerb's, in this process from now on, whether mrjob is installed or not."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
        for name in [name for name in sys.modules if name == "mrjob" or name.startswith("mrjob.")]:
            del sys.modules[name]


def imports_mrjob(code: bytes) -> bool:
    """Whether a file's text says that it imports mrjob."""
    return any(line.split()[:1] in ([b"import"], [b"from"]) and b"mrjob" in line for line in code.splitlines())
