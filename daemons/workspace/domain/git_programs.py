"""The programs of git operations in a user's container.

No shell ever reads anything of a caller: arguments stay arguments. A key lies in a folder in memory, for as long as one
program runs.
"""

from collections.abc import Mapping
from typing import Final

from daemons.workspace.domain.containers import WORKDIR
from daemons.workspace.domain.git import IDENTITY
from daemons.workspace.domain.programs import Program, checked_tag

NAME, EMAIL = IDENTITY
APPS: Final = f"{WORKDIR}/apps"
#: Exit status of a shell that finds no such program.
NOT_FOUND: Final = 127
_KEY_FOLDER: Final = "/run/funai-git-"
_SSH: Final = (
    "ssh -F none -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes -o StrictHostKeyChecking=yes "
    "-o GlobalKnownHostsFile=/dev/null -o UpdateHostKeys=no -o ForwardAgent=no -o ConnectTimeout=15 "
    "-o ServerAliveInterval=15 -o ServerAliveCountMax=4"
)
#: What a program that was killed left behind goes with a later one; its key opens nothing any more.
_WITH_KEY: Final = f"""\
umask 077
find /run -maxdepth 1 -name 'funai-git-*' -mmin +15 -exec rm -rf {{}} + 2>/dev/null
d={_KEY_FOLDER}$1; shift
mkdir "$d" || exit 70
trap 'rm -rf "$d"' EXIT
trap 'exit 143' HUP INT TERM
cat >"$d/key" && printf '%s\\n' "$FUNAI_GIT_HOSTS" >"$d/known_hosts" || exit 70
export GIT_SSH_VARIANT=ssh GIT_SSH_COMMAND="{_SSH} -i $d/key -o UserKnownHostsFile=$d/known_hosts \
-o HostName=127.0.0.1 -o Port=$FUNAI_GIT_PORT -o 'HostKeyAlias=$FUNAI_GIT_SERVER'"
unset FUNAI_GIT_HOSTS FUNAI_GIT_PORT FUNAI_GIT_SERVER
umask 022
"$@" </dev/null
"""
_ALWAYS: Final[Mapping[str, str]] = {
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_PAGER": "cat",
    "GIT_MERGE_AUTOEDIT": "no",
    "GIT_OPTIONAL_LOCKS": "0",
    # A folder without a repository is none, whatever lies above it.
    "GIT_CEILING_DIRECTORIES": APPS,
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_AUTHOR_NAME": NAME,
    "GIT_AUTHOR_EMAIL": EMAIL,
    "GIT_COMMITTER_NAME": NAME,
    "GIT_COMMITTER_EMAIL": EMAIL,
}
#: What is done in the background would outlive the operation.
_SETTINGS: Final = ("-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false", "-c", "core.fsmonitor=false")

#: What lies where an app should be: `$1` is its folder.
PLACE: Final = """\
[ -d "$1" ] || { [ -e "$1" ] || [ -L "$1" ] && echo plain || echo nothing; exit 0; }
[ -e "$1/.git" ] && echo repository && exit 0
[ -n "$(ls -A "$1")" ] && echo plain || echo nothing
"""
#: A clone (`$1`) takes the place of nothing, or of an empty folder (`$2`).
SETTLE: Final = """\
rmdir "$2" 2>/dev/null
[ ! -e "$2" ] && [ ! -L "$2" ] || { echo 'something has come to its place meanwhile' >&2; exit 71; }
mv "$1" "$2"
"""
#: A clone's history (`$1`) comes to the files that are there (`$2`), which stay as they are; those that only the
#: history has come back.
ADOPT: Final = """\
[ ! -e "$2/.git" ] || { echo 'a repository has come to its place meanwhile' >&2; exit 71; }
mv "$1/.git" "$2/.git" && rm -rf "$1" && cd "$2" || exit 71
git rev-parse -q --verify HEAD >/dev/null || exit 0
git reset -q && git ls-files -d -z | git checkout-index -z --stdin
"""
#: A clone (`$1`) takes the place of the files that are there (`$2`), which get another name (`$3`).
REPLACE: Final = """\
mv "$2" "$3" || exit 71
mv "$1" "$2" || { mv "$3" "$2"; exit 71; }
"""
#: Everything that is there, committed or not, under a name (`$2`) that no branch has; `$1` is the app's folder.
KEEP: Final = """\
cd "$1" || exit 71
own=$(git rev-parse --absolute-git-dir) || exit 71
index="$own/funai-safety.$$"
trap 'rm -f "$index" "$index.lock"' EXIT
cp "$own/index" "$index" 2>/dev/null
head=$(git rev-parse -q --verify HEAD)
GIT_INDEX_FILE="$index" git add -A || exit 71
tree=$(GIT_INDEX_FILE="$index" git write-tree) || exit 71
if [ -n "$head" ] && [ "$tree" = "$(git rev-parse "$head^{tree}")" ]; then kept=$head
elif [ -n "$head" ]; then kept=$(git commit-tree -p "$head" -m 'what was here before a reset' "$tree") || exit 71
else kept=$(git commit-tree -m 'what was here before a reset' "$tree") || exit 71
fi
git update-ref "$2" "$kept" && echo "$kept"
"""
#: A text that is given, in the place of a file (`$2`) of the app (`$1`).
WRITE: Final = """\
cd "$1" && mkdir -p "$(dirname "./$2")" && cat >"./$2.funai-new" && mv -f "./$2.funai-new" "./$2"
"""
#: The text that is given becomes the .gitignore of an app (`$1`) that has none.
IGNORE: Final = """\
cd "$1" || exit 71
[ -e .gitignore ] || [ -L .gitignore ] || cat >.gitignore
"""
#: The line that is given joins those that name what git does not look at, in this working copy alone; `$1` is the app.
EXCLUDE: Final = """\
cd "$1" && own=$(git rev-parse --absolute-git-dir) && mkdir -p "$own/info" && cat >>"$own/info/exclude"
"""


def folder(app_id: str) -> str:
    """Where an app is in the container."""
    return f"{APPS}/{app_id}"


def git(app_id: str | None, arguments: tuple[str, ...], *, fed: bool = False, plain: bool = True) -> Program:
    """Git in an app's folder, or beside all apps. `plain`: what it is told of paths are names, not patterns."""
    where = ("-C", folder(app_id)) if app_id is not None else ()
    variables = _ALWAYS if plain else {**_ALWAYS, "GIT_LITERAL_PATHSPECS": "0"}
    return Program(("git", *where, *_SETTINGS, *arguments), WORKDIR, variables, fed=fed)


def with_key(program: Program, tag: str, port: int, server: str, known_hosts: str) -> Program:
    """The same for a program that speaks to the git server, which answers at a port of the container's loopback and is
    called `server` among the known hosts. Its input is the private key."""
    told = {"FUNAI_GIT_PORT": str(port), "FUNAI_GIT_SERVER": server, "FUNAI_GIT_HOSTS": known_hosts}
    variables = {**program.variables, **told}
    command = ("sh", "-c", _WITH_KEY, "sh", checked_tag(tag), *program.command)
    return Program(command, program.folder, variables, fed=True)


def without_key(tag: str) -> Program:
    """Whatever a killed program with a key left."""
    return Program(("rm", "-rf", f"{_KEY_FOLDER}{checked_tag(tag)}"), WORKDIR)


def script(text: str, *arguments: str, fed: bool = False) -> Program:
    """One of the scripts above."""
    return Program(("sh", "-c", text, "sh", *arguments), WORKDIR, _ALWAYS, fed=fed)
