# shellcheck shell=bash
# Sourced by bin/up, bin/test and bin/check: what the machine must have, and the Python environment in .venv.
# Everything it says goes to standard error; standard output belongs to the command.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PATH="$PATH:/usr/sbin:/sbin"
# Images of containers often forbid Python to keep what it compiled; then every daemon and every run of the tests
# compiles all of it anew.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

# Exit 3: the machine lacks something that this script cannot install.
lacking() {
    say "$*"
    exit 3
}

has() { command -v "$1" >/dev/null 2>&1; }

# A Docker engine that somebody runs already makes one of our own, and its package, unnecessary.
engine_given() { [ -n "${DOCKER_HOST:-}" ] || [ -S /var/run/docker.sock ]; }

# Prints the packages that running the platform needs and the machine lacks, by Debian's names.
missing_for_running() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    has git || echo git
    has ssh || echo openssh-client
    has haproxy || echo haproxy
    has busybox || echo busybox-static
    if ! engine_given; then
        has dockerd || echo docker.io
        has iptables || echo iptables
    fi
}

# The same for the tests, which start real parts of their own.
missing_for_testing() {
    missing_for_running
    has docker && has dockerd || echo docker.io
    has iptables || echo iptables
    has mariadbd || echo mariadb-server
    has docker-registry || echo docker-registry
    has podman || echo podman
    has ip || echo iproute2
    has tmux || echo tmux
    has buildah || echo buildah
    has node || echo nodejs
    has npm || echo npm
    has chromium || echo chromium
    has nginx || echo nginx
}

# install_packages LISTING_FUNCTION: installs what the function prints.
install_packages() {
    local packages installer=()
    packages=$("$1" | sort -u | tr '\n' ' ')
    [ -n "${packages// /}" ] || return 0
    if ! has apt-get; then
        lacking "this machine lacks: $packages(names of Debian's packages). Install them with the system's package" \
            "manager, then start again."
    fi
    if [ "$(id -u)" != 0 ]; then
        if has sudo && sudo -n true 2>/dev/null; then
            installer=(sudo -n)
        elif has sudo && [ -t 2 ]; then
            installer=(sudo)
        else
            lacking "this machine lacks: $packages. Run as root: apt-get install $packages"
        fi
    fi
    say "installing $packages(the machine lacks them; this takes a minute or two)"
    local log apt
    log=$(mktemp)
    apt=("${installer[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
    # shellcheck disable=SC2086 # a list of package names
    if ! "${apt[@]}" update </dev/null >"$log" 2>&1 || ! "${apt[@]}" install $packages </dev/null >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        lacking "apt-get could not install: $packages. Mend what it says above, or install them by hand."
    fi
    rm -f "$log"
}

require_python() {
    has python3 || lacking "python3 is not installed; install Python 3.11 or newer."
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        lacking "python3 is $(python3 -V 2>&1 | cut -d' ' -f2); this project needs 3.11 or newer."
}

# make_environment run|dev: .venv with the pinned dependencies; does nothing while its inputs are unchanged.
make_environment() {
    local kind=$1 target="$root" stamp
    [ "$kind" = run ] || target="${root}[dev]"
    stamp=$({
        echo "$root"
        python3 -V
        cat "$root/pyproject.toml" "$root/constraints.txt"
    } | sha256sum | cut -d' ' -f1)
    mkdir -p "$root/.venv"
    exec 9>"$root/.venv/.lock"
    flock 9
    if [ "$(cat "$root/.venv/.installed-dev" 2>/dev/null)" != "$stamp" ] &&
        [ "$(cat "$root/.venv/.installed-$kind" 2>/dev/null)" != "$stamp" ]; then
        say "making the Python environment .venv (first start, or dependencies changed)"
        [ -x "$root/.venv/bin/python" ] || python3 -m venv "$root/.venv"
        "$root/.venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-input \
            --constraint "$root/constraints.txt" --editable "$target" </dev/null >&2
        echo "$stamp" >"$root/.venv/.installed-$kind"
    fi
    exec 9>&-
}
