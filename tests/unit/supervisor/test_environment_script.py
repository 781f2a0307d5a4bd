"""What bin/up does when the machine lacks something, decided without changing the machine."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def shell(text: str) -> subprocess.CompletedProcess[str]:
    program = f'set -euo pipefail; source "{ROOT}/bin/environment.sh"; listing() {{ echo haproxy; echo git; }}; {text}'
    return subprocess.run(
        ["bash", "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_without_apt_it_names_what_to_install_and_exits_3() -> None:
    result = shell("has() { return 1; }; install_packages listing")
    assert result.returncode == 3
    assert "git haproxy" in result.stderr
    assert result.stdout == ""


def test_without_root_and_sudo_it_says_what_root_has_to_run() -> None:
    result = shell('has() { [ "$1" = apt-get ]; }; id() { echo 1000; }; install_packages listing')
    assert result.returncode == 3
    assert "apt-get install git haproxy" in result.stderr


def test_apt_is_updated_first_and_asks_nothing() -> None:
    fake = 'has() { true; }; id() { echo 0; }; env() { echo "$*" >&3; }; exec 3>&1; install_packages listing'
    result = shell(fake)
    assert result.returncode == 0, result.stderr
    update, install = result.stdout.splitlines()
    assert update.startswith("DEBIAN_FRONTEND=noninteractive apt-get -q -y")
    assert update.endswith(" update")
    assert install.endswith(" install git haproxy")


def test_a_failed_installation_shows_why_and_exits_3() -> None:
    fake = "has() { true; }; id() { echo 0; }; env() { echo E: no space left; return 100; }; install_packages listing"
    result = shell(fake)
    assert result.returncode == 3
    assert "E: no space left" in result.stderr


def test_nothing_is_installed_when_nothing_is_missing() -> None:
    result = shell("nothing() { true; }; env() { exit 9; }; install_packages nothing")
    assert (result.returncode, result.stderr) == (0, "")


def test_an_old_python_is_named() -> None:
    result = shell('python3() { [ "$1" = -V ] && echo Python 3.9.2; return 1; }; require_python')
    assert result.returncode == 3
    assert "3.9.2" in result.stderr
    assert "3.11" in result.stderr
