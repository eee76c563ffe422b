"""The Hadoop engine: a job is run by Hadoop Streaming, through the user's own `hadoop` command.

command, places   what of Hadoop is used here      streaming   a run as jobs, and their arguments
shipping          what travels to the tasks        client      one job, followed and ended
start, tasks      what runs in a task              lines, wire, sinks   what a task reads and writes
delivery          a task's own files, with its output
reports, said     what a task says meanwhile, and what the command says
"""

from mrjerb.engines import Listener
from mrjerb.engines.hadoop.streaming import hadoop_settings, java_partitioner
from mrjerb.errors import UnsupportedError
from mrjerb.plan import Outcome, Plan, Settings


class Hadoop:
    """Runs plans on Hadoop: on a cluster, or by its local runner, as the command is set up."""

    name = "hadoop"

    def check(self, settings: Settings) -> None:
        """Raises UnsupportedError for what Hadoop Streaming can't do."""
        for flag, given, why in (
            ("--memory", settings.memory, "set what a task may use: --conf mapreduce.map.memory.mb=2048, and …reduce…"),
            ("--debug", settings.debug, "no person is at its tasks; --on local --debug stops in the job"),
            ("--master", settings.master, "that is Spark's; the cluster is the one that `hadoop` is set up for"),
        ):
            if given:
                raise UnsupportedError(f"{flag} can't be had with --on hadoop: {why}")
        hadoop_settings(settings)
        from mrjerb.engines.hadoop.filesystem import register

        register(settings.conf)

    def defaults(self, settings: Settings) -> dict[str, str]:
        """What is decided where nothing was asked."""
        from mrjerb.engines.hadoop.command import environment_command

        command = environment_command(settings)
        return {
            "hadoop": command.path,
            "streaming": command.jar,
            "workers": str(settings.workers or "as many tasks at once as the cluster has room for"),
            "reducers": str(settings.reducers or 1),
            "partitioner": java_partitioner(settings) or settings.partitioner or "checksum of the key",
        }

    def run(self, plan: Plan, listener: Listener, outcome: Outcome) -> None:
        """Run the plan to its end."""
        from mrjerb.engines.hadoop.running import run

        run(plan, listener, outcome)
