#!/bin/sh
# Proves that the newest backup of control-plane comes back, beside what is live: test-restore-control.sh [--backup B]
set -eu
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
. "$here/find-gaia.sh"

run_gaia drill control-plane "$@"
