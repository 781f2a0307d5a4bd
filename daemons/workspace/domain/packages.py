"""Where packages come from in workspaces, where they are kept, and which of them go when there are too many.

All of it is said by variables: a file would be committed with the app, and builds elsewhere do not reach the inside's
registry. For the same reason lock files do not name it; npm (11.19) then asks the registry again for what it has in its
cache when it installs from one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from daemons.workspace.domain.containers import WORKDIR

#: Below the user's folder. npm has a cache for each app; what belongs to none is in the last one.
NPM, PIP, SHARED = ".npm-cache", ".pip-cache", "shared"
#: What is younger may be read by an installation that goes on.
_YOUNG_MS: Final = 300_000
#: Down to this part of what there may be, so that the next one does not follow at once.
_DOWN_TO: Final = 0.8
_PORTS: Final = {"http": 80, "https": 443}
_HERE: Final = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Sources:
    """Addresses of registries and proxies; an empty one is none. `unproxied` are hosts that no proxy is asked for."""

    npm_registry: str = ""
    pip_index: str = ""
    http_proxy: str = ""
    https_proxy: str = ""
    unproxied: tuple[str, ...] = ()

    @property
    def servers(self) -> tuple[tuple[str, int], ...]:
        """Their names and ports."""
        asked = (self.npm_registry, self.pip_index, self.http_proxy, self.https_proxy)
        return tuple(dict.fromkeys(server for url in asked if (server := _server(url)) is not None))

    @property
    def variables(self) -> Mapping[str, str]:
        """What every program of a workspace has in its environment."""
        found = {
            "npm_config_cache": npm_cache(SHARED),
            "npm_config_update_notifier": "false",
            "PIP_CACHE_DIR": f"{WORKDIR}/{PIP}",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "UV_CACHE_DIR": f"{WORKDIR}/{PIP}/uv",
        }
        if self.npm_registry:
            found |= {
                "npm_config_registry": self.npm_registry,
                "NPM_CONFIG_REGISTRY": self.npm_registry,
                "npm_config_omit_lockfile_registry_resolved": "true",
            }
        if self.pip_index:
            found |= {"PIP_INDEX_URL": self.pip_index, "UV_DEFAULT_INDEX": self.pip_index, **_trusted(self.pip_index)}
        return {**found, **self._proxies()}

    def _proxies(self) -> Mapping[str, str]:
        proxies = {"HTTP_PROXY": self.http_proxy, "HTTPS_PROXY": self.https_proxy}
        found = {name: url for name, url in proxies.items() if url}
        if not found:
            return {}
        found |= {name.lower(): url for name, url in found.items()}
        own = [host for url in (self.npm_registry, self.pip_index) if (host := urlsplit(url).hostname)]
        none = ",".join(dict.fromkeys((*self.unproxied, *_HERE, *own)))
        return found | dict.fromkeys(("NO_PROXY", "no_proxy", "npm_config_noproxy", "NPM_CONFIG_NOPROXY"), none)


@dataclass(frozen=True, slots=True)
class Cached:
    """A file of a cache: its folder and name, its bytes on the disk, and when somebody last wrote or read it."""

    folder: tuple[str, ...]
    name: str
    size: int
    used_at_ms: int


def npm_cache(app_id: str) -> str:
    """Where npm keeps what it fetched for an app, in the container."""
    return f"{WORKDIR}/{NPM}/{app_id}"


def size_of(files: Iterable[Cached]) -> int:
    """Bytes."""
    return sum(each.size for each in files)


def superfluous(files: Sequence[Cached], most_bytes: int, now_ms: int) -> tuple[Cached, ...]:
    """What has to go of a cache that is larger than it may be: what was used least of late, and nothing that is new."""
    surplus = size_of(files) - most_bytes
    if surplus <= 0:
        return ()
    surplus, going = surplus + int(most_bytes * (1 - _DOWN_TO)), list[Cached]()
    for each in sorted(files, key=lambda file: file.used_at_ms):
        if surplus <= 0 or now_ms - each.used_at_ms < _YOUNG_MS:
            break
        going.append(each)
        surplus -= each.size
    return tuple(going)


def _server(url: str) -> tuple[str, int] | None:
    parts = urlsplit(url)
    return (parts.hostname, parts.port or _PORTS[parts.scheme]) if parts.hostname else None


def _trusted(url: str) -> Mapping[str, str]:
    """Without TLS, pip and uv ask nobody whom they were not told to trust."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return {}
    host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    return {"PIP_TRUSTED_HOST": host, "UV_INSECURE_HOST": host}
