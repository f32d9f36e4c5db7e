# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For the tests of sm image: images that other programs made, and what they say about them.

# vectors DIR: unpack both families below DIR.
vectors() {
	local f kind

	for kind in vhd qcow2; do
		mkdir -p "$1/$kind"
		for f in "$BATS_TEST_DIRNAME/../vectors/$kind"/*.xz; do
			xz -dc "$f" | cp --sparse=always /dev/stdin "$1/$kind/$(basename "$f" .xz)"
		done
		cp "$BATS_TEST_DIRNAME/../vectors/$kind/expect" "$1/$kind.expect"
	done
}

# told KIND NAME KEY: what its makers say about an image.
told() {
	sed -n "s/^$2 $3 //p" "$VEC/$1.expect"
}

# each KIND KEY: the names of all images that have such a line.
each() {
	awk -v key="$2" '$2 == key && !seen[$1]++ { print $1 }' "$VEC/$1.expect"
}

# say WHAT GOT WANTED: remember that something is not as it should be.
differs() {
	echo "$1: $2, not $3"
	bad=$((bad + 1))
}

# fails_as STATUS WHY COMMAND...: that exit code, nothing on stdout, one line on stderr with WHY in it.
fails_as() {
	local want=$1 why=$2

	shift 2
	run --separate-stderr "$@"
	if [ "$status" -ne "$want" ] || [ "${#stderr_lines[@]}" -ne 1 ] || [[ "$stderr" != "sm: "*"$why"* ]]; then
		echo "status $status of: $*"
		echo "stdout: $output"
		echo "stderr: $stderr"
		echo "wanted: $want, $why"
		return 1
	fi
}

hash_of() {
	sha256sum <"$1" | cut -d' ' -f1
}
