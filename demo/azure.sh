#!/usr/bin/env bash
# Installs today's az and Azure's SDKs for registries into a directory, for the tests, and changes nothing else of the
# system: azure.sh DIR AZ PYTHON JAVASCRIPT IDENTITY JAVA. It prints what it cannot install: its tests skip, and say why.
set -u
dir=$1 az=$2 python=$3 javascript=$4 identity=$5 java=$6
cannot() { echo "azure: cannot install $1, so its tests are skipped: $2"; }
mkdir -p "$dir" || exit 1

# installed TARGET VERSIONS says whether TARGET was installed with these versions; note TARGET VERSIONS notes it.
installed() { [ -e "$1" ] && [ "$(cat "$dir/.$(basename "$1")" 2>/dev/null)" = "$2" ]; }
note() { printf '%s' "$2" >"$dir/.$(basename "$1")"; }

if ! installed "$dir/python" "$az $python"; then
	rm -rf "$dir/python"
	if python3 -m venv "$dir/python" >/dev/null 2>&1; then
		if "$dir/python/bin/python3" -m pip install -q --disable-pip-version-check "$az" "$python"; then
			note "$dir/python" "$az $python"
		else
			rm -rf "$dir/python"
			cannot "$az $python" "pip failed"
		fi
	else
		rm -rf "$dir/python"
		cannot "$az $python" "python3 with venv is missing (Debian: python3-venv)"
	fi
fi
if ! installed "$dir/js" "$javascript $identity"; then
	rm -rf "$dir/js"
	if ! command -v npm >/dev/null; then
		cannot "$javascript" "npm is missing (Debian: npm)"
	elif npm install --silent --no-audit --no-fund --prefix "$dir/js" "$javascript" "$identity"; then
		note "$dir/js" "$javascript $identity"
	else
		rm -rf "$dir/js"
		cannot "$javascript" "npm failed"
	fi
fi
if ! installed "$dir/java" "$java"; then
	rm -rf "$dir/java"
	pom=$(mktemp -d)
	IFS=: read -r group artifact version <<<"$java"
	cat >"$pom/pom.xml" <<-END
		<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
		<groupId>dray</groupId><artifactId>clients</artifactId><version>1</version>
		<dependencies><dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency></dependencies>
		</project>
	END
	if ! command -v mvn >/dev/null; then
		cannot "$java" "mvn is missing (Debian: maven)"
	elif mvn -q -B -Dstyle.color=never -f "$pom/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/java" >/dev/null; then
		note "$dir/java" "$java"
	else
		rm -rf "$dir/java"
		cannot "$java" "mvn failed"
	fi
	rm -rf "$pom"
fi
exit 0
