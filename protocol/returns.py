"""How a runner that is being stopped gives a job back."""

from typing import Annotated

from pydantic import Field

from protocol.base import Wire
from protocol.jobs import StageReports
from protocol.names import InstanceId, RunnerId, ShortText


class ReturnJob(Wire):
    """`POST /deploy/jobs/{id}/return`: the attempt ends without an outcome, because its runner is being stopped, and
    the job is PENDING again at once. Repeating it is answered, and changes nothing; so is a job that ended meanwhile.
    """

    runner_id: RunnerId
    lease_token: ShortText | None = None
    log_length: Annotated[int, Field(ge=0, le=2**53)] | None = None
    stages: StageReports = ()
    instance_id: InstanceId | None = None
