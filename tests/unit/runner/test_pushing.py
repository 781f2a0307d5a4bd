"""Which failures of a push are tried again, and what the registry's own word changes."""

import pytest

from daemons.runner.domain.failures import WorkFailed, explain
from daemons.runner.domain.registries import is_plain, lacks_tls, may_pass
from daemons.runner.services.pushing import STAGE_SECONDS
from protocol.errors import JobReason
from protocol.jobs import JobPhase, JobStatus, StageOutcome
from tests.unit.runner.twins import COMMIT, DIGEST, Bench, claimed

REGISTRY = "registry.example:5000"
IMMUTABLE = f"{COMMIT[:12]}-7"
#: A job that nobody takes away while a fake clock leaps.
PATIENT = claimed().model_copy(update={"lease_seconds": 36_000})
OTHER = "sha256:" + "b" * 64


@pytest.mark.parametrize(
    "words",
    [
        'Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused',
        'Put "http://127.0.0.1:5000/v2/a/manifests/1": EOF',
        "read tcp 10.0.0.1:4444->10.0.0.2:443: read: connection reset by peer",
        "received unexpected HTTP status: 500 Internal Server Error",
        "uploading manifest 1: received unexpected HTTP status: 503 Service Unavailable",
        "toomanyrequests: slow down",
        "blob upload unknown",
        "manifest blob unknown: blob unknown to registry",
        "net/http: TLS handshake timeout",
        "the registry 127.0.0.1:5000 answers HTTP 502",
        "digest invalid: provided digest did not match uploaded content",
    ],
)
def test_what_may_be_over_in_a_moment_is_tried_again(words: str) -> None:
    assert may_pass(f"the push of {REGISTRY}/a/b:401 failed: {words}", f"{REGISTRY}/a/b:401")


@pytest.mark.parametrize(
    "words",
    [
        "unauthorized: authentication required",
        "denied: requested access to the resource is denied",
        "received unexpected HTTP status: 403 Forbidden",
        "name invalid: invalid repository name",
        "no basic auth credentials: unauthorized (status 500 before)",
        "http: server gave HTTP response to HTTPS client",
        "x509: certificate signed by unknown authority",
        "dial tcp: lookup registry.invalid: no such host",
        "no space left on device",
        "An image does not exist locally with the tag",
        "buildah said nothing",
        'Put "http://registry.example/v2/a/manifests/500": something else',
    ],
)
def test_what_was_decided_or_is_not_understood_is_not(words: str) -> None:
    assert not may_pass(f"the push of {REGISTRY}/a/b:eof failed: {words}", f"{REGISTRY}/a/b:eof")


async def test_a_push_is_tried_again_and_the_log_and_the_stage_tell_of_each_try() -> None:
    bench = Bench(claimed(), registry=REGISTRY)
    bench.builder.refusals = ["connection refused", "received unexpected HTTP status: 500", "blob upload unknown"]
    await bench.run_next()
    assert bench.report.status is JobStatus.SUCCEEDED
    (stage,) = (stage for stage in bench.report.stages if stage.phase is JobPhase.PUSH)
    assert (stage.retries, stage.outcome, stage.image_digest) == (3, StageOutcome.DONE, DIGEST)
    log = bench.control.log()
    assert [
        f"try {number} of 8 failed: {why}" in log for number, why in enumerate(("connection", "received", "blob"), 1)
    ]
    assert log.count("trying again in") == 3


async def test_a_refusal_is_final() -> None:
    bench = Bench(claimed(), registry=REGISTRY)
    bench.builder.refusals = ["denied: not yours"]
    await bench.run_next()
    assert (bench.report.reason, len(bench.builder.pushed)) == (JobReason.PUSH_FAILED, 1)


async def test_a_registry_that_says_when_to_come_again_is_left_alone_until_then() -> None:
    bench = Bench(PATIENT, registry=REGISTRY)
    bench.builder.refusals, bench.images.pause_seconds = ["toomanyrequests: x"], 77.0
    before = bench.pacer.time
    await bench.run_next()
    assert bench.report.status is JobStatus.SUCCEEDED
    assert bench.pacer.time - before >= 77
    assert "trying again in 77.0 s" in bench.control.log()


async def test_tries_end_after_a_few_and_with_the_stages_time() -> None:
    bench = Bench(PATIENT, registry=REGISTRY)
    bench.builder.refusals = ["connection refused"] * 100
    await bench.run_next()
    assert (bench.report.reason, len(bench.builder.pushed)) == (JobReason.PUSH_FAILED, 8)
    late = Bench(PATIENT, registry=REGISTRY)
    late.builder.refusals, late.images.pause_seconds = ["connection refused"] * 100, STAGE_SECONDS / 3
    await late.run_next()
    assert late.report.reason is JobReason.PUSH_FAILED and len(late.builder.pushed) < 8
    assert "longer than 900 s" in (late.report.message or "") and "connection refused" in (late.report.message or "")


@pytest.mark.parametrize("tag", ["latest", IMMUTABLE])
async def test_what_is_deployed_is_our_digest_whatever_a_tag_says(tag: str) -> None:
    bench = Bench(claimed(), registry=REGISTRY)
    bench.images.tags[tag] = OTHER
    await bench.run_next()
    assert bench.report.image_digest == DIGEST
    assert bench.hosts.orders[0][1].image.endswith(f"@{DIGEST}")
    assert f":{tag} names {OTHER} by now" in bench.control.log()


async def test_the_node_begins_to_fetch_before_the_push_has_ended_and_is_told_when_it_was_in_vain() -> None:
    bench = Bench(claimed(), registry=REGISTRY)
    await bench.run_next()
    image = f"{REGISTRY}/funaistudio/u1-app20001@{DIGEST}"
    assert (bench.hosts.warmed, bench.hosts.cooled) == ([image], [])
    log = bench.control.log()
    assert log.index("begins to fetch it") < log.index(f"pushed {REGISTRY}/funaistudio/u1-app20001:latest")
    vain = Bench(claimed(), registry=REGISTRY)
    vain.images.bytes = None
    await vain.run_next()
    assert (vain.hosts.warmed, vain.hosts.cooled) == ([image], [image])


async def test_a_registry_that_cannot_be_looked_into_holds_up_nothing() -> None:
    bench = Bench(claimed(), registry=REGISTRY)
    bench.images.down = True
    await bench.run_next()
    assert (bench.report.status, bench.report.image_digest) == (JobStatus.SUCCEEDED, DIGEST)
    assert "could not be looked up" in bench.control.log()


def test_only_registries_of_this_machine_and_listed_ones_do_without_tls() -> None:
    for host in ("127.0.0.1:5000", "127.9.9.9", "localhost:80", "[::1"):
        assert is_plain(host, ()) is (host != "[::1")
    assert not is_plain("registry.example", ("registry.example:80",))
    assert is_plain("registry.example:80", ("registry.example:80",))


def test_a_registry_without_tls_that_is_not_listed_is_told_with_the_setting() -> None:
    words = 'failed: Get "https://r.example:80/v2/": http: server gave HTTP response to HTTPS client'
    assert lacks_tls(words)
    assert "RUNNER_PLAIN_HTTP_REGISTRIES" in explain(WorkFailed(JobReason.PUSH_FAILED, words), ())
    assert "RUNNER_PLAIN_HTTP_REGISTRIES" in explain(WorkFailed(JobReason.BUILD_FAILED, words), ())
