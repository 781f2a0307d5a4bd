"""An image with this machine's Node and npm on busybox, and a Node project whose dependencies cost something."""

import base64
import hashlib
import io
import json
import random
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.support import python_image, real

_MODULES = ("/usr/lib/node_modules/npm", "/usr/share/nodejs", "/usr/share/npm", "/usr/lib/nodejs")
#: Of the C library, for parts of packages that are no JavaScript.
_SHARED = ("librt.so.1", "libdl.so.2", "libpthread.so.0", "libm.so.6", "libgcc_s.so.1")
_SERVER = """import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
const page = readFileSync('dist/page.txt');
createServer((_, answer) => answer.end(page)).listen(Number(process.env.PORT ?? 3000), '0.0.0.0');
"""
_BUILD = """import { mkdirSync, writeFileSync } from 'node:fs';
import { text } from './text.mjs';
import { value } from 'part0';
mkdirSync('dist', { recursive: true });
writeFileSync('dist/page.txt', `${text} ${value}`);
"""
_DOCKERFILE = """FROM {base}
WORKDIR /app
COPY package.json package-lock.json ./
COPY vendor vendor
RUN npm ci
COPY *.mjs ./
RUN npm run build
ENV PORT=3000
CMD ["node", "server.mjs"]
"""


def build(engine: str, reference: str) -> None:
    """The image under the reference; busybox:1.36 must be there."""
    node, npm = Path(real.program("node", "nodejs")), Path(real.program("npm", "npm")).resolve()
    node_libraries = next(Path(one).parent for one in python_image.libraries(node.resolve()) if "/libc.so" in one)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(Path(folder) / "node.tar", "w") as tar:
            tar.add(node.resolve(), arcname="/usr/bin/node")
            for needed in python_image.libraries(node.resolve()):
                tar.add(Path(needed).resolve(), arcname=needed)
            for shared in _SHARED:
                tar.add((node_libraries / shared).resolve(), arcname=node_libraries / shared)
            for modules in filter(Path.exists, map(Path, _MODULES)):
                tar.add(modules)
        text = (
            f"FROM busybox:1.36\nADD node.tar /\nRUN mkdir -p /usr/bin && ln -s {npm} /usr/bin/npm "
            "&& [ -e /usr/bin/env ] || ln -s /bin/env /usr/bin/env\nENV PATH=/usr/bin:/bin\n"
        )
        (Path(folder) / "Dockerfile").write_text(text)
        argv = ["docker", "-H", engine, "build", "-q", "-t", reference, folder]
        subprocess.run(argv, check=True, capture_output=True)


def project(folder: Path, base: str, *, packages: int, files: int, seed: int = 0) -> None:
    """A project with a lockfile and its packages beside it; `files` of about 4 KiB in each. Another seed makes other
    packages, so that nothing of a former build is of use."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "vendor").mkdir(parents=True)
    locked: dict[str, object] = {}
    wanted = {f"part{number}": f"file:vendor/part{number}.tgz" for number in range(packages)}
    for number, (name, source) in enumerate(wanted.items()):
        data = _package(name, files, random.Random(f"{seed} {number}"))
        (folder / "vendor" / f"{name}.tgz").write_bytes(data)
        proof = f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"
        locked[f"node_modules/{name}"] = {"version": "1.0.0", "resolved": source, "integrity": proof}
    package = {"name": "sample", "version": "1.0.0", "dependencies": wanted}
    scripts = {"scripts": {"build": "node build.mjs", "start": "node server.mjs"}}
    lock = {"name": "sample", "version": "1.0.0", "lockfileVersion": 3, "requires": True}
    put = {
        "package.json": json.dumps(package | scripts),
        "package-lock.json": json.dumps(lock | {"packages": {"": package, **locked}}),
        "build.mjs": _BUILD,
        "server.mjs": _SERVER,
        "Dockerfile": _DOCKERFILE.format(base=base),
        ".dockerignore": "node_modules\n",
    }
    for name, text in put.items():
        (folder / name).write_text(text)
    say(folder, "first")


def say(folder: Path, text: str) -> None:
    """Change the one line that the page shows."""
    (folder / "text.mjs").write_text(f"export const text = {json.dumps(text)};\n")


def _package(name: str, files: int, chance: random.Random) -> bytes:
    manifest = {"name": name, "version": "1.0.0", "main": "index.js"}
    texts = {"package.json": json.dumps(manifest).encode(), "index.js": b"exports.value = 'of a package';\n"}
    texts |= {f"lib/file{number}.js": b"// %s\n" % chance.randbytes(2000).hex().encode() for number in range(files)}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
        for path, data in texts.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()
