#!/bin/sh
# Proves that a backup can be read back whole: verify-backup.sh [BACKUP] [--target T]; the newest ones if none is named.
set -eu
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
. "$here/find-gaia.sh"

case "${1:-}" in
  -h | --help)
    echo 'verify-backup.sh [BACKUP] [--target T]   exit 0 sound, 7 damaged, 5 no such backup'
    ;;
  '' | -*) run_gaia verify latest "$@" ;;
  *) run_gaia verify "$@" ;;
esac
