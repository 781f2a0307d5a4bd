"""Whether the platform may set packet filter rules on this machine."""

import os
import shutil
from pathlib import Path
from typing import Final

#: capabilities(7), linux/capability.h
_CAP_NET_ADMIN: Final = 12
_STATUS: Final = Path("/proc/self/status")


def may_filter() -> bool:
    """Whether iptables is installed and this process has CAP_NET_ADMIN, which its children inherit."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if shutil.which("iptables-restore", path=path) is None:
        return False
    lines = _STATUS.read_text(encoding="utf-8").splitlines()
    effective = next((line.partition(":")[2] for line in lines if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> _CAP_NET_ADMIN & 1)
