"""An image with this machine's Python and nothing else, for apps that busybox cannot be."""

import ensurepip
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.support import long_lived_app

_LEFT_OUT = ("test", "tests", "site-packages", "idlelib", "ensurepip", "tkinter", "lib2to3", "__pycache__")


def build(engine: str, reference: str, name: str) -> None:
    """The long-lived app under the reference; it answers `name`."""
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    library = Path(sys.base_prefix) / "lib" / f"python3.{sys.version_info.minor}"
    with tempfile.TemporaryFile() as image:
        with tarfile.open(fileobj=image, mode="w") as tar:
            tar.add(python)
            for needed in libraries(python, *sorted((library / "lib-dynload").glob("*.so"))):
                tar.add(Path(needed).resolve(), arcname=needed)
            tar.add(library, filter=_wanted)
            tar.add(long_lived_app.__file__, arcname="/app.py")
        image.seek(0)
        command = f'CMD ["{python}", "/app.py", "{name}"]'
        argv = ["docker", "-H", engine, "import", "--change", command, "-", reference]
        subprocess.run(argv, check=True, stdin=image, capture_output=True)


def with_pip(engine: str, reference: str) -> None:
    """This machine's Python and pip on busybox:1.36, which must be there, as a base image."""
    bare = f"{reference}-bare"
    build(engine, bare, "unused")
    program = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    pip = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    text = f"FROM busybox:1.36\nCOPY --from={bare} / /\nCOPY pip.whl /pip.whl\nENV PYTHONPATH=/pip.whl\n"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pip.whl").write_bytes(pip.read_bytes())
        (Path(folder) / "Dockerfile").write_text(f"{text}RUN ln -s {program} /bin/python3\n")
        argv = ["docker", "-H", engine, "build", "-q", "-t", reference, folder]
        subprocess.run(argv, check=True, capture_output=True)
    subprocess.run(["docker", "-H", engine, "rmi", bare], check=False, capture_output=True)


def again(engine: str, base: str, reference: str, name: str) -> None:
    """The same under another reference and name, without its bytes."""
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    text = f'FROM {base}\nCMD ["{python}", "/app.py", "{name}"]\n'
    argv = ["docker", "-H", engine, "build", "-q", "-t", reference, "-"]
    subprocess.run(argv, input=text.encode(), check=True, capture_output=True)


def libraries(*programs: Path) -> set[str]:
    """Shared libraries and the loader, as paths."""
    output = subprocess.run(["ldd", *map(str, programs)], check=True, capture_output=True, text=True).stdout
    words = {word for line in output.splitlines() for word in line.split()}
    found = {word for word in words if word.startswith("/") and not word.endswith(":")}
    # The C library opens it when a thread ends early, as those of a reloader do.
    beside = {str(Path(word).with_name("libgcc_s.so.1")) for word in found if Path(word).name == "libc.so.6"}
    return found | {word for word in beside if Path(word).exists()}


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(member.name).parts
    return None if any(part in _LEFT_OUT or part.startswith("config-") for part in parts) else member
