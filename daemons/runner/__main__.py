"""`python -m daemons.runner`."""

from daemons.kit.daemon import settings_or_exit
from daemons.runner.app import run
from daemons.runner.settings import RunnerSettings

if __name__ == "__main__":
    run(settings_or_exit(RunnerSettings))
