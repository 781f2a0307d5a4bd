"""What must not be seen in an app's output: the values of its secrets, as the engine has them."""

from daemons.agent.domain.apps import Instance
from daemons.agent.ports import Outputs
from daemons.kit.logs import Redactor, spellings


async def redactor_of(outputs: Outputs, instance: Instance) -> Redactor:
    """Replaces the instance's secrets. Raises EngineError: without their values nothing is to be shown."""
    if not instance.config.secrets:
        return Redactor(())
    given = await outputs.variables(instance.container)
    return Redactor(spellings(given[name] for name in instance.config.secrets if name in given))
