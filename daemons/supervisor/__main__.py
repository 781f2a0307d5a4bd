"""`python -m daemons.supervisor`: settings, then run."""

from daemons.kit.daemon import settings_or_exit
from daemons.supervisor.app import run
from daemons.supervisor.settings import SupervisorSettings

if __name__ == "__main__":
    raise SystemExit(run(settings_or_exit(SupervisorSettings)))
