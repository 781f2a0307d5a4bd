"""Certificates that sign themselves."""

import subprocess
from pathlib import Path

from tests.support import real


def self_signed(folder: Path, host: str, *, joined: bool = False) -> None:
    """`HOST.pem` and `HOST.key`, or both in the first."""
    certificate, key = folder / f"{host}.pem", folder / f"{host}.key"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    openssl = [real.program("openssl", "openssl"), *made, "-days", "2", "-subj", f"/CN={host}"]
    subprocess.run(openssl, check=True, capture_output=True)
    if joined:
        certificate.write_text(certificate.read_text() + key.read_text())
