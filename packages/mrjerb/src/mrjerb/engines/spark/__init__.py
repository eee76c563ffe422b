"""The Spark engine: the same job on a Spark cluster, or on this machine's cores through `local[*]`.

configuration  settings as Spark's, or a refusal    session   a SparkContext, and nothing left of it
shipping       the job's code on the executors      driver    a plan as RDDs, reports as an outcome
tasks          what runs in an executor             exchange  what travels in a shuffle
combining      the map side's combine               failures  errors from there to here
pickling       a job that has no file
"""

from mrjerb.engines import Listener
from mrjerb.engines.spark import configuration
from mrjerb.engines.spark.session import check_installed, running_context, spark_defaults, within_submit
from mrjerb.plan import Outcome, Plan, Settings


class Spark:
    """Runs plans on Spark: in the SparkContext that this process has, else in one of its own."""

    name = "spark"

    def check(self, settings: Settings) -> None:
        """Raises UnsupportedError for what Spark can't honour, and UsageError where Spark or Java is missing."""
        running = running_context() is not None or within_submit()
        if not running:
            check_installed()
        configuration.check(_full(settings), running=running)

    def defaults(self, settings: Settings) -> dict[str, str]:
        """What is decided where nothing was asked."""
        context = running_context()
        if context is not None:
            workers = f"{context.defaultParallelism} tasks at once"
            return {
                "master": context.master,
                "application": context.applicationId,
                "workers": workers,
                "reducers": str(settings.reducers or context.defaultParallelism),
                "python": context.pythonExec,
            }
        settings = _full(settings)
        master = configuration.master_of(settings)
        workers = configuration.workers_of(master) if configuration.is_local(master) else None
        return {
            "master": master,
            "workers": f"{workers} tasks at once" if workers else "as the cluster gives",
            "reducers": str(settings.reducers or workers or "as many as tasks run at once"),
            "python": configuration.python_for(settings) or "as Spark's settings say",
        }

    def run(self, plan: Plan, listener: Listener, outcome: Outcome) -> None:
        """Run the plan to its end."""
        from dataclasses import replace

        from mrjerb.engines.spark.driver import run

        run(replace(plan, settings=_full(plan.settings)), listener, outcome)


def _full(settings: Settings) -> Settings:
    return configuration.with_defaults(settings, spark_defaults())
