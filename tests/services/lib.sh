# shellcheck shell=bash
# What `up`, `down` and tests/run share: one directory per set of services, the processes in it, how a set is stopped,
# and how Debian packages are installed.
#
# A set of services is one temporary directory ($dir) that holds
#   owner        "checkout PATH" (a developer's, started by hand) or "run PID" (of one tests/run)
#   exports      the lines to eval, written when everything answers
#   NAME.pid     of each process; every process names $dir in its arguments, so that a reused pid is never mistaken
#   NAME.log     what it printed; moved to the cache when the set is stopped
#   compose      the project's name, where Docker runs the services

services=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$services/../.." && pwd)
cache=${AUREN_TEST_CACHE:-$services/.cache}

say() { printf 'tests: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

can_install() { [[ $EUID == 0 ]] && command -v apt-get >/dev/null; }

install_packages() { # PACKAGE...
    local log=$cache/logs/apt.log
    mkdir -p "$cache/logs"
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    if ! {
        apt-get update -q && apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
    } >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        fail "apt-get could not install $*"
    fi
}

# The owner that `up` and `down` act for, from their arguments.
owner_from() {
    case "${1-} ${2-}" in
    " ") echo "checkout $root" ;;
    "--owner "[0-9]*) echo "run $2" ;;
    *) fail "usage: $(basename "$0") [--owner PID]" ;;
    esac
}

# Every set of services of this user, as directories.
all_sets() {
    local set
    for set in "${TMPDIR:-/tmp}"/auren-services.*; do
        if [[ -O $set && -f $set/owner ]]; then echo "$set"; fi
    done
}

sets_of() { # OWNER
    local set
    for set in $(all_sets); do
        if [[ $(<"$set/owner") == "$1" ]]; then echo "$set"; fi
    done
}

# What a process was started with; nothing if it has ended (a dead process that nobody has collected has no arguments).
arguments_of() { # PID
    { tr '\0' ' ' <"/proc/$1/cmdline" || ps -o args= -p "$1"; } 2>/dev/null || true
}

# Is the process that NAME.pid tells of still running, and still ours?
alive() { # SET NAME
    [[ -f $1/$2.pid && $(arguments_of "$(<"$1/$2.pid")") == *"$1"* ]]
}

# A run that was killed with -9 could not stop its services; the next one does it.
stop_abandoned() {
    local set owner
    for set in $(all_sets); do
        owner=$(<"$set/owner")
        if [[ $owner == "run "* ]] && [[ -z $(arguments_of "${owner#run }") ]]; then
            say "stopping what a killed run left behind in $set"
            stop_set "$set"
        fi
    done
}

# Stops everything of a set and removes its data. Nothing in it outlives the run, so nothing is asked to close its
# files: SIGKILL is quick, and cannot hang on a ZooKeeper that went first.
stop_set() { # SET
    local set=$1 file name deadline
    if [[ -f $set/compose ]]; then
        docker compose -f "$root/docker/compose.yaml" -p "$(<"$set/compose")" --profile zookeeper down -v -t 0 >&2 || true
    fi
    for file in "$set"/*.pid; do
        name=$(basename "$file" .pid)
        deadline=$((SECONDS + 10))
        while alive "$set" "$name"; do
            kill -KILL "$(<"$file")" 2>/dev/null || true
            ((SECONDS < deadline)) || fail "$name (pid $(<"$file")) cannot be stopped"
            sleep 0.05
        done
    done
    mkdir -p "$cache/logs"
    mv -f "$set"/*.log "$cache/logs/" 2>/dev/null || true
    rm -rf "$set"
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The first free port from FIRST on that was not handed out before, into the variable VARIABLE.
taken_ports=" "
take_port() { # VARIABLE FIRST
    local port=$2
    while [[ $taken_ports == *" $port "* ]] || listening "$port"; do
        port=$((port + 1))
        ((port < $2 + 90)) || fail "no free port between $2 and $port"
    done
    taken_ports+="$port "
    printf -v "$1" %s "$port"
}
