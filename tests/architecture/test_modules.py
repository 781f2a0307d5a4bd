"""Rules of the house that no import contract can hold: sizes, names, what a module does when imported alone."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40
NAMES_THAT_SAY_NOTHING = re.compile(r"(utils?|helpers?|common|misc|managers?)\.py")
#: Where packages, images and system packages are published: a clone must work with whatever the machine is set to.
INDEX_ADDRESS = re.compile(
    r"https?://[a-z0-9.-]*(npmjs|npmmirror|pypi|pythonhosted|debian|ubuntu|docker\.io|ghcr\.io)", re.I
)
BATCHES = 2
#: By the import contracts none of these imports those after it, and of the rest only what stands below it.
FLOORS = ("protocol", "daemons.kit", "console.live")
#: Imported once by each batch, because they are slow and not what is tested.
LIBRARIES = (
    "aiodocker, aiohttp.web, aiomysql, asyncssh, httpx, orjson, prometheus_client, pydantic_settings, pymongo, "
    "structlog, textual.app, typer"
)


def tracked(*patterns: str) -> list[Path]:
    argv = ["git", "-C", str(ROOT), "ls-files", "-z", "--", *patterns]
    names = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def sources() -> list[Path]:
    return [path for path in tracked("*.py") if path.relative_to(ROOT).parts[0] in ("console", "daemons", "protocol")]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text("utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_is_too_long() -> None:
    lengths = {place(path): len(path.read_text("utf-8").splitlines()) for path in sources()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_no_function_is_too_long() -> None:
    too_long = [
        f"{place(path)}:{node.lineno} {node.name}"
        for path in sources()
        for node in functions(path)
        if (node.end_lineno or node.lineno) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert too_long == []


def test_every_module_has_a_name_that_says_something() -> None:
    assert [place(path) for path in tracked("*.py") if NAMES_THAT_SAY_NOTHING.fullmatch(path.name)] == []


def test_every_module_says_what_it_owns() -> None:
    silent = [
        place(path)
        for path in sources()
        if path.read_text("utf-8").strip() and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_no_address_of_a_package_index_is_tracked() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{place(path)}: {match.group()}" for match in INDEX_ADDRESS.finditer(text)]
    assert found == []


def test_constraints_are_names_and_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text("ascii").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!]*", line)] == []
    names = [line.partition("==")[0].lower() for line in lines]
    assert names == sorted(set(names))


def test_every_direct_dependency_is_pinned() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    lists = re.findall(r"^(?:dependencies|dev) = \[(.*?)^\]", project, re.S | re.M)
    wanted = {name for block in lists for name in re.findall(r'"([A-Za-z0-9._-]+)', block)}
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text("ascii").splitlines()}
    assert {canonical(name) for name in wanted} - {canonical(name) for name in pinned} == set()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def modules() -> list[str]:
    names = (place(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in sources())
    return sorted(name for name in names if not name.endswith("__main__"))


def floor(name: str) -> int:
    """How far above the ground it stands."""
    return next((number for number, each in enumerate(FLOORS) if name.startswith(each)), len(FLOORS))


@pytest.mark.timeout(600)
def test_every_module_imports_alone() -> None:
    """Each in a fork of a fresh interpreter, warnings as errors: no module leans on another having been imported. What
    others stand on is imported once for all of them after each of its modules was tried alone."""
    program = (
        "import os, sys, traceback, warnings\n"
        f"import {LIBRARIES}\n"
        "warnings.simplefilter('error')\n"
        "failed = []\n"
        f"floors = {FLOORS!r}\n"
        "tried = []\n"
        "for name in sys.argv[1:]:\n"
        "    while floors and not name.startswith(floors[0]):\n"
        "        for each in tried:\n"
        "            __import__(each)\n"
        "        tried, floors = [], floors[1:]\n"
        "    tried.append(name)\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        try:\n"
        "            __import__(name)\n"
        "        except BaseException:\n"
        "            traceback.print_exc()\n"
        "            os._exit(1)\n"
        "        os._exit(0)\n"
        "    if os.waitpid(pid, 0)[1]:\n"
        "        failed.append(name)\n"
        "sys.exit('\\n'.join(failed) or 0)\n"
    )
    names = sorted(modules(), key=floor)

    def batch(number: int) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", program, *names[number::BATCHES]]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(BATCHES) as pool:
        problems = [result.stderr for result in pool.map(batch, range(BATCHES)) if result.returncode]
    assert problems == []
