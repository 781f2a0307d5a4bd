"""How an app wants to be run, as far as it must be remembered. Its environment is not: the engine has it. Of its
secrets the names are, so that their values can be kept out of what is shown of it."""

from dataclasses import dataclass
from enum import StrEnum

from daemons.agent.domain.steps import Strategy


class Restart(StrEnum):
    """When a container that ended is started again."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class RunConfig:
    """`memory_bytes` is what the container was given; `stop_grace_seconds` lie between SIGTERM and SIGKILL."""

    health_path: str = "/"
    stop_grace_seconds: int = 10
    restart: Restart = Restart.ALWAYS
    strategy: Strategy = Strategy.START_FIRST
    memory_bytes: int = 512 * 1024**2
    secrets: tuple[str, ...] = ()

    def restarts(self, exit_code: int) -> bool:
        """Whether a container that ended with this code is started again."""
        return self.restart is Restart.ALWAYS or (self.restart is Restart.ON_FAILURE and exit_code != 0)
