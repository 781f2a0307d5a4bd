"""Typed clients of the daemons.

httpx brings a program of its own along, with click, rich and pygments: half of what loading httpx takes. While it is
loaded here that program is not there, as where its parts are not installed.
"""

import importlib
import sys
from types import ModuleType
from typing import Final, cast

_PROGRAM: Final = "httpx._main"

if "httpx" not in sys.modules:
    sys.modules[_PROGRAM] = cast(ModuleType, None)
    try:
        importlib.import_module("httpx")
    finally:
        del sys.modules[_PROGRAM]
