"""How `funai deploy --follow` says the end of a job."""

import pytest

from console.cli.actions import judge
from console.cli.outcome import FAILED, Failure
from protocol.jobs import JobStatus
from tests.console.samples import job


def test_a_build_cannot_speak_to_the_operators_terminal() -> None:
    message = "the build failed: \x1b]0;owned\x07\x1b[2Jnpm ci\nWhat to do: mend it\nLast 1 log lines:\nx"
    with pytest.raises(Failure) as ended:
        judge(job("b8800152", status=JobStatus.FAILED, error_message=message, reason="build_failed"))
    assert str(ended.value) == "job b8800152 FAILED: build_failed: the build failed: npm ci"
    assert ended.value.code == FAILED


def test_success_names_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    judge(job("b8800152", status=JobStatus.SUCCEEDED, deploy_url="http://gateway/runtime/20001/"))
    assert capsys.readouterr().err == "funai: job b8800152 SUCCEEDED: http://gateway/runtime/20001/\n"
