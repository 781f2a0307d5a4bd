"""What workspaces are told of registries and proxies, and what of a cache has to go."""

from daemons.workspace.domain.packages import Cached, Sources, npm_cache, size_of, superfluous

HOUR = 3_600_000
NOW = 1000 * HOUR


def test_without_a_registry_nothing_is_said_of_one() -> None:
    told = Sources().variables
    assert told["npm_config_cache"] == "/workspace/.npm-cache/shared" == npm_cache("shared")
    assert told["PIP_CACHE_DIR"] == "/workspace/.pip-cache"
    assert not [name for name in told if "REGISTRY" in name.upper() or "INDEX" in name or "PROXY" in name.upper()]


def test_the_registry_is_named_to_npm_and_not_to_lock_files() -> None:
    told = Sources(npm_registry="http://verdaccio:4873").variables
    assert told["npm_config_registry"] == told["NPM_CONFIG_REGISTRY"] == "http://verdaccio:4873"
    assert told["npm_config_omit_lockfile_registry_resolved"] == "true"


def test_an_index_without_tls_is_trusted_by_name() -> None:
    plain = Sources(pip_index="http://mirror:3141/root/pypi/+simple/").variables
    assert plain["PIP_INDEX_URL"] == plain["UV_DEFAULT_INDEX"] == "http://mirror:3141/root/pypi/+simple/"
    assert plain["PIP_TRUSTED_HOST"] == "mirror:3141"
    assert "PIP_TRUSTED_HOST" not in Sources(pip_index="https://mirror/simple").variables


def test_no_proxy_is_asked_for_the_insides_registry() -> None:
    """Else it answers 403, as the existing system's did."""
    sources = Sources("http://verdaccio:4873", "", "http://proxy:3128", "", ("10.0.0.1", "localhost"))
    told = sources.variables
    assert told["HTTP_PROXY"] == told["http_proxy"] == "http://proxy:3128" and "HTTPS_PROXY" not in told
    assert (
        told["NO_PROXY"] == told["no_proxy"] == told["npm_config_noproxy"] == "10.0.0.1,localhost,127.0.0.1,verdaccio"
    )


def test_the_fence_opens_for_each_server_once() -> None:
    sources = Sources("http://one:4873", "https://two/simple", "http://one:4873", "http://three")
    assert sources.servers == (("one", 4873), ("two", 443), ("three", 80))
    assert Sources().servers == ()


def _files(*ages_hours: int, size: int = 10) -> list[Cached]:
    return [Cached((".npm-cache",), str(age), size, NOW - age * HOUR) for age in ages_hours]


def test_what_was_used_least_of_late_goes_first_down_to_four_fifths() -> None:
    files = _files(3, 9, 1, 7, 5)
    assert superfluous(files, 50, NOW) == ()
    assert [each.name for each in superfluous(files, 40, NOW)] == ["9", "7"]
    assert size_of(superfluous(files, 0, NOW)) == 50


def test_what_is_new_stays_whatever_there_is() -> None:
    """An installation that goes on reads what it has just written."""
    assert superfluous(_files(0, 0, 0), 10, NOW) == ()
    assert [each.name for each in superfluous(_files(0, 2, 0), 10, NOW)] == ["2"]
