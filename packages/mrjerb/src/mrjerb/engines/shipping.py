"""What travels with a job to the machines that run its tasks, whichever engine they are of: an archive with

    code/     the job's file, and the modules beside it that it imports, also inside of functions
    files/    side files and folders, by their names

and how a task finds it there.
"""

import ast
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

from mrjerb.plan import Source

OWN: Final = Path(__file__).parents[1]
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


def own_files() -> dict[str, Path]:
    """The files of this package, by their places beside the other packages."""
    return {f"mrjerb/{path.relative_to(OWN).as_posix()}": path for path in _files_below(OWN)}


def pack(archive: zipfile.ZipFile, files: Mapping[str, Path]) -> None:
    """Put files into an archive, each at its place."""
    for place, path in files.items():
        archive.write(path, place)


def side_files(files: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Path]]:
    """Of side files and folders by the names that the job asks for: where each is within the archive, and what is to be
    put there."""
    places: dict[str, str] = {}
    contents: dict[str, Path] = {}
    for name, given in files.items():
        path = Path(given)
        places[name] = f"files/{path.name}"
        contents |= {f"files/{one.relative_to(path.parent)}": one for one in _files_below(path)}
    return places, contents


def name_of_file(given: str) -> str:
    """What a side file or archive is called: what is behind a `#`, else the last part of its path."""
    path, _, name = given.partition("#")
    return name or Path(path).name


def place_of(source: Source) -> str:
    """Where in `code/` a job's file lies: as deep as its package is."""
    path = Path(source.path)
    return path.relative_to(_root(source)).as_posix()


def _root(source: Source) -> Path:
    """The folder that a job's module is imported from."""
    path = Path(source.path)
    depth = source.module.count(".") + (path.name == "__init__.py") if "." in source.module else 0
    return path.parents[depth]


def code_of(source: Source | None) -> dict[str, Path]:
    """The files of code that travel, by their places in `code/`: the job's, and what it imports, or this process has
    loaded, from its own folder or the current one. What a computed name leads to is seen only where it is loaded."""
    roots = [Path.cwd()] if source is None else [_root(source), Path.cwd()]
    code = {} if source is None else {place_of(source): Path(source.path)}
    waiting = [name for name in sys.modules if "." not in name]
    for path in code.values():
        waiting += _imports(path)
    if source is not None and "." in source.module:
        waiting.append(source.module.split(".")[0])
    seen = {"mrjerb", *sys.stdlib_module_names}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for place, path in _beside(name, roots):
            if place not in code:
                code[place] = path
                waiting += _imports(path)
    return code


def _beside(name: str, roots: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """The files of a module or package that is in one of the folders, if it is the one that is imported here."""
    there = sys.modules.get(name)
    for root in roots:
        found = [path for path in _module_files(root, name, there) if not _INSTALLED & set(path.parts)]
        if found:
            yield from ((path.relative_to(root).as_posix(), path) for path in found)
            return


def _module_files(root: Path, name: str, there: ModuleType | None) -> Iterator[Path]:
    """The files of a module of a folder; of a package all that is in it, of one without `__init__.py` its modules.
    `there` is what is imported here by that name."""
    module, folder = root / f"{name}.py", root / name
    if module.is_file() and _is_from(there, module):
        yield module
    elif (folder / "__init__.py").is_file():
        if _is_from(there, folder / "__init__.py"):
            yield from _files_below(folder)
    elif folder.is_dir() and (there is None or str(folder) in map(str, getattr(there, "__path__", ()))):
        yield from (path for path in _files_below(folder) if path.suffix == ".py")


def _is_from(module: ModuleType | None, path: Path) -> bool:
    """Whether a module is of this file; one that nobody has imported yet would be."""
    if module is None:
        return True
    own = getattr(module, "__file__", None)
    return own is not None and Path(own).resolve() == path.resolve()


def _imports(path: Path) -> Iterator[str]:
    """The top-level names that a file of Python imports anywhere in it."""
    if path.suffix != ".py":
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name.split(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def at_home(text: str, bundle: str, origins: Mapping[str, str]) -> str:
    """A text, such as a traceback, with the paths of unpacked code as those on the launcher's machine: `bundle` is the
    folder that the archive was unpacked into, `origins` where each file of its `code/` is from."""
    unpacked = re.compile(r"[^\s\"]*/" + re.escape(bundle) + r"/code/([^\"\n:]+)")
    return unpacked.sub(lambda found: origins.get(found[1], found[0]), text)


def import_from(folders: Iterable[str]) -> None:
    """Let modules be imported from folders: before those that are installed, behind the standard library's own."""
    installed = (at for at, path in enumerate(sys.path) if path.endswith(("site-packages", "dist-packages")))
    at = next(installed, len(sys.path))
    sys.path[at:at] = folders


def _files_below(path: Path) -> Iterator[Path]:
    """A file itself, or those of a folder, without what Python has compiled."""
    for one in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if one.is_file() and "__pycache__" not in one.parts:
            yield one
