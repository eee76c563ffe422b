"""A real HBase with its Thrift server on this machine: for the tests, and for a person who wants to try (`make hbase`).

Two processes of Java's share one folder, on loopback only:

    HMaster start        master, region server and ZooKeeper in one process ("standalone")
    ThriftServer start   Thrift 1, buffered transport, binary protocol: what happybase speaks by default

    folder/conf/hbase-site.xml   their settings        folder/hbase.log, thrift.log   what they say
    folder/data, zookeeper       what they keep        folder/ports.json              where they listen

An acknowledged write survives `kill -9` of both (see SETTINGS). The jars are Maven's (pom.xml beside this file):
`python hbase_server.py jars` gets them into Maven's own repository and writes their class path to `.tools/hbase/`.
Only the standard library is imported until a server is asked whether it answers.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[2] / ".tools" / "hbase"
POM = HERE / "pom.xml"
PAUSES = (5.0, 20.0, 0.0)
"""Seconds between the tries to get the jars."""
START_SECONDS = 120.0
"""How long a start may take: many times what it does, for a loaded machine."""

SETTINGS = {
    "hbase.cluster.distributed": "false",
    # Without a checksum file beside each file: HBase's blocks carry checksums of their own.
    "fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "hbase.unsafe.stream.capability.enforce": "false",
    # The log of writes reaches the operating system before a write is answered, so `kill -9` loses none of them;
    # with hsync it reaches the disk, which a machine that loses its power needs.
    "hbase.wal.provider": "filesystem",
    "hbase.wal.hsync": "false",
    # Loopback.
    "hbase.zookeeper.quorum": "127.0.0.1",
    "hbase.master.hostname": "localhost",
    "hbase.master.ipc.address": "127.0.0.1",
    "hbase.regionserver.hostname": "localhost",
    "hbase.regionserver.ipc.address": "127.0.0.1",
    "hbase.regionserver.thrift.ipaddress": "127.0.0.1",
    # Regions are split between the first bytes of rows, which are hashes: no border holds the name of a user.
    "hbase.regionserver.region.split_restriction.type": "KeyPrefix",
    "hbase.regionserver.region.split_restriction.prefix_length": "1",
    # No web pages.
    "hbase.master.info.port": "-1",
    "hbase.regionserver.info.port": "-1",
    "hbase.thrift.info.port": "-1",
    # One region server is all that there will be; nobody needs to wait for more.
    "hbase.master.wait.on.regionservers.maxtostart": "1",
    "hbase.master.wait.on.regionservers.interval": "50",
    "hbase.regionserver.msginterval": "100",
    "hbase.client.pause": "50",
    "hbase.procedure.remote.dispatcher.delay.msec": "10",
    "hbase.regionserver.handler.count": "12",
    "hbase.master.procedure.threads": "4",
    # A stop in good order waits for ZooKeeper, which by then has ended: not for long. And the Thrift server asks it
    # where the tables are: three times, not thirty, each of ten seconds.
    "zookeeper.recovery.retry.intervalmill": "100",
    "zookeeper.recovery.retry": "3",
    # A request that HBase can't serve fails within three minutes; by default it may be tried for twenty.
    "hbase.client.operation.timeout": "30000",
    "hbase.client.meta.operation.timeout": "30000",
}
ERASING = {
    # Every compaction is a major one, which leaves out what is deleted: Thrift 1's call for major ones asks for any.
    "hbase.hregion.majorcompaction": "1",
    "hbase.hregion.majorcompaction.jitter": "0",
    # Files that a compaction has replaced are gone after seconds, not after minutes. They are archived at once, and
    # the archive is cleaned not too often: on a local disk a folder of it that the cleaner takes away just as it is
    # made fails who makes it, and a region server that closes a region then aborts.
    "hbase.hfile.compaction.discharger.interval": "100",
    "hbase.master.cleaner.interval": "4000",
    "hbase.master.hfilecleaner.ttl": "0",
    "hbase.master.logcleaner.ttl": "0",
    # The log goes once every region has flushed what it holds of it: so each flushes, and the log rolls, in seconds.
    "hbase.server.thread.wakefrequency": "500",
    "hbase.regionserver.logroll.period": "1000",
    # With more logs than this HBase has regions flush: those of its own tables too, which else take five minutes.
    "hbase.regionserver.maxlogs": "1",
    "hbase.regionserver.flush.check.period": "500",
    "hbase.regionserver.optionalcacheflushinterval": "1000",
    "hbase.regionserver.periodicmemstoreflusher.rangeofdelayseconds": "1",  # with 0 it never flushes
}
"""What makes deleted bytes leave the files within seconds. It costs writing; no cluster of any size would set it."""
OPENS = ("java.lang", "java.lang.reflect", "java.nio", "java.util", "java.util.concurrent", "sun.nio.ch")
"""What HBase reaches for by reflection in Java's base module, which newer Javas close unless told."""


class HBaseError(Exception):
    """HBase could not be had or started. The text says why, and what to do."""


def missing(tools: Path = TOOLS) -> str | None:
    """What this machine lacks to run HBase, as a sentence; None when nothing."""
    needed = ["java"] if _listed(tools) else ["java", "mvn"]
    lacking = [program for program in needed if shutil.which(program) is None]
    if not lacking:
        return None
    return f"HBase needs {' and '.join(lacking)}: install a Java (17 is tried) and Maven, or run `make engines`"


def class_path(tools: Path = TOOLS) -> str:
    """The jars' paths, joined; Maven gets what isn't there."""
    if (lack := missing(tools)) is not None:
        raise HBaseError(lack)
    if (jars := _listed(tools)) is not None:
        return jars
    tools.mkdir(parents=True, exist_ok=True)
    partial = tools / f"classpath.{os.getpid()}"
    command = ["mvn", "-B", "-q", "-f", str(POM), "dependency:build-classpath", f"-Dmdep.outputFile={partial}"]
    said = ""
    for pause in PAUSES:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
        if done.returncode == 0 and partial.exists():
            partial.replace(tools / "classpath")
            return (tools / "classpath").read_text()
        said = done.stdout
        time.sleep(pause)  # a download that broke off goes on where it was
    raise HBaseError(f"Maven could not get HBase's jars; its last lines:\n{_last_lines(said)}")


def _listed(tools: Path) -> str | None:
    """The class path as Maven wrote it, if it is newer than pom.xml and all its jars are still there."""
    listed = tools / "classpath"
    if not listed.exists() or listed.stat().st_mtime < POM.stat().st_mtime:
        return None
    jars = listed.read_text()
    return jars if all(Path(jar).exists() for jar in jars.split(os.pathsep)) else None


def _last_lines(text: str, count: int = 20) -> str:
    return "\n".join(text.splitlines()[-count:])


class JavaProcess:
    """One process of Java's, which ends when this one does, however that ends."""

    def __init__(self, name: str, log: Path) -> None:
        self.name, self.log = name, log
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self, main: str, jars: str, options: list[str], properties: dict[str, str]) -> None:
        """Run `main` with the word `start`."""
        opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENS]
        defined = [f"-D{name}={value}" for name, value in properties.items()]
        command = ["java", *options, *opens, *defined, "-cp", jars, main, "start"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        # The guard reads a pipe whose other end only this process holds: it ends with it, even by kill -9.
        self._guard = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", 'read nothing; kill -9 "$1" 2>/dev/null', "guard", str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raise with its last lines if it has ended."""
        if self._process is not None and (code := self._process.poll()) is not None:
            how = f"by signal {-code}" if code < 0 else f"with code {code}"
            raise HBaseError(f"{self.name} ended {how}; the last lines of {self.log}:\n{self.tail()}")

    def tail(self) -> str:
        return _last_lines(self.log.read_text(errors="replace")) if self.log.exists() else "(no log)"

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.end(seconds=0)

    def end(self, seconds: float) -> None:
        """Ask it to end; after so many seconds, end it."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        if self._process is None:
            return
        if seconds > 0:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.signal(signal.SIGKILL)
        self._process.wait()


class HBase:
    """HBase and its Thrift server in one folder: started, killed and started again as one needs it."""

    host = "127.0.0.1"

    def __init__(
        self, folder: Path, *, port: int = 0, heap: str = "512m", settings: dict[str, str] | None = None
    ) -> None:
        """`port` is the Thrift server's (0: a free one). `settings` go over SETTINGS, into hbase-site.xml."""
        self.folder = folder.resolve()
        self._heap = heap
        self._settings = SETTINGS | (settings or {})
        for part in ("conf", "tmp"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self._ports = self._choose_ports(port)
        self.server = JavaProcess("HBase", self.folder / "hbase.log")
        self.thrift = JavaProcess("HBase's Thrift server", self.folder / "thrift.log")

    @property
    def port(self) -> int:
        """Where the Thrift server listens; the same after a restart."""
        return self._ports["thrift"]

    def start(self, *, wait: bool = True) -> None:
        """Start what isn't running, on what the folder holds; wait until a table can be read."""
        jars = class_path()
        if not self.server.runs:
            self._check_free("zookeeper", "master", "regionserver")
            self._write_settings()
            self._start(self.server, "org.apache.hadoop.hbase.master.HMaster", jars)
        self.start_thrift(wait=wait)

    def start_thrift(self, *, wait: bool = True) -> None:
        """Start the Thrift server alone."""
        if not self.thrift.runs:
            self._check_free("thrift")
            self._start(self.thrift, "org.apache.hadoop.hbase.thrift.ThriftServer", class_path())
        if wait:
            self.wait()

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Wait until every table that is enabled gives a row, or says that it has none."""
        until, last = time.monotonic() + seconds, "no answer yet"
        while time.monotonic() < until:
            self.server.check()
            self.thrift.check()
            try:
                return self._read_tables()
            except _answers_that_mean_wait() as error:
                last = str(error) or repr(error)
            time.sleep(0.1)
        raise HBaseError(
            f"HBase in {self.folder} did not answer within {seconds:g} s ({last}); the last lines of its logs:\n"
            f"{self.server.tail()}\n{self.thrift.tail()}"
        )

    def kill(self) -> None:
        """End both with SIGKILL: what a power cut of HBase's own would leave."""
        self.thrift.kill()
        self.server.kill()

    def stop(self, seconds: float = 30.0) -> None:
        """End both in good order."""
        self.thrift.end(min(seconds, 5.0))
        self.server.end(seconds)

    def _start(self, process: JavaProcess, main: str, jars: str) -> None:
        options = [f"-Xmx{self._heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
        parts = [str(self.folder / "conf"), str(HERE), jars]
        process.start(main, os.pathsep.join(parts), options, {"java.net.preferIPv4Stack": "true"})

    def _read_tables(self) -> None:
        import happybase

        connection = happybase.Connection(self.host, self.port, timeout=60_000)
        with contextlib.closing(connection):
            for name in [b"hbase:meta", *connection.tables()]:
                if name == b"hbase:meta" or connection.is_table_enabled(name):
                    next(connection.table(name).scan(limit=1, batch_size=1), None)

    def _choose_ports(self, port: int) -> dict[str, int]:
        """As the last time in this folder, so that a start after a kill takes the dead one's place at once."""
        kept = self.folder / "ports.json"
        ports: dict[str, int] = json.loads(kept.read_text()) if kept.exists() else {}
        with contextlib.ExitStack() as stack:
            for name in ("zookeeper", "master", "regionserver", "thrift"):
                if name not in ports or not _is_free(ports[name]):
                    taken = stack.enter_context(socket.socket())
                    taken.bind((self.host, 0))
                    ports[name] = taken.getsockname()[1]
        ports["thrift"] = port or ports["thrift"]
        kept.write_text(json.dumps(ports))
        return ports

    def _check_free(self, *names: str) -> None:
        for name in names:
            if not _is_free(self._ports[name]):
                raise HBaseError(
                    f"port {self._ports[name]} is taken, which HBase's {name} would listen on: "
                    "end what listens there, or choose another port"
                )

    def _write_settings(self) -> None:
        """Write hbase-site.xml, which both processes read."""
        own = {
            "hbase.rootdir": f"file://{self.folder / 'data'}",
            "hbase.tmp.dir": str(self.folder / "tmp"),
            "hbase.zookeeper.property.dataDir": str(self.folder / "zookeeper"),
            "hbase.zookeeper.property.clientPort": str(self._ports["zookeeper"]),
            "hbase.master.port": str(self._ports["master"]),
            "hbase.regionserver.port": str(self._ports["regionserver"]),
            "hbase.regionserver.thrift.port": str(self.port),
        }
        lines = [
            f"<property><name>{name}</name><value>{escape(value)}</value></property>"
            for name, value in (self._settings | own).items()
        ]
        text = '<?xml version="1.0"?>\n<configuration>\n' + "\n".join(lines) + "\n</configuration>\n"
        (self.folder / "conf" / "hbase-site.xml").write_text(text)


def _answers_that_mean_wait() -> tuple[type[BaseException], ...]:
    from thriftpy2.thrift import TException  # what HBase's own errors are, too

    return (OSError, EOFError, TException)


def _is_free(port: int) -> bool:
    with socket.socket() as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a dead server's closed connections don't count
        try:
            asked.bind((HBase.host, port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def running(folder: Path, *, port: int, heap: str, settings: dict[str, str]) -> Iterator[HBase]:
    """HBase for the length of a block, stopped in good order."""
    hbase = HBase(folder, port=port, heap=heap, settings=settings)
    try:
        hbase.start()
        yield hbase
    finally:
        hbase.stop()


def main() -> int:
    """`jars`: get them. `run`: serve until interrupted."""
    parser = argparse.ArgumentParser(description="A real HBase with its Thrift server, on loopback.")
    parser.add_argument("command", choices=("jars", "run"))
    parser.add_argument("--data", type=Path, default=Path("hbase-data"), help="the folder that it keeps all in")
    parser.add_argument("--port", type=int, default=9090, help="the Thrift server's; 0 takes a free one")
    parser.add_argument("--erasing", action="store_true", help="deleted bytes leave the files within seconds")
    parser.add_argument("--heap", default="1g", help="of Java's memory, for each of the two processes")
    given = parser.parse_args()
    try:
        if given.command == "jars":
            class_path()
        else:
            _serve(given.data, given.port, given.heap, ERASING if given.erasing else {})
    except HBaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _serve(folder: Path, port: int, heap: str, settings: dict[str, str]) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt), running(folder, port=port, heap=heap, settings=settings) as hbase:
        took = time.monotonic() - began
        sys.stdout.write(f"HBase's Thrift server answers on {hbase.host}:{hbase.port} after {took:.1f} s\n")
        sys.stdout.write(f"data and logs: {hbase.folder}; stop with Ctrl-C\n")
        sys.stdout.flush()
        while True:
            hbase.server.check()
            hbase.thrift.check()
            time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
