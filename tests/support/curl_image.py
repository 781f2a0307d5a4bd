"""An image with this machine's curl on busybox, as workspaces have it."""

import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.support import python_image, real

REFERENCE = "funai-tests-curl:1"


def build(engine: str) -> str:
    """The image, unless it is there; busybox:1.36 must be."""
    docker = ["docker", "-H", engine]
    if subprocess.run([*docker, "image", "inspect", REFERENCE], capture_output=True, check=False).returncode == 0:
        return REFERENCE
    curl = Path(real.program("curl", "curl")).resolve()
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(Path(folder) / "curl.tar", "w") as tar:
            tar.add(curl, arcname="/usr/bin/curl")
            for needed in python_image.libraries(curl):
                tar.add(Path(needed).resolve(), arcname=needed)
        text = "FROM busybox:1.36\nADD curl.tar /\nENV PATH=/usr/bin:/bin\n"
        (Path(folder) / "Dockerfile").write_text(text)
        subprocess.run([*docker, "build", "-q", "-t", REFERENCE, folder], check=True, capture_output=True)
    return REFERENCE
