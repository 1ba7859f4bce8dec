#!/bin/sh
# Proves that the newest backup of prod comes back, beside what is live: test-restore-prod.sh [--backup B]
set -eu
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
. "$here/find-gaia.sh"

run_gaia drill prod "$@"
