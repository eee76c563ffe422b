"""The local engine: all cores of this machine, within a given memory."""

from mrjerb.engines import Listener
from mrjerb.engines.local.inline import run_inline
from mrjerb.plan import Outcome, Plan, Settings


class Local:
    """Runs plans on this machine."""

    name = "local"

    def check(self, settings: Settings) -> None:
        """Raises UnsupportedError for what only a cluster has."""

    def defaults(self, settings: Settings) -> dict[str, str]:
        """What is decided where nothing was asked."""
        return {"workers": "1", "reducers": str(settings.reducers or 1)}

    def run(self, plan: Plan, listener: Listener) -> Outcome:
        """Run the plan to its end."""
        return run_inline(plan, listener)
