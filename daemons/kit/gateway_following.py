"""Keeps what a gateway knows of apps' own hosts as the API tells it: what `funai gateway follow` starts.

    funai gateway follow --check "nginx -t" --reload "nginx -s reload" \\
        --kind nginx --role entry ... --domains /var/lib/funai/domains --output /etc/nginx/conf.d/funai.conf

It asks the API for the list, writes it, renders the configuration anew (options: those of `funai gateway render`), has
it checked, and has the gateway read it. Nothing is reloaded that did not change or that is refused: then the former
files are put back. Once per start; a timer starts it again (packaging/systemd/funai-domains.timer).
"""

import argparse
import asyncio
import fcntl
import hashlib
import os
import re
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

import httpx

from daemons.kit import gateway_domains, gateway_rendering, gateway_values
from daemons.kit.durable import replace_file
from daemons.kit.gateway_domains import AppDomain
from daemons.kit.settings import Misconfigured

_LIST: Final = "/api/fun-ai/internal/gateway/domains"
_OF_API: Final = "FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN"
_COUNTED: Final = re.compile(r"# [0-9]+ domains\n")
_ANSWER_SECONDS: Final = 10.0
_COMMAND_SECONDS: Final = 60.0
#: Of what a refused configuration is said to have, and of the hosts that are named.
_MOST_WORDS: Final = 2000
_MOST_NAMED: Final = 10


class NotFollowed(Exception):
    """The gateway goes on with what it had; the message says why, and what to do."""


Step = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Following:
    """One gateway. `api` is where the list is, `listed` the file that holds it; `render` writes `output` from it and
    raises Misconfigured; `check` and `reload` raise NotFollowed."""

    api: tuple[str, int]
    listed: Path
    output: Path
    render: Callable[[], None]
    check: Step
    reload: Step
    token: str = field(default="", repr=False)
    #: Files that the gateway reads besides.
    certificates: Callable[[], Sequence[Path]] = tuple

    async def once(self) -> str:
        """What was done, in words. Raises NotFollowed."""
        text = await _told(self.api, self.token)
        lock = await asyncio.to_thread(_locked, self.listed)
        try:
            return await self._followed(text)
        finally:
            await asyncio.to_thread(lock.close)

    async def _followed(self, text: str) -> str:
        former = await asyncio.to_thread(self._former)
        try:
            before, now = await asyncio.to_thread(self._write, text)
            state = await asyncio.to_thread(self._state)
            if await asyncio.to_thread(_content, self._read) == state:
                return f"{len(now)} hosts, nothing changed"
            await self.check()
        except (Misconfigured, NotFollowed, OSError) as error:
            await asyncio.to_thread(self._put_back, former)
            raise NotFollowed(f"the gateway keeps what it had: {error}") from error
        await self.reload()
        await asyncio.to_thread(replace_file, self._read, state)
        return f"{len(now)} hosts{_difference(before, now)}; the gateway reads them"

    @property
    def _read(self) -> Path:
        """Says which state the gateway has read; whoever is killed before it is written has it read again."""
        return self.listed.with_name(f".{self.listed.name}.read")

    def _former(self) -> tuple[bytes | None, bytes | None]:
        return _content(self.listed), _content(self.output)

    def _state(self) -> bytes:
        """Changes with the list, the configuration, and every certificate: one that was renewed has to be read too."""
        parts = (_content(path) or b"" for path in (self.listed, self.output, *self.certificates()))
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest().encode()

    def _write(self, text: str) -> tuple[Sequence[AppDomain], Sequence[AppDomain]]:
        """The hosts before and now. Raises Misconfigured, OSError."""
        draft = self.listed.with_name(f".{self.listed.name}.told")
        try:
            replace_file(draft, text.encode())
            before, now = _domains(self.listed), gateway_domains.read(draft)
            draft.replace(self.listed)
        finally:
            draft.unlink(missing_ok=True)
        self.render()
        return before, now

    def _put_back(self, former: tuple[bytes | None, bytes | None]) -> None:
        listed, output = former
        if _content(self.listed) != listed:
            _restore(self.listed, listed, 0o644)
            # HAProxy has a list of its own beside its configuration.
            with suppress(Misconfigured):
                self.render()
        _restore(self.output, output, 0o600)


async def run(words: Sequence[str]) -> None:
    """One command, never by a shell. Raises NotFollowed with what it said."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        raise NotFollowed(f"{words[0]} cannot be started: {error.strerror or error}") from error
    try:
        async with asyncio.timeout(_COMMAND_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        raise NotFollowed(f"{shlex.join(words)} did not end within {_COMMAND_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        text = said.decode("utf-8", "replace").strip()[-_MOST_WORDS:]
        raise NotFollowed(f"{shlex.join(words)} ended with {process.returncode}: {text}")


async def reload_haproxy(master: Path) -> None:
    """By the socket of HAProxy's master (management guide 2.6, section 9.4.1: `reload`). Raises NotFollowed."""
    try:
        async with asyncio.timeout(_COMMAND_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(master))
            writer.write(b"reload\n")
            writer.write_eof()
            # It closes the connection when it begins anew.
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
    except (OSError, TimeoutError) as error:
        raise NotFollowed(f"HAProxy's master at {master} was not reached: {error}; is it running?") from error


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says. Exit code 78 (EX_CONFIG) for what a gateway would misread, 1 for what could not be
    followed, with the reason on standard error."""
    parser = gateway_rendering.parser("funai gateway follow", __doc__)
    parser.add_argument("--check", required=True, help="the command that checks what was written: nginx -t")
    parser.add_argument("--reload", required=True, help="the command that has it read: nginx -s reload")
    told = parser.parse_args(arguments)
    if (reason := _refusal(told)) is not None:
        sys.stderr.write(f"{parser.prog}: {reason}\n")
        return os.EX_CONFIG
    try:
        sys.stdout.write(f"{asyncio.run(_of(told).once())}\n")
    except (NotFollowed, Misconfigured) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return os.EX_CONFIG if isinstance(error, Misconfigured) else 1
    return os.EX_OK


def _refusal(told: argparse.Namespace) -> str | None:
    if told.role != "entry" or told.domains is None or told.output is None:
        return "needs --role entry, --domains and --output: they are what it keeps"
    if os.environ.get(_OF_API, "").startswith("CHANGE_ME"):
        return f"{_OF_API} is a placeholder; set it to the API's"
    if told.domains == told.folder / "domains.map":
        return f"--domains {told.domains} is what the gateway itself has; name another file"
    return None


def _of(told: argparse.Namespace) -> Following:
    check, reload = shlex.split(told.check), shlex.split(told.reload)
    return Following(
        gateway_values.place(told.api),
        told.domains,
        told.output,
        lambda: gateway_rendering.write(told),
        lambda: run(check),
        lambda: run(reload),
        os.environ.get(_OF_API, ""),
        lambda: _certificates(told),
    )


def _certificates(told: argparse.Namespace) -> Sequence[Path]:
    own = [path for path in (told.certificate, told.key) if path is not None]
    folder = told.domain_certificates
    return own + (sorted(path for path in folder.glob("*") if path.suffix in (".pem", ".key")) if folder else [])


async def _told(api: tuple[str, int], token: str) -> str:
    """The list. Raises NotFollowed."""
    url = f"http://{gateway_values.address(*api)}{_LIST}"
    headers = {"X-WS-Token": token} if token else {}
    try:
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=_ANSWER_SECONDS) as client:  # noqa: S501
            answer = await client.get(url, headers=headers)
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise NotFollowed(f"the API does not tell the hosts of apps at {url}: {reason}") from error
    if answer.status_code != 200:
        advice = f"; is {_OF_API} the one that the API has?" if answer.status_code in (401, 403) else ""
        raise NotFollowed(f"the API answered {answer.status_code} at {url}{advice}")
    if not _COUNTED.match(answer.text):
        raise NotFollowed(f"what answers at {url} is no list of hosts; is that the API's address?")
    return answer.text


def _locked(listed: Path) -> TextIO:
    """One at a time, until it is closed. Raises NotFollowed."""
    try:
        listed.parent.mkdir(parents=True, exist_ok=True)
        lock = listed.with_name(f".{listed.name}.lock").open("w")
    except OSError as error:
        raise NotFollowed(f"{listed} cannot be kept: {error.strerror or error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise NotFollowed(f"another one is at {listed} right now; it does the same") from None
    return lock


def _domains(listed: Path) -> Sequence[AppDomain]:
    """Those of the former list; one that cannot be read had none."""
    try:
        return gateway_domains.read(listed)
    except Misconfigured:
        return ()


def _difference(before: Sequence[AppDomain], now: Sequence[AppDomain]) -> str:
    was, are = {each.host: each.app_id for each in before}, {each.host: each.app_id for each in now}
    marks = [f"+{host}" for host in are.keys() - was.keys()] + [f"-{host}" for host in was.keys() - are.keys()]
    marks += [f"{host} to app {app}" for host, app in are.items() if was.get(host, app) != app]
    named, more = sorted(marks)[:_MOST_NAMED], len(marks) - _MOST_NAMED
    return f" ({', '.join(named)}{f' and {more} more' if more > 0 else ''})" if marks else ""


def _restore(path: Path, content: bytes | None, mode: int) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    elif _content(path) != content:
        replace_file(path, content, mode)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
