#!/usr/bin/env bash
# One command for everything; `./run.sh help` lists them.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
venv=$root/.venv
python=$venv/bin/python
run_lock=$root/requirements.txt
dev_lock=$root/requirements-dev.txt
stamp=$venv/cronwax-setup.txt
supported="Python 3.11 or 3.12"

usage() {
    printf 'usage: ./run.sh [COMMAND [ARGUMENTS]]\n\n  (none)                 set up, and run the demo\n'
    cat -- "$root/cronwax/usage.txt"
    cat <<'EOT'

For developers:
  setup                  only prepare the virtual environment in .venv, with what a run needs; the commands
                         below add what development needs
  test [PYTEST ARGS]     lint, types and tests; with arguments only pytest with those
  lint                   ruff, the rules of who imports whom, and the length of files
  format                 format, and fix what ruff can fix
  types                  mypy
  mutants [PATTERN ...]  change the rules in thousands of small ways, and count how many of these no test notices (takes
                         hours; a pattern such as '*mutmut_*3' or 'dataflow.monitors.missed.*' takes a part of them)
  reference              make docs/reference/ from the code again
  lock                   renew requirements*.txt from pyproject.toml (needs uv)

CRONWAX_PYTHON names the interpreter to set up with (Python 3.11 or 3.12). Relative paths start where you are; data is
in this folder's data/ unless --data-dir or CRONWAX_DATA_DIR says otherwise.
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
        [[ -n $version ]] || die "CRONWAX_PYTHON: '$CRONWAX_PYTHON' cannot be run"
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

# What must be unchanged for the environment to be used as it is: it stands where it was made, with what the lock $1
# says, and with the interpreter asked for, if one is.
is_made_from() {
    [[ -x $python && -f $stamp ]] || return 1
    stamp_of "$1" | cmp -s - "$stamp" || return 1
    [[ -z ${CRONWAX_PYTHON:-} ]] || [[ $(version_of "$CRONWAX_PYTHON") == "$(version_of "$python")" ]]
}

stamp_of() {
    printf '%s\n' "$root"
    cat -- "$1"
}

# `set_up run` prepares what Cronwax needs to run, `set_up dev` also what develops it. The lock for development holds
# the other one's versions: an environment made from it runs Cronwax too, and one made to run only lacks packages.
set_up() {
    local uv lock=$run_lock
    [[ $1 == run ]] || lock=$dev_lock
    if is_made_from "$dev_lock" || is_made_from "$lock"; then
        return
    fi
    uv=$(command -v uv || true)
    if is_made_from "$run_lock" && can_install; then
        printf 'cronwax: adding what development needs to %s, once\n' "$venv" >&2
    else
        make_venv
    fi
    install_from "$lock"
    stamp_of "$lock" >"$stamp"
}

# Whether packages can be added to the environment that is there: uv makes one without pip, and may be gone since.
can_install() {
    [[ -n $uv ]] || "$python" -m pip --version >/dev/null 2>&1
}

make_venv() {
    local base
    find_python
    printf 'cronwax: preparing %s, once\n' "$venv" >&2
    if [[ -n $uv ]]; then
        uv venv --quiet --clear --python "$base" "$venv" ||
            die "uv could not make $venv with Python $base (see above); Cronwax needs $supported"
    else
        "$base" -m venv --clear "$venv" || die "$base could not make $venv (see above)"
    fi
}

# The lock is complete, so that nothing has to be resolved. Modules are compiled when they are first imported: most
# of what comes with the packages never is.
install_from() {
    if [[ -n $uv ]]; then
        uv pip sync --quiet --python "$python" --require-hashes "$1" || die_without_packages
    else
        "$python" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes \
            -r "$1" || die_without_packages
    fi
}

die_without_packages() {
    die "the packages could not be installed (see above). Is the package index within reach?"
}

lint() {
    "$python" -m ruff check .
    "$python" -m ruff format --check .
    "$venv/bin/lint-imports" --no-cache --no-logo
    no_long_files
}

test_mutants() {
    rm -rf -- "$root/mutants"
    "$venv/bin/mutmut" run --max-children "$(nproc)" "$@"
    "$python" -m tests.mutants
}

# A file that needs a table of contents is two files.
no_long_files() {
    find . -path './.*' -prune -o -path ./build -prune -o -path ./mutants -prune -o -name '*.py' -exec \
        awk 'FNR == 401 { print FILENAME ": more than 400 lines"; bad = 1 } END { exit bad }' {} +
}

check_everything() {
    timed lint lint
    timed types "$python" -m mypy
    # In the order of tests/conftest.py; three workers more than there are cores, as tests of Kafka mostly wait.
    timed tests "$python" -m pytest -n "$(($(nproc) + 3))"
}

# Run a command, and say how long it took.
timed() {
    local name=$1 began=$SECONDS
    shift
    "$@"
    printf '%s: %d s\n' "$name" $((SECONDS - began))
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

# Everything but the developer's commands is the command `cronwax`: run from where it was typed, with the data of this
# checkout unless something else is said.
hand_over() {
    export CRONWAX_PROGRAM=$0 PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
    [[ $PWD -ef $root || -n ${CRONWAX_DATA_DIR:-} ]] || export CRONWAX_DATA_DIR=$root/data
    exec "$python" -P -m cronwax "$@"
}

# A developer's command works on the checkout, wherever it was typed.
develop() {
    local command=$1
    shift
    if [[ ${1:-} == -h || ${1:-} == --help ]] && [[ $command != test ]]; then
        usage
        return
    fi
    cd -- "$root"
    if [[ $command == lock ]]; then
        renew_lock
        return
    fi
    if [[ $command == setup ]]; then
        set_up run
    else
        set_up dev
    fi
    case $command in
        setup) printf 'cronwax: ready; %s is in %s\n' "$("$python" --version)" "$venv" ;;
        test) if [[ $# -gt 0 ]]; then exec "$python" -m pytest "$@"; else check_everything; fi ;;
        lint) lint ;;
        format) "$python" -m ruff check --fix --quiet . && exec "$python" -m ruff format . ;;
        types) exec "$python" -m mypy ;;
        mutants) test_mutants "$@" ;;
        reference) exec "$python" -m cronwax.reference ;;
    esac
}

main() {
    case ${1:-demo} in
        help | -h | --help) usage ;;
        setup | test | lint | format | types | mutants | reference | lock) develop "$@" ;;
        bench)
            set_up dev
            hand_over "$@"
            ;;
        *)
            set_up run
            hand_over "${@:-demo}"
            ;;
    esac
}

main "$@"
