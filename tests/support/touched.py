"""What a program and all it starts opens and changes on the file system, as the kernel sees it (strace, for Linux).

Of a file that was opened the kernel tells where it really is, links resolved. Of calls by name (mkdir, unlink, rename,
...) the name is told, and the folder it counts from.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import real

_CALLS: Final = (
    "open,openat,openat2,creat,mkdir,mkdirat,rmdir,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,"
    "symlinkat,truncate,chmod,fchmodat,chown,lchown,fchownat,mknod,mknodat,utimensat,setxattr,lsetxattr,"
    "chdir,fchdir,clone,clone3,fork,vfork"
)
_OPENED: Final = re.compile(r"\b(?:open|openat|openat2|creat)\((.*)\) = \d+<(.*)>$")
_NAMED: Final = re.compile(r"\b([a-z0-9]+)\((.*)\) = 0$")
_WRITES: Final = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|\bcreat\(")
_NAME: Final = re.compile(r'(?:(?:AT_FDCWD|\d+)<((?:[^<>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"')
_PROCESS: Final = re.compile(r"^(\d+) +")
_CHILD: Final = re.compile(r"^(\d+) +(?:clone|clone3|fork|vfork)\(.* = (\d+)(?:<.*>)?$")
_MOVED: Final = re.compile(r'^(?:chdir\("((?:[^"\\]|\\.)*)"\)|fchdir\(\d+<(.*)>\)) = 0$')


@dataclass(frozen=True, slots=True)
class Touched:
    """One file or folder."""

    path: str
    written: bool


def run(argv: Sequence[str], trace: Path, env: Mapping[str, str], cwd: Path) -> list[Touched]:
    """Run a program to its end; the test fails when it fails. `trace` is a file of the caller's."""
    options = ["-f", "-y", "-qq", "-s", "4096", "--seccomp-bpf", "-e", f"trace={_CALLS}", "-e", "signal=none"]
    command = [real.program("strace", "strace"), *options, "-z", "-o", str(trace), "--", *argv]
    done = subprocess.run(command, env=dict(env), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return list(dict.fromkeys(_all(trace, cwd)))


def _all(trace: Path, cwd: Path) -> Iterator[Touched]:
    lines = trace.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    parents = {child[2]: child[1] for child in map(_CHILD.match, lines) if child}
    places: dict[str, str] = {}
    for line in lines:
        process = _PROCESS.match(line)
        if process is None:
            continue
        number, call = process[1], line[process.end() :]
        # A new process begins where the one that made it is.
        place = places.setdefault(number, places.get(parents.get(number, ""), str(cwd)))
        if moved := _MOVED.match(call):
            places[number] = os.path.normpath(Path(place) / _plain(moved[1] or moved[2]))
        else:
            yield from _of(call, place)


def _of(call: str, cwd: str) -> Iterator[Touched]:
    if opened := _OPENED.search(call):
        yield Touched(_plain(opened[2]).removesuffix(" (deleted)"), _WRITES.search(call) is not None)
        return
    named = _NAMED.search(call)
    if named is None or named[1].startswith("open"):
        return
    names = _NAME.findall(named[2])
    if named[1].startswith("symlink"):
        # The target is a text, whatever it says.
        names = names[1:]
    for folder, name in names:
        yield Touched(os.path.normpath(Path(_plain(folder) or cwd) / _plain(name)), True)


def _plain(text: str) -> str:
    """As strace quotes it: octal and the usual escapes."""
    return text.encode("utf-8", "surrogateescape").decode("unicode_escape") if "\\" in text else text
