"""What the agent expects of an engine's containers, from their creation to their end."""

import asyncio
import urllib.error
import urllib.request

import pytest

from daemons.agent.domain.containers import ContainerSpec
from daemons.agent.domain.images import of_app
from daemons.agent.domain.probing import ContainerState
from daemons.kit.engine.errors import EngineError, PortTaken
from tests.support import real
from tests.support.engines import APP, RUN, Bench
from tests.support.eventually import eventually

_ABSENT = f"rt-u-7-{APP}-r99"


async def state(bench: Bench, spec: ContainerSpec) -> ContainerState:
    found = await bench.engine.state(spec.name)
    assert found is not None
    return found


async def ended(bench: Bench, spec: ContainerSpec) -> ContainerState:
    """The container's state once it no longer runs."""

    async def over() -> bool:
        found = await state(bench, spec)
        return not found.running and not found.restarting

    await eventually(over)
    return await state(bench, spec)


async def says(bench: Bench, spec: ContainerSpec, word: str, seconds: float = 20) -> None:
    """Wait for a word in the container's output."""

    async def said() -> bool:
        return word in await bench.engine.logs(spec.name, 100)

    await eventually(said, seconds)


def get(port: int, host: str = "127.0.0.1", path: str = "/") -> int | None:
    """The HTTP status of one GET; None when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=2) as response:
            status: int = response.status
            return status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


async def served(port: int) -> None:
    """Wait until the app answers."""

    async def answered() -> bool:
        return await asyncio.to_thread(get, port) is not None

    await eventually(answered)


async def test_a_container_lives_and_goes(bench: Bench) -> None:
    spec, engine = await bench.spec("1"), bench.engine
    assert await engine.state(spec.name) is None
    await engine.create(spec)
    created = await state(bench, spec)
    assert not created.running
    await engine.start(spec.name)
    started = await state(bench, spec)
    assert (started.running, started.host_port) == (True, spec.host_port)
    own = [one for one in await engine.own() if one.name == spec.name]
    assert [(one.user_id, one.app_id, one.running) for one in own] == [("7", APP, True)]
    await engine.stop(spec.name, 1)
    assert not (await state(bench, spec)).running
    stopped = [one for one in await engine.own() if one.name == spec.name]
    assert [one.running for one in stopped] == [False]
    await engine.remove(spec.name)
    assert await engine.state(spec.name) is None


async def test_a_stopped_container_starts_again(bench: Bench) -> None:
    spec = await bench.run("1")
    await bench.engine.stop(spec.name, 1)
    await bench.engine.start(spec.name)
    assert (await state(bench, spec)).running


async def test_a_running_container_may_be_started(bench: Bench) -> None:
    spec = await bench.run("1")
    await bench.engine.start(spec.name)
    assert (await state(bench, spec)).running


async def test_several_who_remove_the_same_container_all_see_it_gone(bench: Bench) -> None:
    spec = await bench.run("1")
    await asyncio.gather(*(bench.engine.remove(spec.name) for _ in range(4)))
    assert await bench.engine.state(spec.name) is None


async def test_what_is_absent_is_stopped_and_removed(bench: Bench) -> None:
    await bench.engine.stop(_ABSENT, 1)
    await bench.engine.remove(_ABSENT)
    await bench.engine.remove_image(f"engine-test-{RUN}/u7-app{APP}:absent")


async def test_what_is_absent_cannot_be_started(bench: Bench) -> None:
    with pytest.raises(EngineError, match="start container"):
        await bench.engine.start(_ABSENT)


async def test_what_is_absent_cannot_be_left_down(bench: Bench) -> None:
    with pytest.raises(EngineError, match="update container"):
        await bench.engine.leave_down(_ABSENT)


async def test_what_is_absent_has_no_output_and_no_listeners(bench: Bench) -> None:
    assert await bench.engine.logs(_ABSENT, 10) == ""
    assert list(await bench.engine.listeners(_ABSENT)) == []


async def test_a_name_is_taken_once(bench: Bench) -> None:
    spec = await bench.spec("1")
    await bench.engine.create(spec)
    with pytest.raises(EngineError, match="create container"):
        await bench.engine.create(spec)


async def test_a_container_of_an_absent_image_is_refused(bench: Bench) -> None:
    spec = await bench.spec("1", image_id="sha256:" + "0" * 64)
    with pytest.raises(EngineError, match="create container"):
        await bench.engine.create(spec)
    assert await bench.engine.state(spec.name) is None


async def test_a_port_in_use_is_told_apart(bench: Bench) -> None:
    spec = await bench.spec("1")
    bench.hold_port(spec.host_port)
    await bench.engine.create(spec)
    with pytest.raises(PortTaken):
        await bench.engine.start(spec.name)
    assert not (await state(bench, spec)).running


async def test_output_comes_from_both_streams_and_is_cut_to_its_tail(bench: Bench) -> None:
    spec, engine = await bench.run("1"), bench.engine

    async def printed() -> bool:
        return len((await engine.logs(spec.name, 10)).splitlines()) == 2

    await eventually(printed)
    assert sorted((await engine.logs(spec.name, 10)).splitlines()) == ["first", "second"]
    assert len((await engine.logs(spec.name, 1)).splitlines()) == 1


async def test_listeners_are_seen(bench: Bench) -> None:
    spec = await bench.run("1")

    async def listens() -> bool:
        return 3000 in [one.port for one in await bench.engine.listeners(spec.name) if not one.loopback]

    await eventually(listens)


async def test_a_crash_is_told_with_its_code_and_last_words(bench: Bench) -> None:
    spec = await bench.run("1", "crash")
    found = await ended(bench, spec)
    assert (found.exit_code, found.oom_killed) == (7, False)
    assert await bench.engine.logs(spec.name, 5) == "broken\n"


async def test_too_much_memory_is_told_as_such(bench: Bench) -> None:
    spec = await bench.run("1", "hungry")
    found = await ended(bench, spec)
    assert (found.exit_code, found.oom_killed) == (137, True)


@pytest.mark.real
async def test_two_containers_of_an_app_serve_beside_each_other(bench: Bench) -> None:
    first, second = await bench.run("1"), await bench.run("2", fence=2)
    await served(first.host_port)
    await served(second.host_port)
    await bench.engine.remove(first.name)
    assert await asyncio.to_thread(get, second.host_port) is not None
    assert await asyncio.to_thread(get, first.host_port) is None


@pytest.mark.real
async def test_a_port_is_open_on_this_machine_alone(bench: Bench) -> None:
    spec = await bench.run("1")
    await served(spec.host_port)
    assert await asyncio.to_thread(get, spec.host_port, real.own_address()) is None


@pytest.mark.real
async def test_loopback_listeners_are_told_apart(bench: Bench) -> None:
    spec = await bench.run("1", "loopback")

    async def listens() -> bool:
        return [one.loopback for one in await bench.engine.listeners(spec.name) if one.port == 3000] == [True]

    await eventually(listens)


@pytest.mark.real
async def test_a_stop_lets_the_app_say_goodbye(bench: Bench) -> None:
    spec = await bench.run("1", "polite")
    await says(bench, spec, "ready")
    await bench.engine.stop(spec.name, 10)
    assert (await ended(bench, spec)).exit_code == 0
    assert "bye" in await bench.engine.logs(spec.name, 5)


@pytest.mark.real
async def test_a_stop_reaches_an_app_that_gave_up_root(bench: Bench) -> None:
    spec = await bench.run("1", "dropped")
    await says(bench, spec, "ready")
    await bench.engine.stop(spec.name, 10)
    assert (await ended(bench, spec)).exit_code == 0
    assert "bye" in await bench.engine.logs(spec.name, 5)


@pytest.mark.real
async def test_a_stop_ends_who_does_not_listen(bench: Bench) -> None:
    spec = await bench.run("1", "stubborn")
    await says(bench, spec, "ready")
    await bench.engine.stop(spec.name, 1)
    assert (await ended(bench, spec)).exit_code == 137


@pytest.mark.real
async def test_a_crash_is_not_mended_before_the_container_is_proven(bench: Bench) -> None:
    spec = await bench.run("1", "later")
    found = await ended(bench, spec)
    assert (found.exit_code, found.restarts) == (3, 0)


@pytest.mark.real
async def test_a_crash_is_left_to_the_agent(bench: Bench) -> None:
    spec = await bench.spec("1", "later")
    await bench.engine.create(spec)
    await bench.engine.leave_down(spec.name)
    await bench.engine.start(spec.name)
    found = await ended(bench, spec)
    assert (found.running, found.restarts, found.kept) == (False, 0, False)


@pytest.mark.real
async def test_another_node_of_the_engine_is_not_ours(bench: Bench) -> None:
    theirs = await bench.spec("1", node="somebody-else")
    await bench.engine.create(theirs)
    assert [one.name for one in await bench.engine.own()] == []
    assert await bench.engine.state(theirs.name) is not None


@pytest.mark.real
async def test_a_name_that_is_not_ours_is_not_ours_whatever_its_labels_say(bench: Bench) -> None:
    spec = await bench.spec("1", app_id=APP + "x")
    await bench.engine.create(spec)
    assert [one.name for one in await bench.engine.own()] == []


@pytest.mark.real
async def test_a_new_agent_finds_what_the_last_one_started(bench: Bench, again: Bench) -> None:
    spec = await bench.run("1")
    assert [(one.name, one.running) for one in await again.engine.own()] == [(spec.name, True)]
    await again.engine.remove(spec.name)
    assert await bench.engine.state(spec.name) is None


async def test_images_are_found_by_repository(bench: Bench) -> None:
    found = of_app(await bench.engine.images(), "7", APP)
    # Podman writes the registry out that a short name stands for.
    names = [name.removeprefix("docker.io/") for image in found for name in image.references]
    assert bench.reference("serve") in names
    assert await bench.engine.image_id(bench.reference("serve")) in [image.image_id for image in found]
    assert await bench.engine.image_id(f"engine-test-{RUN}/u7-app{APP}:absent") is None


async def test_an_image_in_use_stays(bench: Bench) -> None:
    reference = await asyncio.to_thread(bench.spare)
    image_id = await bench.engine.image_id(reference)
    spec = await bench.spec("1", image=reference, image_id=image_id)
    await bench.engine.create(spec)
    with pytest.raises(EngineError, match="remove image"):
        await bench.engine.remove_image(spec.image)
    assert await bench.engine.image_id(spec.image) is not None


async def test_a_pull_that_fails_is_an_error(bench: Bench) -> None:
    with pytest.raises(EngineError, match="could not pull"):
        await bench.engine.pull(f"127.0.0.1:{real.free_port()}/n/u7-app{APP}:x")


@pytest.mark.real
@pytest.mark.parametrize("name", ["../images", "a?force=1", "a/b", "", "a b", "x" * 129])
async def test_names_that_would_change_the_path_are_refused(bench: Bench, name: str) -> None:
    with pytest.raises(EngineError, match="characters"):
        await bench.engine.remove(name)
    with pytest.raises(EngineError, match="characters"):
        await bench.engine.image_id(f"../containers/{name}")


def _digest(registry: str) -> str:
    """What the registry calls the image. Podman knows several digests of one, of which some are of no registry."""
    kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    url = f"http://{registry}/v2/funai/u7-app{APP}/manifests/latest"
    asked = urllib.request.Request(url, method="HEAD", headers={"Accept": kinds})
    with urllib.request.urlopen(asked, timeout=120) as response:
        return str(response.headers["Docker-Content-Digest"])


@pytest.mark.real
async def test_a_pull_answers_the_pulled_image(bench: Bench, registry_host: str) -> None:
    reference = f"{registry_host}/funai/u7-app{APP}:latest"
    await asyncio.to_thread(bench.push, bench.reference("serve"), reference)
    pulled = await bench.engine.pull(reference)
    assert pulled == await bench.engine.image_id(bench.reference("serve"))
    digest = f"{reference.removesuffix(':latest')}@{await asyncio.to_thread(_digest, registry_host)}"
    assert await bench.engine.pull(digest) == pulled
    await bench.engine.remove_image(reference)
    await bench.engine.remove_image(digest)
    assert await bench.engine.image_id(reference) is None


@pytest.mark.parametrize("length", [2, 12, 64])
async def test_an_image_is_found_by_its_name_and_by_no_part_of_its_id(bench: Bench, length: int) -> None:
    """Who may name the image of their app could have any other of the node by two letters."""
    image_id = await bench.engine.image_id(bench.reference("serve"))
    assert image_id is not None
    assert await bench.engine.image_id(image_id.removeprefix("sha256:")[:length]) is None
