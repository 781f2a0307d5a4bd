"""Reads `.po` catalogues and makes the `.mo` files beside them: `python -m tests.support.catalogues`.

Debian's gettext would do the same; nothing but the standard library is needed for so little.
"""

import ast
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[2] / "console" / "locale"
_MAGIC: Final = 0x950412DE


def read_po(path: Path) -> dict[str, str]:
    """Every entry, the header as that of the empty text; no contexts. Of plurals the texts, and the translations, are
    joined by NUL, as gettext has them (GNU gettext manual, section 10.3)."""
    found: dict[str, str] = {}
    parts: dict[str, list[str]] = {}
    kind = ""
    for line in [*path.read_text("utf-8").splitlines(), ""]:
        text = line.strip()
        if not text:
            _take(parts, found)
            parts, kind = {}, ""
        elif text.startswith('"'):
            parts[kind].append(ast.literal_eval(text))
        elif not text.startswith("#"):
            kind, _, rest = text.partition(" ")
            parts[kind] = [ast.literal_eval(rest)]
    return found


def _take(parts: Mapping[str, Iterable[str]], found: dict[str, str]) -> None:
    if "msgid" in parts:
        key = "\0".join("".join(parts[kind]) for kind in ("msgid", "msgid_plural") if kind in parts)
        if key in found:
            raise ValueError(f"{key!r} is there twice")
        found[key] = "\0".join("".join(parts[kind]) for kind in sorted(parts) if kind.startswith("msgstr"))


def mo(entries: Mapping[str, str]) -> bytes:
    """The catalogue in the form that gettext loads (GNU gettext manual, section 10.3); what is empty is left out."""
    pairs = sorted((key.encode(), text.encode()) for key, text in entries.items() if text)
    start = 28 + 16 * len(pairs)
    keys, texts, data = bytearray(), bytearray(), bytearray()
    for table, index in ((keys, 0), (texts, 1)):
        for pair in pairs:
            table += struct.pack("<II", len(pair[index]), start + len(data))
            data += pair[index] + b"\0"
    head = struct.pack("<7I", _MAGIC, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 28 + 16 * len(pairs))
    return head + bytes(keys) + bytes(texts) + bytes(data)


if __name__ == "__main__":
    for source in FOLDER.glob("*/LC_MESSAGES/*.po"):
        source.with_suffix(".mo").write_bytes(mo(read_po(source)))
