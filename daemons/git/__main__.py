"""`python -m daemons.git`."""

from daemons.git.app import run
from daemons.git.settings import GitSettings
from daemons.kit.daemon import settings_or_exit

if __name__ == "__main__":
    run(settings_or_exit(GitSettings))
