"""What git says, read as the words of somebody hostile: the repository and all programs beside it are the user's."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: Who commits for users; part of the existing system's contract.
IDENTITY: Final = ("workspace-bot", "workspace-bot@funai.local")
#: Written where an app has none.
GITIGNORE: Final = """\
# Dependencies and caches: made anew wherever the app is built
node_modules/
.npm-cache/
.venv/
__pycache__/
*.pyc

# What builds make
dist/
build/
.next/
target/
.funai/

# Secrets and notes of one machine
.env
.env.*
!.env.example
*.log
.DS_Store
"""
_SHA: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BRANCH: Final = re.compile(r"(?![-/.])[^\x00-\x20\x7f~^:?*\[\\]{1,200}(?<![/.])")
_CREDENTIAL: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{1,20}://)[^/@\s:]*:[^/@\s]*@", re.I)
_KEY: Final = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.S)
_MOST_SAID: Final = 4000
_MOST_LINE: Final = 500
_FIELDS: Final = 4
_SHORT: Final = 7
#: Hosts that no build elsewhere reaches, and settings that are passwords.
_PRIVATE_HOST: Final = re.compile(
    r"https?://([^/@\s]*@)?(localhost|127\.|10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|[^/.:\s]+([:/]|$))",
    re.I,
)
_NPM_SECRET: Final = re.compile(r"(?im)^\s*[^#;\s=]*(_authtoken|_auth|_password)\s*=\s*(?!\$\{)\S")
_NPM_REGISTRY: Final = re.compile(r"(?im)^\s*(@[^\s=]*:)?registry\s*=\s*(?P<url>\S+)")


class Unreadable(Exception):
    """What git answered is not what git answers."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a working copy stands: the commit it is at (none: an empty history), its branch (none: detached), whether
    anything is not committed, whether a merge left conflicts."""

    commit: str | None = None
    branch: str | None = None
    dirty: bool = False
    conflicted: bool = False

    @property
    def short(self) -> str | None:
        """The commit as people write it."""
        return self.commit[:_SHORT] if self.commit else None


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit; `date` is ISO 8601."""

    sha: str
    author: str
    date: str
    message: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """The contents of a file that both sides changed, by their hashes; None where a side has no such file."""

    path: str
    base: str | None = None
    ours: str | None = None
    theirs: str | None = None


@dataclass(frozen=True, slots=True)
class Blob:
    """A content: its size, and its bytes unless it is longer than was asked for."""

    size: int
    data: bytes | None


def standing(output: bytes) -> Standing:
    """Read `status --porcelain=v2 --branch -z`; what was cut off at its end is missed. Raises Unreadable."""
    commit: str | None = None
    branch: str | None = None
    dirty = conflicted = headed = False
    records = iter(output.split(b"\0"))
    for record in records:
        text = record.decode("utf-8", "replace")
        if text.startswith("# branch.oid "):
            headed, commit = True, checked_sha(text[13:])
        elif text.startswith("# branch.head "):
            branch = checked_branch(text[14:])
        elif text[:2] in ("1 ", "2 ", "u ", "? "):
            dirty, conflicted = True, conflicted or text[0] == "u"
            if text[0] == "2":
                # The name that it had before follows by itself.
                next(records, None)
    if not headed:
        raise Unreadable("git's status has no head")
    return Standing(commit, branch, dirty, conflicted)


def commits(output: bytes) -> tuple[Commit, ...]:
    """Read `log -z --format=%H%x00%an%x00%aI%x00%s`; a record that is not whole is left out."""
    fields = [field.decode("utf-8", "replace") for field in output.split(b"\0")[:-1]]
    rows = (fields[at : at + _FIELDS] for at in range(0, len(fields) - _FIELDS + 1, _FIELDS))
    found = (Commit(row[0].strip(), one_line(row[1]), one_line(row[2]), one_line(row[3])) for row in rows)
    return tuple(commit for commit in found if _SHA.fullmatch(commit.sha))


def conflicts(output: bytes, most: int) -> tuple[Conflict, ...]:
    """Read `ls-files --unmerged -z`: at most so many files, of those that are whole."""
    found: dict[str, dict[str, str]] = {}
    for record in output.split(b"\0")[:-1]:
        head, _, name = record.partition(b"\t")
        words = head.decode("ascii", "replace").split(" ")
        if len(words) != 3 or words[2] not in ("1", "2", "3") or not _SHA.fullmatch(words[1]) or not name:
            continue
        path = name.decode("utf-8", "replace")
        if path not in found and len(found) >= most:
            break
        found.setdefault(path, {})[words[2]] = words[1]
    return tuple(Conflict(path, one.get("1"), one.get("2"), one.get("3")) for path, one in found.items())


def sizes(output: bytes) -> dict[str, int]:
    """Read `cat-file --batch-check`: the sizes of contents by their hashes."""
    return {sha: size for sha, size in map(_blob_head, output.split(b"\n")) if sha}


def blobs(output: bytes) -> dict[str, bytes]:
    """Read `cat-file --batch`; reading ends where the answer is not what git answers, or was cut off."""
    found: dict[str, bytes] = {}
    at = 0
    while (end := output.find(b"\n", at, at + 200)) >= 0:
        sha, size = _blob_head(output[at:end])
        begin = end + 1
        if not sha:
            # `HASH missing`: another follows.
            at = begin
            continue
        if begin + size > len(output):
            break
        found[sha] = output[begin : begin + size]
        at = begin + size + 1
    return found


def _blob_head(line: bytes) -> tuple[str, int]:
    words = line.decode("ascii", "replace").split(" ")
    good = len(words) == 3 and _SHA.fullmatch(words[0]) and words[1] == "blob" and len(words[2]) < 16
    return (words[0], int(words[2])) if good and words[2].isdecimal() else ("", 0)


def checked_sha(text: str) -> str | None:
    """A whole hash, or None for what is none."""
    return text if _SHA.fullmatch(text) else None


def checked_branch(text: str) -> str | None:
    """The name of a branch, or None for what may not be one; a detached head has a name in parentheses."""
    good = _BRANCH.fullmatch(text) and ".." not in text and "@{" not in text and not text.endswith(".lock")
    return text if good and not text.startswith("(") and text.isprintable() and "\ufffd" not in text else None


def said(text: str) -> str:
    """Words of git for people: the end of them, without passwords, private keys and characters that move cursors."""
    clean = _CREDENTIAL.sub(r"\g<scheme>***@", _KEY.sub("[private key]", text))
    lines = [line.rpartition("\r")[2] for line in clean.replace("\r\n", "\n").split("\n")]
    kept = "\n".join("".join(map(_visible, line)) for line in lines).strip()
    return kept if len(kept) <= _MOST_SAID else f"[...] {kept[-_MOST_SAID:]}"


def one_line(text: str) -> str:
    """Its first line, bounded."""
    return said(text.strip().partition("\n")[0])[:_MOST_LINE]


def commit_message(given: str | None, user_id: str, app_id: str) -> str:
    """The message of a commit, as the existing system writes it."""
    text = "\n".join("".join(map(_visible, line)) for line in (given or "").splitlines()).strip()
    return f"{text or 'Update from the workspace'} (userId={user_id}, appId={app_id})"


def npmrc_problem(text: str, registry: str) -> str:
    """Why an .npmrc may not leave the workspace: it names a registry that builds elsewhere do not reach, or holds a
    password. Empty when it may."""
    if _NPM_SECRET.search(text):
        return "holds a password or token of a registry"
    own = registry.rstrip("/").lower()
    for found in _NPM_REGISTRY.finditer(text):
        url = found["url"].strip("\"'").rstrip("/").lower()
        if (own and url == own) or _PRIVATE_HOST.match(url):
            return "names the internal registry"
    return ""


def ignored_line(path: str) -> str:
    """The line of an exclude file that means this one file, or folder when it ends with a slash."""
    escaped = "".join(f"\\{character}" if character in "\\*?[]#! " else character for character in path)
    return f"/{escaped}\n"


def paths(output: bytes, most: int) -> tuple[str, ...]:
    """Read names that each end with NUL; those that are no UTF-8, or of several lines, are left out."""
    return tuple(name for name in _texts(output.split(b"\0")[:-1]) if name.isprintable())[:most]


def _texts(names: list[bytes]) -> Iterator[str]:
    for name in names:
        try:
            yield name.decode()
        except UnicodeDecodeError:
            continue


def _visible(character: str) -> str:
    if character == "\t":
        return " "
    return "\ufffd" if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") else character
