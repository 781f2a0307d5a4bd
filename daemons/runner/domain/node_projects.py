"""Node projects: which package manager, by lockfile; what starts them; or that they are built into static files.

The rules are those of the documented Dockerfile contract: dependencies by the lockfile (`npm ci`, and `npm install`
where that refuses), the platform's registry through `.npmrc` unless the repository has its own, `npm run build` whose
failure fails the image, `npm run start` on port 3000.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from daemons.runner.domain.evidence import Choice, Passed, Tree, json_object, table

_LOCKFILES: Final = {
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
}
_PACKAGE_MANAGER: Final = re.compile(r"(npm|pnpm|yarn)@([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})(?:\+[a-z0-9.]+)?")
_FILE_NAME: Final = re.compile(r"(?:\./)?([A-Za-z0-9_][A-Za-z0-9._-]{0,63}\.[cm]?js)")
#: Scripts that run while dependencies are installed and may need any file of the repository.
_EARLY_SCRIPTS: Final = ("preinstall", "install", "postinstall", "prepare")
#: Build tools that write a page without a server, and where.
_PAGES: Final = {"vite": "dist", "react-scripts": "build"}


@dataclass(frozen=True, slots=True)
class _Manager:
    name: str
    version: str
    lockfile: str | None
    why: str


def choose(tree: Tree) -> Choice | Passed | None:
    """A template for the tree, if it is a Node project."""
    if "package.json" in tree.unread:
        return Passed(f"package.json, which {tree.unread['package.json']}")
    if "package.json" not in tree.texts:
        return None
    package = json_object(tree.texts["package.json"])
    if package is None:
        return Passed("package.json, which is not a JSON object")
    scripts = table(package.get("scripts"))
    manager = _manager(tree, package)
    start = _start(tree, package, scripts, manager)
    if start is not None:
        command, why = start
        fill = _fill(tree, package, scripts, manager) | {"START": command}
        return Choice("node", ("package.json: Node", manager.why, why), fill)
    return _page(tree, package, scripts, manager)


def _page(
    tree: Tree, package: Mapping[str, object], scripts: Mapping[str, object], manager: _Manager
) -> Choice | Passed:
    used = table(package.get("dependencies")).keys() | table(package.get("devDependencies")).keys()
    tool = next((name for name in _PAGES if name in used), None)
    if tool is None or not _has(scripts, "build"):
        return Passed(
            "package.json, which has no start script, no server.js and no main file at the root, and no build script "
            f"with {' or '.join(_PAGES)} for a page without a server"
        )
    why = f"no start script, a build script and {tool}: {_PAGES[tool]}/ is served as static files"
    fill = _fill(tree, package, scripts, manager) | {"OUTPUT": _PAGES[tool]}
    return Choice("node-static", ("package.json: Node", manager.why, why), fill)


def _manager(tree: Tree, package: Mapping[str, object]) -> _Manager:
    named = package.get("packageManager")
    asked = _PACKAGE_MANAGER.fullmatch(named) if isinstance(named, str) else None
    there = [lockfile for lockfile in _LOCKFILES if lockfile in tree.files]
    if asked is not None:
        lockfile = next((name for name in there if _LOCKFILES[name] == asked[1]), None)
        return _Manager(asked[1], asked[2], lockfile, f"packageManager is {asked[1]}@{asked[2]}{_beside(lockfile)}")
    if not there:
        return _Manager("npm", "", None, "no lockfile: npm install, with whatever versions are newest")
    others = f" (before {' and '.join(there[1:])})" if len(there) > 1 else ""
    return _Manager(_LOCKFILES[there[0]], "", there[0], f"{there[0]}{others}: {_LOCKFILES[there[0]]}")


def _beside(lockfile: str | None) -> str:
    return f", with {lockfile}" if lockfile else ", without a lockfile of its own"


def _start(
    tree: Tree, package: Mapping[str, object], scripts: Mapping[str, object], manager: _Manager
) -> tuple[str, str] | None:
    if _has(scripts, "start"):
        return f'"{manager.name}", "run", "start"', f"it has a start script: {manager.name} run start"
    main = package.get("main")
    named = _FILE_NAME.fullmatch(main) if isinstance(main, str) else None
    for name in ("server.js", named[1] if named else "server.js"):
        if name in tree.files:
            return f'"node", "{name}"', f"no start script, but {name}: node {name}"
    return None


def _fill(
    tree: Tree, package: Mapping[str, object], scripts: Mapping[str, object], manager: _Manager
) -> dict[str, str]:
    early = any(_has(scripts, name) for name in _EARLY_SCRIPTS)
    whole = early or "workspaces" in package or "pnpm-workspace.yaml" in tree.files or _local(package)
    settings = [name for name in (".npmrc", ".yarnrc", ".yarnrc.yml") if name in tree.files]
    # A release of yarn within the repository lies in a folder, which a list of files cannot bring.
    whole = whole or ".yarnrc.yml" in settings
    manifests = ["package.json", *([manager.lockfile] if manager.lockfile else []), *settings]
    build = f"{manager.name} run build" if _has(scripts, "build") else "true"
    return {
        "MANIFESTS": "." if whole else " ".join(manifests),
        "TOOL": _tool(manager),
        "INSTALL": _install(tree, manager),
        "BUILD": build,
    }


def _tool(manager: _Manager) -> str:
    """Has the package manager there: images of Node bring npm, and often yarn."""
    if manager.name == "npm":
        return "true"
    package = f"{manager.name}@{manager.version}" if manager.version else manager.name
    if manager.name == "yarn" and manager.version.partition(".")[0] not in ("", "0", "1"):
        package = "yarn"  # Its second and later generations come with the repository; the first one starts them.
    # What is installed globally does not heed the project's .npmrc.
    return f"command -v {manager.name} || npm install --global ${{NPM_REGISTRY:+--registry=$NPM_REGISTRY}} {package}"


def _install(tree: Tree, manager: _Manager) -> str:
    if manager.lockfile is None:
        return f"{manager.name} install"
    match manager.name:
        case "npm":
            return "npm ci || npm install"
        case "yarn" if ".yarnrc.yml" in tree.files:
            return "yarn install --immutable"
        case _:
            return f"{manager.name} install --frozen-lockfile"


def _local(package: Mapping[str, object]) -> bool:
    """Whether a dependency is a folder of the repository."""
    versions = [*table(package.get("dependencies")).values(), *table(package.get("devDependencies")).values()]
    return any(isinstance(version, str) and version.startswith(("file:", "link:", ".")) for version in versions)


def _has(scripts: Mapping[str, object], name: str) -> bool:
    script = scripts.get(name)
    return isinstance(script, str) and bool(script.strip())
