#!/usr/bin/env bash
# Runs dray against one of your registries: smoke.sh DRAY REGISTRY. REGISTRY is a host or the name
# of a registry in your configuration. It may have a path below which you may push (ghcr.io/you).
# The script uses your login: run dray login before. It only uses repositories named
# dray-smoke-RANDOM, and removes what it pushed at the end. SMOKE_SOURCE names another image to
# import. If the source cannot be read, the script uses dray's own image from dist/image.
set -euo pipefail
[ $# -eq 2 ] && [ -n "$2" ] || { echo "usage: smoke.sh DRAY REGISTRY   (make smoke REGISTRY=registry.example)" >&2; exit 2; }
dray=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
registry=${2%/}
source=${SMOKE_SOURCE:-docker.io/library/hello-world:latest}
first=${registry%%/*}
case $first in
*.* | *:* | localhost) ;;
*) "$dray" config show -o tsv | cut -f1 | grep -q "^registries\.$first\." ||
	{ echo "smoke.sh: $first is neither a host nor the name of a registry in your configuration" >&2; exit 2; } ;;
esac

one=$registry/dray-smoke-$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
two=$one-copy
say() { printf '\n# %s\n' "$*"; }
run() {
	echo "\$ dray $*"
	"$dray" "$@"
}

left=()
clean() {
	code=$?
	trap - EXIT
	say "Clean up: remove what was pushed, with its tags."
	for image in ${left[@]+"${left[@]}"}; do
		# Removing an index does not remove its children, so these are removed separately.
		children=$("$dray" manifest show "$image" --query 'manifests[].digest' -o tsv 2>/dev/null) || continue # the push failed
		for digest in ${image##*@} $children; do
			run rm --manifest --yes "${image%@*}@$digest" || { echo "smoke.sh: ${image%@*}@$digest could not be removed: remove it yourself" >&2; code=1; }
		done
	done
	[ "$code" = 0 ] && say "The test has succeeded." || say "The test has failed (exit code $code)."
	exit "$code"
}
same() { # same IMAGE DIGEST
	got=$("$dray" digest "$1")
	[ "$got" = "$2" ] || { echo "smoke.sh: $1 is $got, expected $2" >&2; exit 1; }
	echo "$1 is $got"
}

if ! digest=$("$dray" digest --max-wait 10s --retries 1 "$source" 2>/dev/null); then
	layout=$(dirname "$dray")/../dist/image
	[ -e "$layout/index.json" ] || { echo "smoke.sh: $source cannot be read; run make image to build an image to use instead" >&2; exit 1; }
	echo "$source cannot be read: using dray's own image instead"
	source=oci:$(realpath "$layout"):latest
	digest=$("$dray" digest "$source")
fi
trap clean EXIT

say "Import $source under two names. It is read once."
left+=("$one@$digest")
case $source in
oci:*) run copy "$source" "$one:v1" "$one:latest" ;;
*) run import --source "$source" --image "$one:v1" --image "$one:latest" ;;
esac
same "$one:v1" "$digest"
same "$one:latest" "$digest"

say "Import it again: there is nothing to do."
case $source in
oci:*) run copy "$source" "$one:v1" ;;
*) run import --source "$source" --image "$one:v1" ;;
esac

say "Re-tag it: no blob is copied."
run tag "$one:v1" stable
same "$one:stable" "$digest"

say "Copy it within the registry: blobs are mounted if the registry supports it."
left+=("$two@$digest")
run copy "$one:v1" "$two:v1"
same "$two:v1" "$digest"

say "Show what the registry has now."
run ls "$one"
run inspect "$two:v1"
