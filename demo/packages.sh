#!/usr/bin/env bash
# Installs the missing ones of the given Debian packages, which tests use. Without root or apt it
# prints the missing packages: their tests skip, and say why.
set -u
missing=()
for p in "$@"; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "packages: these are not installed, so their tests are skipped: ${missing[*]}"
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >/dev/null 2>&1 || echo "packages: cannot refresh the package lists"
for p in "${missing[@]}"; do
	# The tests start registries themselves, on loopback. A package must not start its own.
	RUNLEVEL=1 apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$p" >/dev/null 2>&1 || echo "packages: cannot install $p, so its tests are skipped"
done
exit 0
