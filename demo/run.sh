#!/usr/bin/env bash
# Shows dray with real registries. It starts two registries on loopback and copies an image of dray
# itself, as it was just built, to the first. From there it imports the image to the second under
# two names, re-tags it without moving a byte, and imports it again (nothing to do). At the end it
# shows that an import that would overwrite another image is refused. The script ends everything
# that it started, and leaves only bin/ and dist/.
set -euo pipefail
dray=$(realpath "$1")
image=$2
work=$(mktemp -d)
pids=()
finish() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null && wait "$p" 2>/dev/null || true; done
	rm -rf "$work"
}
trap finish EXIT

bold='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
run() {
	echo "\$ dray $*"
	"$dray" "$@"
}

# The demo has its own configuration. It does not read or change yours.
export HOME=$work XDG_CONFIG_HOME=$work XDG_DATA_HOME=$work XDG_STATE_HOME=$work DOCKER_CONFIG=$work REGISTRY_AUTH_FILE= DRAY_CONFIG=

start() { # start NAME: serves from a new directory, sets $address
	: >"$work/$1.address" # the server, in the background, may open it only after head does
	"$dray" serve --listen 127.0.0.1:0 --data "$work/$1" >"$work/$1.address" 2>"$work/$1.log" &
	pids+=($!)
	for _ in $(seq 100); do
		address=$(head -n 1 "$work/$1.address")
		[ -n "$address" ] && return
		sleep 0.1
	done
	echo "the registry did not start:" >&2
	cat "$work/$1.log" >&2
	exit 1
}

start dev
dev=$address
start prod
prod=$address
mkdir -p "$work/dray"
cat >"$work/dray/config.yaml" <<YAML
registries:
  dev: {host: "$dev", plain-http: true}
  prod: {host: "$prod", plain-http: true}
YAML

say "Two registries are running: dev is $dev, prod is $prod. Copy dray's own image to dev."
run copy "oci:$image:latest" dev/tools/dray:v1
run inspect dev/tools/dray:v1

say "Import it to prod under two names. It is read once, and copied byte for byte."
run import --name prod --source dev/tools/dray:v1 --image dray:v1 --image dray:latest
run ls prod/dray

say "Re-tag it: two requests, and no blob is copied."
run tag prod/dray:v1 stable

say "Import it again: there is nothing to do."
run import --name prod --source dev/tools/dray:v1 --image dray:v1

say "Put another image under the same name in dev, and import it: dray refuses, and prod does not change."
child=$("$dray" inspect -o json dev/tools/dray:v1 | sed -n 's/.*"digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' | sed -n 2p)
run tag "dev/tools/dray@$child" v1
if run import --name prod --source dev/tools/dray:v1 --image dray:v1; then
	echo "dray should have refused this import" >&2
	exit 1
else
	echo "(exit code $?)"
fi
[ "$("$dray" digest prod/dray:v1)" = "$("$dray" digest prod/dray:stable)" ] || { echo "prod was changed" >&2; exit 1; }

say "The demo has succeeded."
