"""What nobody may have cloned: addresses, references and what else of a job names a place, each with its field.

From the corpus of inputs that broke systems of this kind: options in disguise, other transports, local files, hosts
inside the platform, escapes from paths, line breaks, letters that only look right, and lengths without end.
"""

from collections.abc import Iterator

GOOD_URL = "ssh://git@git.example:2222/funai/u1-app20001.git"
GOOD_REF = "main"
GOOD_PATH = "deploy/web"

_URLS = (
    "",
    "--upload-pack=touch /tmp/pwned;false",
    "-oProxyCommand=id",
    "ext::sh -c id",
    "ext::ssh://git@git.example/x/y.git",
    "fd::17",
    "file:///etc",
    "file://git.example/etc",
    "/etc",
    "../repository",
    "./repository",
    "~/repository",
    "git@git.example:funai/x.git",
    "git@-oProxyCommand=id:x",
    "ssh://-oProxyCommand=id/x",
    "ssh://git@-oProxyCommand=id/x/y.git",
    "ssh://git@git.example/-oProxyCommand=id/y.git",
    "ssh://-v@git.example/x/y.git",
    "ssh://git:hunter22@git.example/x/y.git",
    "ssh://git@git.example:0/x/y.git",
    "ssh://git@git.example:65536/x/y.git",
    "ssh://git@git.example:99999/x/y.git",
    "ssh://git@git.example:-1/x/y.git",
    "ssh://git@git.example:２２/x/y.git",
    "ssh://git@git.example:22:22/x/y.git",
    "ssh://git@git.example",
    "ssh://git@git.example/",
    "ssh://git@git.example//x/y.git",
    "ssh://git@git.example/../../etc/passwd",
    "ssh://git@git.example/x/../y.git",
    "ssh://git@git.example/x/./y.git",
    "ssh://git@git.example/x/%2e%2e/y.git",
    "ssh://git@git.example/~root/y.git",
    "ssh://git@git.example/x/y.git?upload-pack=id",
    "ssh://git@git.example/x/y.git#main",
    "ssh://git@git.example/x/y.git;id",
    "ssh://git@git.example/x/$(id).git",
    "ssh://git@git.example/x/`id`.git",
    "ssh://git@git.example/x/y'.git",
    "ssh://git@git.example\\@evil.example/x/y.git",
    "ssh://git@evil.example@git.example/x/y.git",
    "ssh://git@git.example%00/x/y.git",
    "ssh://git@git.example%0a/x/y.git",
    "ssh://git@git.ехample/x/y.git",
    "ssh://git@ｇit.example/x/y.git",
    "ssh://git@git.example。evil/x/y.git",
    "ssh://git@git\u200b.example/x/y.git",
    "ssh://git@git.example/x/\u202egit.y",
    "ssh://git@[::1]/x/y.git",
    "ssh://git@[::ffff:127.0.0.1]/x/y.git",
    "ssh+git://git@git.example/x/y.git",
    "git+ssh://git@git.example/x/y.git",
    "SSH://git@git.example/x/y.git",
    "git://git.example/x/y.git",
    "http://169.254.169.254/latest/meta-data",
    "http://127.0.0.1:7002/",
    "https://git.example/x/y.git",
    "https://user:pass@git.example/x/y.git",
    "https:///git.example/x",
    "ftp://git.example/x",
    "ssh://git@git.example/" + "x/" * 7 + "y.git",
    "ssh://git@git.example/" + "x" * 600,
    "ssh://git@" + "a" * 254 + "/x/y.git",
    "ssh://" + "g" * 40 + "@git.example/x/y.git",
)
_REFS = (
    "",
    "-",
    "-x",
    "-f",
    "--upload-pack=a",
    "--orphan=zz",
    "--detach",
    "+main",
    ":main",
    "main:main",
    "main:refs/heads/other",
    "^main",
    "main^",
    "main~1",
    "main@{1}",
    "@{-1}",
    "@",
    "a..b",
    "a...b",
    "..",
    ".",
    ".main",
    "main.",
    "a/.b",
    "a.lock",
    "a.lock/b",
    "a//b",
    "/main",
    "main/",
    "refs/heads/../../x",
    "refs/heads/*",
    "mai?",
    "[m]ain",
    "main;id",
    "main|id",
    "main&id",
    "$(id)",
    "`id`",
    "${IFS}id",
    "main id",
    "main\\x",
    "main'",
    'main"',
    "main\x7f",
    "main\x1b[2J",
    "ma\u200bin",
    "mаin",
    "ｍain",
    "main\u2028",
    "\u202eniam",
    "\ud83d\ude80".encode("utf-16", "surrogatepass").decode("utf-16"),
    "x" * 201,
    "x/" * 150 + "y",
)
_PATHS = (
    "",
    "/",
    "//",
    "/etc/passwd",
    "/proc/self/environ",
    "..",
    "../Dockerfile",
    "../../etc/passwd",
    "a/../../b",
    "a/../b",
    "a/..",
    "a//b",
    "a/",
    "/a",
    "-",
    "-f",
    "--build-arg=x=y",
    "a/-f",
    ".git",
    ".git/config",
    ".GIT/config",
    "a\\..\\..\\b",
    "C:\\Dockerfile",
    "\\\\host\\share",
    "file:///etc/passwd",
    "https://git.example/x.git#main:web",
    "git@git.example:x/y.git",
    "%2e%2e/etc/passwd",
    "..%2f..%2fetc",
    "a?x=1",
    "a#b",
    "a&remote=http://git.example/x",
    "a:b",
    "a*",
    "[a]",
    "{a,b}",
    "a;id",
    "$(id)",
    "`id`",
    "${HOME}/x",
    "a b",
    "a\tb",
    "a'b",
    'a"b',
    "a|b",
    "<a",
    "‥/etc",
    "．．/etc",
    "∕etc",
    "Dоckerfile",
    "\u202eelifrekcoD",
    "Docker\u200bfile",
    "a" * 256,
    "a/" * 128 + "b",
)
_AROUND = ("\0", "\n", "\r\n", "\r", "\t", " ", "\x0b", "\x1b[31m", "\u00a0", "\u2028", "\ufeff", "é")
_OTHER_TYPES: tuple[object, ...] = (7, 1.5, True, [GOOD_REF], {"ref": GOOD_REF}, [], {})


def bad_texts() -> Iterator[tuple[str, str]]:
    """Field and text of all that is text."""
    for field, good, bad in (("repoSshUrl", GOOD_URL, _URLS), ("gitRef", GOOD_REF, _REFS)):
        for text in bad:
            yield field, text
        for around in _AROUND:
            yield field, around + good
            yield field, good + around
            yield field, good[:12] + around + good[12:]
        yield field, good + "x" * 10_000
        yield field, good + "/../" * 2_000


def bad_paths() -> Iterator[tuple[str, str]]:
    """Field and text of what names a place within the repository."""
    for field in ("dockerfilePath", "buildContext"):
        for text in _PATHS:
            yield field, text
        for around in _AROUND:
            yield field, around + GOOD_PATH
            yield field, GOOD_PATH + around
            yield field, GOOD_PATH[:3] + around + GOOD_PATH[3:]
        yield field, GOOD_PATH + "/x" * 5_000


def bad_values() -> Iterator[tuple[str, object]]:
    """The same, and what is no text."""
    yield from bad_texts()
    yield from bad_paths()
    for field in ("repoSshUrl", "gitRef", "dockerfilePath", "buildContext"):
        for value in _OTHER_TYPES:
            yield field, value
