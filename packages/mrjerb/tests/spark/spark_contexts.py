"""A SparkContext that stays open for many runs, as a notebook's does."""

import sys
from contextlib import contextmanager
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway


@contextmanager
def opened(master, folder, **more):
    """A context on a master, and its JVM; `folder` is for its files."""
    conf = SparkConf(loadDefaults=False).setMaster(master).setAppName("tests")
    conf.setAll(
        [
            ("spark.ui.enabled", "false"),
            ("spark.driver.host", "127.0.0.1"),
            ("spark.driver.bindAddress", "127.0.0.1"),
            ("spark.ui.showConsoleProgress", "false"),
            ("spark.local.dir", str(folder)),
            ("spark.driver.memory", "700m"),
            ("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"),  # for a short life
            *((key.replace("_", "."), value) for key, value in more.items()),
        ]
    )
    with (Path(folder) / "spark.log").open("wb") as log:
        gateway = launch_gateway(conf, popen_kwargs={"stdout": log, "stderr": log})
    context = SparkContext(conf=conf, gateway=gateway)
    context.pythonExec = sys.executable
    try:
        yield context
    finally:
        context.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(120)
        SparkContext._gateway = SparkContext._jvm = None
