"""The machine's own clipboard, where there is one; a terminal's is written by Textual (OSC 52)."""

import importlib
import importlib.util
from typing import Final

_NAME: Final = "pyperclip"
_FOUND: Final = importlib.util.find_spec(_NAME) is not None
_NATIVE: Final = importlib.import_module(_NAME) if _FOUND else None


def put(text: str) -> bool:
    """Whether the machine's clipboard has the text now; may take some milliseconds, for it runs a program."""
    if _NATIVE is None:
        return False
    try:
        _NATIVE.copy(text)
    except (_NATIVE.PyperclipException, OSError):
        return False
    return True
