#!/bin/sh
# The tests of stacks again, with Docker's compose 2 instead of 1.29: `sh test/fire/with-compose-2.sh [test files]`. Debian 12
# has none, so the plugin is taken out of Debian 13's package, from the mirror that this machine uses. Needs root.
set -eu
cd "$(dirname "$0")/../.."
# What a killed run has left.
plugin=/usr/local/lib/docker/cli-plugins/docker-compose
if [ -e "$plugin.leveredge-test" ]; then rm -f "$plugin" "$plugin.leveredge-test"; fi
if docker compose version >/dev/null 2>&1; then
  echo 'compose 2 is installed here: the other tests use it already'
  exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | grep -v security | head -1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$folder/sources.list"
set_apart="-o Dir::Etc::SourceList=$folder/sources.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=$folder/lists -o Dir::Cache=$folder/cache -o APT::Sandbox::User=root"
if ! { (cd "$folder" && apt-get $set_apart update -qq && apt-get $set_apart download -qq docker-compose) >"$folder/log" 2>&1; }; then
  echo 'NOT RUN: stacks with compose 2, which the mirror of this machine does not give:'
  tail -3 "$folder/log"
  exit 0
fi
dpkg-deb --extract "$folder"/docker-compose_*.deb "$folder/package"
[ $# -gt 0 ] || set -- test/fire/compose.test.ts test/fire/stack.test.ts test/fire/stack-server.test.ts test/fire/drill.test.ts
FIRE_WITH="$folder/package/usr/libexec/docker/cli-plugins/docker-compose" npx --no-install node tools/test.ts "$@"
