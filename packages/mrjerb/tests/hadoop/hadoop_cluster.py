"""A small but real cluster within one process: HDFS with one data node, YARN with one node, the job history."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hadoop_home

START_SECONDS = 240.0
SETTINGS = {
    "dfs.namenode.resource.du.reserved": "0",  # a disk that is nearly full is no matter for the tests' few bytes
    "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100.0",
    "yarn.nodemanager.disk-health-checker.min-free-space-per-disk-mb": "0",
    "yarn.nodemanager.vmem-check-enabled": "false",
    "yarn.log-aggregation-enable": "true",
}


@dataclass
class Cluster:
    """A cluster that runs: the root of its HDFS, and the folder of settings for its clients."""

    hdfs: str
    settings: Path


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Run a cluster in a folder; it ends with the block."""
    details = folder / "details.json"
    given = [part for name, value in SETTINGS.items() for part in ("-D", f"{name}={value}")]
    command = hadoop_home.java(
        "org.apache.hadoop.mapreduce.MiniHadoopClusterManager", [*given, "-format", "-writeDetails", str(details)]
    )
    log = folder / "cluster.log"
    java = Path(shutil.which("java") or "java").resolve().parents[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, env={**os.environ, "JAVA_HOME": str(java)}
        )
    try:
        until = time.monotonic() + START_SECONDS
        while not details.exists() or not details.read_text():
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < until, log.read_text()[-3000:]
            time.sleep(0.2)
        yield _described(folder, json.loads(details.read_text()), log.read_text())
    finally:
        process.terminate()
        process.wait(60)


def _described(folder: Path, details: dict, log: str) -> Cluster:
    """What clients need to know of a cluster, as files of settings."""
    hdfs = f"hdfs://localhost:{details['namenode_port']}"
    history = re.search(r"HistoryServer address: (\S+)", log)
    assert history is not None
    jars = ",".join((hadoop_home.HOME / "classpath").read_text().strip().split(os.pathsep))
    files = {
        "core-site.xml": {"fs.defaultFS": hdfs},
        "mapred-site.xml": {
            "mapreduce.framework.name": "yarn",
            "mapreduce.jobhistory.address": history[1],
            "mapreduce.application.classpath": "",
            "yarn.app.mapreduce.am.staging-dir": "/staging",
        },
        "yarn-site.xml": {
            "yarn.resourcemanager.address": f"localhost:{details['resourcemanager_port']}",
            "yarn.application.classpath": jars,
            "yarn.log-aggregation-enable": "true",
        },
    }
    settings = folder / "settings"
    settings.mkdir()
    shutil.copy(hadoop_home.HOME / "etc" / "hadoop" / "log4j.properties", settings)
    for name, values in files.items():
        properties = "".join(
            f"<property><name>{key}</name><value>{value}</value></property>" for key, value in values.items()
        )
        (settings / name).write_text(f"<configuration>{properties}</configuration>\n")
    return Cluster(hdfs, settings)
