"""What the control plane's jobs say, in the words of the domain."""

from collections.abc import Sequence

from daemons.api.domain.apps import Attempt
from protocol.jobs import JobView


def attempts(jobs: Sequence[JobView]) -> list[Attempt]:
    """The jobs as attempts, in the same order."""
    return [Attempt(job.id, job.status, job.error_message, job.deploy_url) for job in jobs]
