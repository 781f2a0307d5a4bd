"""What kind of project an app is, from the few files that say so."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

#: What is read of a project: each at most 1 MiB, in its folder or the first that has a package.json.
TELLING: Final = ("package.json", "requirements.txt", "app.py", "wsgi.py", "index.html")
_FLASK: Final = re.compile(r"(?im)^\s*flask\b")
_VITE: Final = re.compile(r"\bvite\b(?!\s+(build|preview))")
_REACT_SCRIPTS: Final = re.compile(r"\breact-scripts\s+start\b")
_NEXT: Final = re.compile(r"\bnext\s+dev\b|\bnext\b(?!\s+(build|start|lint|export))")


class Framework(StrEnum):
    """What serves the project while it is developed."""

    VITE = "vite"
    NEXT = "next"
    REACT_SCRIPTS = "react-scripts"
    NODE = "node"
    FLASK = "flask"
    STATIC = "static"


class NotRunnable(Exception):
    """Nothing in the project says how it is run; the message says what was found and what is missing."""


@dataclass(frozen=True, slots=True)
class Project:
    """The telling files of an app; `folder` is where they are, relative to the app (empty: at its root)."""

    folder: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def scripts(self) -> Mapping[str, str]:
        """The scripts of its package.json."""
        found = self._package().get("scripts")
        if not isinstance(found, dict):
            return {}
        return {str(name): text for name, text in found.items() if isinstance(text, str)}

    @property
    def is_node(self) -> bool:
        """Whether npm knows it."""
        return "package.json" in self.files

    def _package(self) -> Mapping[str, Any]:
        try:
            document = json.loads(self.files.get("package.json", "{}"))
        except ValueError:
            raise NotRunnable("package.json is not JSON; mend it, and start again") from None
        return document if isinstance(document, dict) else {}


def framework(project: Project, script: str) -> Framework:
    """What the script of a Node project starts; without a package.json what its files are for. Raises NotRunnable."""
    if project.is_node:
        text = project.scripts.get(script, "")
        if _VITE.search(text):
            return Framework.VITE
        if _REACT_SCRIPTS.search(text):
            return Framework.REACT_SCRIPTS
        return Framework.NEXT if _NEXT.search(text) else Framework.NODE
    if _FLASK.search(project.files.get("requirements.txt", "")) and flask_module(project):
        return Framework.FLASK
    if "index.html" in project.files:
        return Framework.STATIC
    raise NotRunnable(
        "the project has no package.json, no requirements.txt with Flask beside an app.py or wsgi.py, and no index.html"
    )


def flask_module(project: Project) -> str | None:
    """The file that Flask starts."""
    return next((name for name in ("app.py", "wsgi.py") if name in project.files), None)


def chosen_script(project: Project, *wanted: str) -> str:
    """The first of the scripts that the package.json has. Raises NotRunnable."""
    for name in wanted:
        if name in project.scripts:
            return name
    known = ", ".join(sorted(project.scripts)) or "none"
    raise NotRunnable(f"package.json has no script {' or '.join(wanted)}; it has {known}")
