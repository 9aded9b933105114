#!/usr/bin/env bash
# A shell job that reports its run: CRONWAX_KAFKA_BOOTSTRAP_SERVERS=localhost:9092 examples/nightly.sh
set -euo pipefail
cronwax=${CRONWAX:-$(dirname -- "${BASH_SOURCE[0]}")/../run.sh}   # or the installed command: CRONWAX=cronwax
guid=$(tr -d - </proc/sys/kernel/random/uuid)   # one guid for all check-ins of a run

report() {
    $cronwax send check-in --project 1 --slug nightly-backup --guid "$guid" --status "$1" --schedule "0 3 * * *"
}

report in_progress
trap 'report error' ERR
sleep 0.1   # the job
trap - ERR
report ok
