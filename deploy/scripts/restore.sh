#!/bin/sh
# A door to GAIA for those who know these words: list, verify, restore, health, full, --full --latest.
set -eu
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
. "$here/find-gaia.sh"

usage() {
  cat <<'TEXT'
restore.sh list [--target T]         the backups there are
restore.sh verify [BACKUP]           prove that one can be read back; the newest ones if none is named
restore.sh restore TARGET [...]      put the newest backup (or --backup B) in the place of what is there
restore.sh full                      the same for every target, also as: restore.sh --full --latest
restore.sh health                    whether targets, databases and endpoints are well

It hands all of it to gaia; more in: gaia help
TEXT
}

verb=${1:-}
[ "$#" -gt 0 ] && shift
case "$verb" in
  list | health) run_gaia "$verb" "$@" ;;
  verify)
    case "${1:-}" in
      '' | -*) run_gaia verify latest "$@" ;;
      *) run_gaia verify "$@" ;;
    esac
    ;;
  restore) run_gaia restore "$@" ;;
  full) run_gaia restore full "$@" ;;
  --full)
    # The newest is what is taken anyhow.
    if [ "${1:-}" = --latest ]; then shift; fi
    run_gaia restore full "$@"
    ;;
  '' | help | -h | --help) usage ;;
  *)
    echo "restore.sh: there is no $verb here." >&2
    usage >&2
    exit 2
    ;;
esac
