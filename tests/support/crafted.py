"""Git objects that no honest git would make, put straight into a server's repository; and trees made of them."""

import hashlib
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

Entry = tuple[str, str, bytes]
FILE: Final = "100644"
LINK: Final = "120000"
FOLDER: Final = "40000"
MODULE: Final = "160000"


class Crafted:
    """Makes objects in one repository of a server."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    def blob(self, content: bytes) -> str:
        """The id of a file's content, or of a link's target."""
        return self._object("blob", content)

    def tree(self, *entries: Entry) -> str:
        """Of (mode, object, name), in this order, whatever it is."""
        lines = (f"{mode} ".encode() + name + b"\0" + bytes.fromhex(object_id) for mode, object_id, name in entries)
        return self._object("tree", b"".join(lines))

    def files(self, files: Mapping[str, bytes | str], links: Mapping[str, str] | None = None) -> tuple[Entry, ...]:
        """Entries of files and links, in git's order."""
        found = [(FILE, self.blob(_bytes(text)), os.fsencode(name)) for name, text in files.items()]
        found += [(LINK, self.blob(os.fsencode(to)), os.fsencode(name)) for name, to in (links or {}).items()]
        return tuple(sorted(found, key=lambda entry: entry[2]))

    def branch(self, name: str, tree: str) -> str:
        """A commit of the tree on a branch; its id."""
        who = "x <x@example.com> 1700000000 +0000"
        commit = self._object("commit", f"tree {tree}\nauthor {who}\ncommitter {who}\n\ncrafted\n".encode())
        (self._repository / "refs" / "heads" / name).write_text(f"{commit}\n")
        return commit

    def _object(self, kind: str, content: bytes) -> str:
        """Written as git writes a loose object, but looked at by nobody."""
        whole = f"{kind} {len(content)}\0".encode() + content
        number = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        path = self._repository / "objects" / number[:2] / number[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(whole, 1))
        return number


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


#: Makes a tree; given is the path of a file outside that must be neither read nor written.
Maker = Callable[[Crafted, str], str]


def _linked(name: str, target: str | None = None) -> Maker:
    """A Dockerfile that copies everything, and a link out of the repository by that name."""

    def make(crafted: Crafted, outside: str) -> str:
        files = {"Dockerfile": "FROM scratch\nCOPY . /all\n"} if name != "Dockerfile" else {"a": ""}
        return crafted.tree(*crafted.files(files, {name: target or outside}))

    return make


def _with(name: str, text: bytes | str) -> Maker:
    return lambda crafted, _: crafted.tree(*crafted.files({"Dockerfile": "FROM scratch\n", name: text}))


def _named(name: bytes, mode: str = FILE) -> Maker:
    """A file, or a folder with a file in it, by a name that could reach out."""

    def make(crafted: Crafted, _: str) -> str:
        blob = crafted.blob(b"[core]\n\tsshCommand = touch /tmp/pwned\n\tfsmonitor = touch /tmp/pwned\n")
        held = crafted.tree((FILE, blob, b"config")) if mode == FOLDER else blob
        entries = [(FILE, crafted.blob(b"FROM scratch\n"), b"Dockerfile"), (mode, held, name)]
        return crafted.tree(*sorted(entries, key=lambda entry: entry[2]))

    return make


def _twice(crafted: Crafted, outside: str) -> str:
    inner = crafted.tree((FILE, crafted.blob(b"written"), b"file"))
    folder = os.path.dirname(outside)  # noqa: PTH120 - a link's target
    return crafted.tree((LINK, crafted.blob(folder.encode()), b"a"), (FOLDER, inner, b"a"))


def _cases(crafted: Crafted, outside: str) -> str:
    """Names that are one name where case does not count: a link, and a folder that would be written through it."""
    inner = crafted.tree((FILE, crafted.blob(b"written"), b"canary"))
    folder = os.path.dirname(outside)  # noqa: PTH120 - a link's target
    files = crafted.files({"Dockerfile": "FROM scratch\n", "b": "", "e\u0301": "", "\u00e9": ""}, {"A": folder})
    return crafted.tree(*sorted((*files, (FOLDER, inner, b"a")), key=lambda entry: entry[2]))


def _deep(crafted: Crafted, _: str) -> str:
    node = crafted.tree((FILE, crafted.blob(b"x"), b"x"))
    for _level in range(300):
        node = crafted.tree((FOLDER, node, b"d" * 50))
    return node


def _bomb(crafted: Crafted, _: str) -> str:
    node = crafted.tree(*((FILE, crafted.blob(b"x"), f"f{leaf}".encode()) for leaf in range(10)))
    for _level in range(8):
        node = crafted.tree(*((FOLDER, node, f"d{branch}".encode()) for branch in range(10)))
    return node


def _modules(text: str, link: str | None = None) -> Maker:
    def make(crafted: Crafted, outside: str) -> str:
        found = crafted.files({"Dockerfile": "FROM scratch\n"}, {"z": outside})
        blob = crafted.blob((link.format(outside=outside) if link else text.format(outside=outside)).encode())
        return crafted.tree((LINK if link else FILE, blob, b".gitmodules"), *found, (MODULE, "1" * 40, b"zz"))

    return make


#: Those that every run of the tests takes, because each stands for others.
CORE: Final = (
    "link-to-a-file",
    "link-up",
    "link-of-the-dockerfile",
    "link-of-the-dockerignore",
    "attributes",
    "git-folder",
    "dot-dot",
    "slash",
    "twice",
    "cases",
    "bomb",
    "modules-local",
    "modules-link",
    "modules-include",
)
_MODULE = '[submodule "{name}"]\n\tpath = {path}\n\turl = {url}\n'
_ATTRIBUTES = "* filter=lfs diff=lfs merge=lfs -text\n* filter=evil\n* ident export-subst working-tree-encoding=UTF-7\n"
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12345\n"

#: By name: the tree, and words of the failure; None where the tree is harmless as it is taken.
TREES: Final[Mapping[str, tuple[Maker, str | None]]] = {
    "link-to-a-file": (_linked("stolen"), None),
    "link-to-passwd": (_linked("stolen", "/etc/passwd"), None),
    "link-up": (_linked("stolen", "../../../../../../../../../etc/passwd"), None),
    "link-to-proc": (_linked("stolen", "/proc/self/environ"), None),
    "link-to-descriptor": (_linked("stolen", "/proc/self/fd/0"), None),
    "link-to-itself": (_linked("stolen", "stolen"), None),
    "link-of-the-dockerfile": (_linked("Dockerfile"), "the Dockerfile is a link that leads out"),
    "link-of-the-dockerfile-to-proc": (_linked("Dockerfile", "/proc/self/environ"), "leads out"),
    "link-of-the-dockerignore": (_linked(".dockerignore"), ".dockerignore is a link that leads out"),
    "link-of-the-manifest": (_linked("package.json"), None),
    "huge-dockerignore": (_with(".dockerignore", "x\n" * 200_000), ".dockerignore is larger"),
    "large-dockerfile": (
        lambda crafted, _: crafted.tree(*crafted.files({"Dockerfile": "#" * 1_100_000})),
        "the Dockerfile is larger",
    ),
    "attributes": (_with(".gitattributes", _ATTRIBUTES), None),
    "lfs-pointer": (_with("model.bin", _POINTER), None),
    "hooks-folder": (_named(b"hooks", FOLDER), None),
    "config-file": (_named(b"config"), None),
    "git-folder": (_named(b".git", FOLDER), ".git"),
    "git-folder-upper": (_named(b".GIT", FOLDER), ".git"),
    "git-short-name": (_named(b"git~1", FOLDER), ""),
    "git-invisible": (_named("\u200c.git".encode(), FOLDER), ""),
    "git-with-dots": (_named(b".git. . ", FOLDER), ""),
    "git-stream": (_named(b".git::$INDEX_ALLOCATION", FOLDER), ""),
    "git-backslash": (_named(b".git\\config"), ""),
    "dot-dot": (_named(b"..", FOLDER), ""),
    "dot": (_named(b".", FOLDER), ""),
    "slash": (_named(b"../x"), ""),
    "absolute": (_named(b"/tmp/pwned"), ""),
    "empty-name": (_named(b""), ""),
    "long-name": (_named(b"n" * 300), ""),
    "bytes": (_named(b"\xff\xfe\x80"), None),
    "line-break": (_named(b"a\nb"), None),
    "twice": (_twice, ""),
    "cases": (_cases, None),
    "deep": (_deep, ""),
    "bomb": (_bomb, "more than"),
    "modules": (_modules(_MODULE.format(name="a", path="zz", url="file:///etc")), "gitSubmodules"),
    "modules-local": (_modules(_MODULE.format(name="a", path="zz", url="{outside}")), "gitSubmodules"),
    "modules-ext": (_modules(_MODULE.format(name="a", path="zz", url="ext::sh -c id")), "gitSubmodules"),
    "modules-option": (_modules(_MODULE.format(name="a", path="zz", url="--upload-pack=id")), ""),
    "modules-through-a-link": (_modules(_MODULE.format(name="a", path="z/zz", url="../x.git")), "gitSubmodules"),
    "modules-name-that-leads-out": (_modules(_MODULE.format(name="../../x", path="zz", url="../x.git")), ""),
    "modules-carriage-return": (_modules(_MODULE.format(name="a", path='"zz\\r"', url="../x.git")), ""),
    "modules-link": (_modules("", "{outside}"), ""),
    "modules-include": (_modules("[include]\n\tpath = {outside}\n"), "gitSubmodules"),
}
