"""A real standalone cluster on loopback: a master and two workers, in processes of their own, from PySpark's jars."""

import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pyspark
from spark_processes import are_gone, below, kill, until

HOME = Path(pyspark.__file__).parent


def scala():
    """The version of Scala that the jars are of, which scripts would have found out."""
    (library,) = HOME.glob("jars/scala-library-*.jar")
    return re.search(r"-(\d+\.\d+)\.", library.name)[1]


class Cluster:
    """`url` is the master's; `workers` are the workers' processes."""

    def __init__(self, folder):
        self.folder, self.url, self.workers = folder, "", []
        self.master = self._start("master.Master", "--port", "0")
        self.url = until(lambda: self._said("master.Master-0", r"Starting Spark master at (\S+)"), "the master")

    def start_worker(self):
        """One more worker, with one core."""
        number = len(self.workers) + 1
        own = ("--cores", "1", "--memory", "1g", "--work-dir", str(self.folder / f"work-{number}"), self.url)
        self.workers.append(self._start("worker.Worker", *own, number=number))
        until(lambda: self._said(f"worker.Worker-{number}", "(Successfully registered)"), "a worker")

    def _start(self, kind, *arguments, number=0):
        command = ["java", "-Xmx300m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{HOME}/jars/*"]
        command += [f"org.apache.spark.deploy.{kind}", "--host", "127.0.0.1", "--webui-port", "0", *arguments]
        environment = {
            **os.environ,
            "SPARK_HOME": str(HOME),
            "SPARK_SCALA_VERSION": scala(),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.folder / "local"),
            "PATH": "/usr/bin:/bin",  # whose Python is another one
        }
        with (self.folder / f"{kind}-{number}.log").open("wb") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.folder)

    def _said(self, name, pattern):
        found = re.search(pattern, (self.folder / f"{name}.log").read_text())
        return found and found[1]

    def kill_worker(self, number):
        """-9 to a worker, and to the executors that it has started."""
        process = self.workers[number]
        pids = below(process.pid)
        kill(process.pid)
        process.wait()
        for pid in pids:
            kill(pid)
        return pids

    def stop(self):
        """End all that was started."""
        for process in (*self.workers, self.master):
            pids = below(process.pid)
            process.terminate()
            process.wait(60)
            for pid in pids:
                kill(pid)
            until(lambda pids=pids: are_gone(pids), "the end of what a cluster has started")


@contextmanager
def cluster_of(folder, workers=2):
    """A cluster with so many workers."""
    cluster = Cluster(folder)
    try:
        for _ in range(workers):
            cluster.start_worker()
        yield cluster
    finally:
        cluster.stop()
