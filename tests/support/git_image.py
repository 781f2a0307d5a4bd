"""An image with this machine's git and SSH client on busybox, as workspaces have them."""

import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.support import python_image, real

_TEMPLATES = Path("/usr/share/git-core/templates")


def build(engine: str, reference: str, *, ssh: bool = True, base: str = "busybox:1.36") -> str:
    """The image under the reference, unless it is there; its base, some busybox, must be."""
    docker = ["docker", "-H", engine]
    if subprocess.run([*docker, "image", "inspect", reference], capture_output=True, check=False).returncode == 0:
        return reference
    programs = [Path(real.program("git", "git"))]
    if ssh:
        programs.append(Path(real.program("ssh", "openssh-client")))
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(Path(folder) / "git.tar", "w") as tar:
            for program in programs:
                tar.add(program.resolve(), arcname=f"/usr/bin/{program.name}")
            for needed in python_image.libraries(*(program.resolve() for program in programs)):
                tar.add(Path(needed).resolve(), arcname=needed)
            if _TEMPLATES.exists():
                tar.add(_TEMPLATES)
        # OpenSSH speaks for users that have a name only.
        text = (
            f"FROM {base}\nADD git.tar /\n"
            "RUN echo 'node:x:1000:1000::/workspace/.home:/bin/sh' >> /etc/passwd\nENV PATH=/usr/bin:/bin\n"
        )
        (Path(folder) / "Dockerfile").write_text(text)
        subprocess.run([*docker, "build", "-q", "-t", reference, folder], check=True, capture_output=True)
    return reference
