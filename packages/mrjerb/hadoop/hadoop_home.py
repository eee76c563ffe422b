#!/usr/bin/env python3
"""A Hadoop home for the tests, in `.tools/hadoop`: Maven's jars, and a `hadoop` command of a few lines.

    bin/hadoop                    what an installation's does, as far as tests need it: `jar`, `fs`, `version`, a class
    share/hadoop/tools/lib/       the streaming jar
    etc/hadoop/                   settings: none, so jobs are run by the local runner; how it logs
    classpath                     all jars, joined; newer than pom.xml, else Maven is asked again

`python hadoop_home.py` makes it. Only the standard library is imported.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOME = HERE.parents[2] / ".tools" / "hadoop"
POM = HERE / "pom.xml"
PAUSES = (5.0, 20.0, 0.0)
"""Seconds between the tries to get the jars."""
OPENS = ("java.lang", "java.util", "java.net", "java.nio", "java.io", "sun.nio.ch")
"""What Hadoop reaches for by reflection in Java's base module, which newer Javas close unless told."""
LOGGING = """\
log4j.rootLogger=${hadoop.root.logger}
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
"""
"""As an installation's: to the console, at the level of HADOOP_ROOT_LOGGER."""
CLASSES = {
    "jar": "org.apache.hadoop.util.RunJar",
    "fs": "org.apache.hadoop.fs.FsShell",
    "version": "org.apache.hadoop.util.VersionInfo",
}


class HadoopError(Exception):
    """Hadoop could not be had. The text says why, and what to do."""


def home() -> Path:
    """The home, with all that belongs in it; Maven gets what isn't there."""
    jars = _listed() or _asked()
    streaming = next(jar for jar in jars if Path(jar).name.startswith("hadoop-streaming"))
    link(HOME / "share" / "hadoop" / "tools" / "lib" / Path(streaming).name, Path(streaming))
    link(HOME / "bin" / "hadoop", Path(__file__).resolve())
    settings = HOME / "etc" / "hadoop"
    write(settings / "core-site.xml", "<configuration/>\n")
    write(settings / "log4j.properties", LOGGING)
    return HOME


def write(place: Path, text: str) -> None:
    """Have a text at a place, whole at every moment for whoever reads it meanwhile."""
    if place.exists() and place.read_text() == text:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f"{place.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(place)


def link(place: Path, target: Path) -> None:
    """Have a link at a place, whoever else makes it at the same time."""
    if place.is_symlink() and place.readlink() == target:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f"{place.name}.{os.getpid()}")
    beside.symlink_to(target)
    beside.replace(place)


def java(main: str, arguments: list[str]) -> list[str]:
    """The command that runs a class of Hadoop's; what is in HADOOP_CONF_DIR comes first."""
    configured = os.environ.get("HADOOP_CONF_DIR") or str(HOME / "etc" / "hadoop")
    added = [os.environ["HADOOP_CLASSPATH"]] if os.environ.get("HADOOP_CLASSPATH") else []
    logger = os.environ.get("HADOOP_ROOT_LOGGER", "INFO,console")
    return [
        "java",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Xshare:auto",
        *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENS),
        f"-Dhadoop.root.logger={logger}",
        *os.environ.get("HADOOP_CLIENT_OPTS", "").split(),
        "-cp",
        os.pathsep.join([configured, *(_listed() or []), *added]),
        main,
        *arguments,
    ]


def _listed() -> list[str] | None:
    """The jars, if the list of them is newer than pom.xml and all are still there."""
    listed = HOME / "classpath"
    if not listed.exists() or listed.stat().st_mtime < POM.stat().st_mtime:
        return None
    jars = listed.read_text().strip().split(os.pathsep)
    return jars if all(Path(jar).exists() for jar in jars) else None


def _asked() -> list[str]:
    """The jars by Maven. Raises HadoopError."""
    if lacking := [program for program in ("java", "mvn") if shutil.which(program) is None]:
        raise HadoopError(f"Hadoop needs {' and '.join(lacking)}: install a Java (17 is tried) and Maven")
    HOME.mkdir(parents=True, exist_ok=True)
    partial = HOME / f"classpath.{os.getpid()}"
    command = ["mvn", "-B", "-q", "-f", str(POM), "dependency:build-classpath", f"-Dmdep.outputFile={partial}"]
    said = ""
    for pause in PAUSES:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
        if done.returncode == 0 and partial.exists():
            partial.replace(HOME / "classpath")
            found = _listed()
            if found is not None:
                return found
        said = done.stdout
        time.sleep(pause)  # a download that broke off goes on where it was
    raise HadoopError("Maven could not get Hadoop's jars; its last lines:\n" + "\n".join(said.splitlines()[-10:]))


def main() -> None:
    """As `bin/hadoop`: become Java. By its own name: make the home."""
    if Path(sys.argv[0]).name != "hadoop":
        try:
            print(home())  # noqa: T201
        except HadoopError as error:
            sys.exit(str(error))
        return
    first, *rest = sys.argv[1:] or ["version"]
    command = java(CLASSES.get(first, first), rest)
    os.execvp(command[0], command)  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
