#!/bin/sh
# The tests of stacks again, with Podman and podman-compose instead of Docker, which is out of sight for them where this
# machine has it: `sh test/fire/with-podman.sh [test files]`. Needs root, podman, podman-compose and unshare(1).
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${HIDDEN:-}" ]; then HIDDEN=1 exec unshare --mount sh "test/fire/$(basename "$0")" "$@"; fi
for program in dockerd rootlesskit; do
  found=$(command -v "$program") || continue
  mount --bind /dev/null "$found"
done
[ $# -gt 0 ] || set -- test/fire/compose.test.ts test/fire/stack.test.ts test/fire/stack-server.test.ts test/fire/drill.test.ts
FIRE_WITH=podman exec npx --no-install node tools/test.ts "$@"
