"""What a new repository begins with: files for a Node app, its owner's to change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent
_TEXTS: Final = {
    "Dockerfile": (_FOLDER / "node.Dockerfile").read_text(encoding="utf-8"),
    ".dockerignore": (_FOLDER / "node.dockerignore").read_text(encoding="utf-8"),
    ".gitignore": (_FOLDER / "node.gitignore").read_text(encoding="utf-8"),
}


def template_files(image: str) -> Mapping[str, str]:
    """By path, the Dockerfile over this base image."""
    return {path: text.replace("@NODE_IMAGE@", image) for path, text in _TEXTS.items()}
