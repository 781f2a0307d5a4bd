"""The server's own key."""

from pathlib import Path

import pytest

from daemons.git.adapters.host_key import load_or_make
from daemons.kit.settings import Misconfigured


def test_it_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "host"
    made = load_or_make(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_make(path).export_public_key() == made.export_public_key()
    assert (tmp_path / "keys" / "host.pub").read_bytes() == made.export_public_key()
    assert sorted(found.name for found in path.parent.iterdir()) == ["host", "host.pub"]


def test_one_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "host"
    load_or_make(path)
    path.chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        load_or_make(path)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "host"
    path.write_text("hello")
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match="GIT_HOST_KEY_PATH"):
        load_or_make(path)
