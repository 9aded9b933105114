#!/usr/bin/env bash
# One command for everything; `./run.sh help` lists them.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
started_in=$PWD
venv=$root/.venv
python=$venv/bin/python
lock=$root/requirements-dev.txt
stamp=$venv/cronwax-setup.txt
supported="Python 3.11 or 3.12"

usage() {
    cat <<'EOT'
usage: ./run.sh [COMMAND [ARGUMENTS]]

  (none)                 set up, and run the flow on the demo: a simulated day of check-ins
  setup                  only prepare the virtual environment in .venv
  run [BYTEWAX ARGS]     run the flow with your own CRONWAX_ settings, e.g. run -w 2
  recovery DIR PARTS     make a recovery store, once; then: run -r DIR -s 10 -b 60
  recovery DIR           pack the files of one that is there, while no flow runs on it
  sql [QUESTION]         ask the published DuckDB by SQL, or by name: sql status; without one, a prompt
  report [--out FILE]    write one HTML page about the published snapshot
  test [PYTEST ARGS]     lint, types and tests; with arguments only pytest with those
  lint                   ruff, the rules of who imports whom, and the length of files
  format                 let ruff format and mend what it can
  types                  mypy
  reference              make docs/reference/ from the code again
  bench [NAME...]        run the benchmarks
  kafka                  a Kafka broker on this machine, for development
  send [ARGUMENTS]       send check-ins to Kafka
  tail [ARGUMENTS]       follow the messages that the flow sends to Kafka
  lock                   renew requirements*.txt from pyproject.toml (needs uv)
  help                   this list

CRONWAX_PYTHON names the interpreter to set up with (Python 3.11 or 3.12).
Paths in settings and of sql and report are relative to where you are; paths in Bytewax's arguments, and the
recovery store's, to the project's folder.
EOT
}

die() {
    printf 'cronwax: %s\n' "$1" >&2
    exit "${2:-1}"
}

# Print "3.11" for an interpreter, nothing for what cannot run: a version manager's shim may stand for no Python.
version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

is_supported() {
    [[ $1 == 3.11 || $1 == 3.12 ]]
}

# Whether an interpreter can make a virtual environment with pip in it; uv needs neither module.
can_make_venv() {
    [[ -n $uv ]] || "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# Set `base` to an interpreter, or to a version for uv to look for or fetch.
find_python() {
    local candidate version found="" bare=""
    if [[ -n ${CRONWAX_PYTHON:-} ]]; then
        version=$(version_of "$CRONWAX_PYTHON")
        [[ -n $version ]] || die "CRONWAX_PYTHON: '$CRONWAX_PYTHON' is no Python that runs"
        is_supported "$version" || die "Cronwax needs $supported; CRONWAX_PYTHON is $version"
        can_make_venv "$CRONWAX_PYTHON" || die_without_venv "$CRONWAX_PYTHON" "$version"
        base=$CRONWAX_PYTHON
        return
    fi
    for candidate in python3.11 python3.12 python3 python; do
        version=$(version_of "$candidate")
        if ! is_supported "$version"; then
            found=${found:-$version}
        elif can_make_venv "$candidate"; then
            base=$candidate
            return
        else
            bare=${bare:-"$candidate $version"}
        fi
    done
    [[ -z $bare ]] || die_without_venv "${bare% *}" "${bare#* }"
    if [[ -n $uv ]]; then
        base=3.12
        return
    fi
    die "Cronwax needs $supported; found ${found:-no Python}. Install one, or uv, which fetches it"
}

die_without_venv() {
    die "$1 has no venv or ensurepip module; install it (Debian, Ubuntu: apt install python$2-venv), or uv"
}

# What must be unchanged for the environment to be used as it is: it stands where it was made, with what the lock
# says, and with the interpreter asked for, if one is.
is_set_up() {
    [[ -x $python && -f $stamp ]] || return 1
    { printf '%s\n' "$root" && cat "$lock"; } | cmp -s - "$stamp" || return 1
    [[ -z ${CRONWAX_PYTHON:-} ]] || [[ $(version_of "$CRONWAX_PYTHON") == "$(version_of "$python")" ]]
}

set_up() {
    local base uv
    is_set_up && return
    uv=$(command -v uv || true)
    find_python
    printf 'cronwax: preparing %s, once\n' "$venv" >&2
    if [[ -n $uv ]]; then
        uv venv --quiet --clear --python "$base" "$venv" ||
            die "uv could not make $venv with Python $base (see above); Cronwax needs $supported"
        uv pip sync --quiet --python "$python" --require-hashes "$lock" || die_without_packages
    else
        "$base" -m venv --clear "$venv" || die "$base could not make $venv (see above)"
        "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" ||
            die_without_packages
    fi
    { printf '%s\n' "$root" && cat "$lock"; } >"$stamp"
}

die_without_packages() {
    die "the packages could not be installed (see above). Is the package index within reach?"
}

# Commands run in the project's folder, wherever they were typed: what settings say is meant from there.
anchor_paths() {
    local name
    for name in CRONWAX_CHECKINS_PATH CRONWAX_DATA_DIR CRONWAX_PROJECTS_PATH CRONWAX_KAFKA_CONFIG_FILE; do
        if [[ -n ${!name:-} && ${!name} != /* ]]; then
            export "$name=$started_in/${!name}"
        fi
    done
}

demo() {
    # Another source may never end; then signals must reach the flow itself.
    [[ ${CRONWAX_SOURCE:-demo} == demo ]] || exec "$python" -m bytewax.run dataflow:flow
    "$python" -m bytewax.run dataflow:flow
    cat <<'EOT'
then: ./run.sh sql for a prompt, ./run.sh test for the tests, ./run.sh help for everything else
EOT
}

lint() {
    "$python" -m ruff check .
    "$python" -m ruff format --check .
    "$venv/bin/lint-imports" --no-cache --no-logo
    no_long_files
}

# A file that needs a table of contents is two files.
no_long_files() {
    # transition.py: to go, its rules are on their way to dataflow/monitors.
    find . -path './.*' -prune -o -path ./build -prune -o -name '*.py' -not -path '*/steps/transition.py' -exec \
        awk 'FNR == 401 { print FILENAME ": more than 400 lines"; bad = 1 } END { exit bad }' {} +
}

check_everything() {
    lint
    "$python" -m mypy
    exec "$python" -m pytest
}

renew_lock() {
    command -v uv >/dev/null || die "lock needs uv"
    compile_lock requirements-dev.txt --upgrade --group dev
    compile_lock requirements.txt --upgrade --constraint requirements-dev.txt
}

# Versions for every platform and both Pythons, with hashes, and no word of where they come from.
compile_lock() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
        --no-emit-find-links --custom-compile-command "./run.sh lock" --output-file "$1" "${@:2}" pyproject.toml
}

main() {
    local command=${1:-demo}
    [[ $# -eq 0 ]] || shift
    case $command in
        help | -h | --help) usage && return ;;
        demo | setup | run | recovery | sql | report | test | lint | format | types | bench | kafka | send | tail | reference | lock) ;;
        *) die "there is no command '$command'; ./run.sh help lists them" 2 ;;
    esac
    anchor_paths
    cd -- "$root"
    if [[ $command == lock ]]; then
        renew_lock
        return
    fi
    set_up
    case $command in
        setup) printf 'cronwax: ready; %s is in %s\n' "$("$python" --version)" "$venv" ;;
        demo) demo ;;
        run) exec "$python" -m bytewax.run dataflow:flow "$@" ;;
        sql) run_where_typed state.ask.query "$@" ;;
        report) run_where_typed state.report "$@" ;;
        test) if [[ $# -gt 0 ]]; then exec "$python" -m pytest "$@"; else check_everything; fi ;;
        lint) lint ;;
        format) "$python" -m ruff check --fix --quiet . && exec "$python" -m ruff format . ;;
        types) exec "$python" -m mypy ;;
        reference) exec "$python" -m cronwax.reference ;;
        bench) exec "$python" -m benchmarks "$@" ;;
        kafka) exec "$python" -m cronwax.devtools.kafka_broker run "$@" ;;
        recovery | send | tail) exec "$python" -m "cronwax.commands.$command" "$@" ;;
    esac
}

# Run a module whose options name files: they are meant from where the command was typed.
run_where_typed() {
    if [[ $started_in != "$root" ]]; then
        export CRONWAX_DATA_DIR=${CRONWAX_DATA_DIR:-$root/data}
        cd -- "$started_in"
    fi
    PYTHONPATH=$root exec "$python" -P -m "$@"
}

main "$@"
