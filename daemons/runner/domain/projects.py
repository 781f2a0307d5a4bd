"""Which template makes an image of a repository that has no Dockerfile, and why.

The choice is made from the names of the files at the project's root and from the text of a few manifests, which are
read as data and never run. Manifests are a stranger's: of their content nothing goes into a Dockerfile but version
numbers and names of files that are there. The order of the kinds is Node, Go, Python, static files; a kind whose
manifest is there but cannot be started is passed over, and named when nothing else fits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from daemons.runner.domain import node_projects, python_projects
from daemons.runner.domain.evidence import Choice, Passed, Tree
from daemons.runner.domain.failures import WorkFailed
from protocol.errors import JobReason

LOOKED_FOR: Final = (
    "package.json with a start script (Node), go.mod (Go), requirements.txt or pyproject.toml with a main.py, "
    "app.py or server.py (Python), index.html at the root, in public/ or in dist/ (static files)"
)
_STATIC_FOLDERS: Final = (".", "public", "dist")
_PLATFORM_PORT: Final = 3000


@dataclass(frozen=True, slots=True)
class BaseImages:
    """What the templates stand on; each a reference that the builder can pull or already has."""

    node: str
    python: str
    go: str
    static: str

    def fill(self) -> Mapping[str, str]:
        """As the templates name them."""
        return {
            "NODE_IMAGE": self.node,
            "PYTHON_IMAGE": self.python,
            "GO_IMAGE": self.go,
            "STATIC_IMAGE": self.static,
        }


@dataclass(frozen=True, slots=True)
class Recipe:
    """The files that make a repository buildable."""

    choice: Choice
    dockerfile: str
    dockerignore: str = field(repr=False)


def choose(tree: Tree) -> Choice:
    """The template for a tree. Raises WorkFailed when none fits, saying what was looked for and what was found."""
    passed: list[str] = []
    for kind in (node_projects.choose, _go, python_projects.choose, _static):
        match kind(tree):
            case Choice() as choice:
                return choice
            case Passed(why):
                passed.append(why)
            case None:
                pass
    found = f" Found, but of no use: {'; '.join(passed)}." if passed else ""
    raise WorkFailed(
        JobReason.BUILD_FAILED,
        f"the repository has no Dockerfile, and no template fits. Looked at its root for {LOOKED_FOR}.{found}",
        advice="Commit a Dockerfile (`funai init` writes one for a project that a template fits), or one of the files "
        f"named above. The app has to listen on port {_PLATFORM_PORT}.",
    )


def render(template: str, fill: Mapping[str, str]) -> str:
    """The template with every `@NAME@` replaced. Raises KeyError for a name that nothing fills."""
    text, *parts = template.split("@")
    for index, part in enumerate(parts):
        text += fill[part] if index % 2 == 0 else part
    return text


def _go(tree: Tree) -> Choice | Passed | None:
    if "go.mod" not in tree.files:
        return None
    if not any(name.endswith(".go") and "/" not in name for name in tree.files):
        return Passed("go.mod without a .go file beside it")
    sums = "go.mod go.sum" if "go.sum" in tree.files else "go.mod"
    vendored = "; its vendor/ folder is used" if "vendor/modules.txt" in tree.files else ""
    # With the modules in the repository nothing is downloaded, and `go mod download` would.
    download = "true" if vendored else "go mod download"
    return Choice(
        "go", (f"go.mod and a .go file at the root: Go{vendored}",), {"MANIFESTS": sums, "DOWNLOAD": download}
    )


def _static(tree: Tree) -> Choice | Passed | None:
    for folder in _STATIC_FOLDERS:
        page = "index.html" if folder == "." else f"{folder}/index.html"
        if page in tree.files:
            return Choice("static", (f"{page}: static files",), {"FOLDER": folder})
    return None
