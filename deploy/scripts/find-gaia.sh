# shellcheck shell=sh disable=SC2154
# Sourced by the scripts beside it, which say in $here where that is. run_gaia hands over to GAIA, wherever it is.
# Looked for: $GAIA, beside this script, dist/ of a checkout, the PATH, /usr/local/bin; an executable first, then gaia.mjs.

run_gaia() {
  for gaia in "${GAIA:-}" "$here/gaia" "$here/../../dist/gaia" "$(command -v gaia 2>/dev/null)" /usr/local/bin/gaia; do
    if [ -n "$gaia" ] && [ -f "$gaia" ] && [ -x "$gaia" ]; then exec "$gaia" "$@"; fi
  done
  for file in "$here/gaia.mjs" "$here/../../dist/gaia.mjs" "$here/../../bin/gaia.mjs" /usr/local/lib/gaia.mjs; do
    if [ -f "$file" ] && command -v node >/dev/null 2>&1; then exec node "$file" "$@"; fi
  done
  echo "$(basename "$0"): GAIA is not here. Put gaia (or gaia.mjs, with Node 26) beside this script or into /usr/local/bin," >&2
  echo "  or say where it is: GAIA=/path/to/gaia $0 …" >&2
  echo "  Without it a backup can be restored by hand: RESTORE.txt in each archive says how." >&2
  exit 5
}
