#!/usr/bin/env bash
# Installs object stores for the tests into a directory, and changes nothing else of the system:
# stores.sh DIR STORES AZURITE MOTO FAKEGCS. It prints what it cannot install: its tests skip, and say why.
set -u
dir=$1 stores=,$2, azurite=$3 moto=$4 fakegcs=$5
cannot() { echo "stores: cannot install $1, so its tests are skipped: $2"; }
mkdir -p "$dir" || exit 1

python() {
	[ -x "$dir/python/bin/python3" ] || python3 -m venv "$dir/python" >/dev/null 2>&1 || {
		rm -rf "$dir/python"
		cannot "$*" "python3 with venv is missing (Debian: python3-venv)"
		return
	}
	"$dir/python/bin/python3" -m pip install -q --disable-pip-version-check "$@" || cannot "$*" "pip failed"
}
case $stores in *,s3,*) python "$moto" flask flask-cors ;; esac
case $stores in *,gcs,*) python "$fakegcs" ;; esac
case $stores in *,azure,*)
	if command -v npm >/dev/null; then
		npm install --silent --no-audit --no-fund --prefix "$dir/npm" "$azurite" || cannot "$azurite" "npm failed"
	else
		cannot "$azurite" "npm is missing (Debian: npm)"
	fi
	;;
esac
exit 0
