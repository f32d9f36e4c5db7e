#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# run.sh [-b BUILD] [-j N] [--tap-dir DIR] FILE.bats...
#
# Run test files that use the lab, N (2) at a time, against BUILD/bin/smbox.
# The TAP of each goes to DIR/NAME.tap as it comes (DIR is BUILD/lab/tap when
# not given).  Printed are the tests that failed, and a last line
#
#	N passed, N failed, N skipped
#
# The status is 0 if none failed.  Where the lab does not start, every test
# counts as skipped, or with CI=true as failed.  However this ends, even by
# SIGKILL, no process, directory or shared memory is left behind.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${SM_BUILD:-$here/../../build} jobs=2 tap=

while [ $# -gt 0 ]; do
	case $1 in
	-b) build=$2; shift ;;
	-j) jobs=$2; shift ;;
	--tap-dir) tap=$2; shift ;;
	--) shift; break ;;
	-*) sed -n '4,15s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || { echo "usage: run.sh [-b BUILD] [-j N] [--tap-dir DIR] FILE.bats..." >&2; exit 2; }

mkdir -p "$build"
SM_BUILD=$(cd "$build" && pwd)
LAB_TOOLS=$SM_BUILD/lab
tap=${tap:-$LAB_TOOLS/tap}
mkdir -p "$tap"
export SM_BUILD LAB_TOOLS

# --- one file -------------------------------------------------------------

tests_in() {
	sed -n -e 's/^[[:space:]]*@test  *"\([^"]*\)".*/\1/p' \
		-e "s/^[[:space:]]*@test  *'\([^']*\)'.*/\1/p" "$1"
}

# Every test of a file with the same result: "not ok" or "ok", and why.
all_the_same() {
	local file=$1 result=$2 why=$3 name n=0

	echo "1..$(tests_in "$file" | wc -l)"
	while IFS= read -r name; do
		if [ "$result" = ok ]; then
			echo "ok $((++n)) $name # skip $why"
		else
			echo "not ok $((++n)) $name"
			echo "# $why"
		fi
	done < <(tests_in "$file")
}

# bats says "1..9" and then nothing of the tests after a failed setup_file;
# what was promised and not reported has failed.
complete() {
	local want have n

	want=$(sed -n 's/^1\.\.//p' "$1")
	have=$(grep -cE '^(not )?ok ' "$1")
	for ((n = have + 1; n <= ${want:-1}; n++)); do
		echo "not ok $n (did not run)" >>"$1"
	done
}

run_file() {
	local file=$1 out=$2 dir

	dir=$(mktemp -d "$work/XXXXXX")
	# The leash outlives us if need be, and takes everything of the file along.
	LAB_BASE=$dir TMPDIR=$dir exec "$LAB_TOOLS/bin/leash" -r "$dir" -p "$work" $$ \
		bats --tap --timing "$file" </dev/null >"$out" 2>&1
}

# --- all of them ----------------------------------------------------------

declare -A running=()

stop_all() {
	trap '' INT TERM HUP
	[ ${#running[@]} -eq 0 ] || kill "${!running[@]}" 2>/dev/null
	wait
	rm -rf "$work"
}

# Wait for one to end.
reap_one() {
	local pid

	wait -n -p pid "${!running[@]}"
	complete "${running[$pid]}"
	unset "running[$pid]"
}

# shellcheck source=tests/helpers/lab.bash
. "$here/../helpers/lab.bash"

broken=
if ! message=$("$here/build.sh" "$LAB_TOOLS" 2>&1); then
	broken="no lab: ${message##*$'\n'}"
else
	base=$(_lab_base)
	work=$(mktemp -d "$base/smrun.XXXXXX")
	trap 'stop_all; exit 130' INT
	trap 'stop_all; exit 143' TERM HUP
	trap stop_all EXIT
	# shellcheck disable=SC2119
	if ! message=$(LAB_MUST=1 LAB_BASE=$work CI='' lab_start 2>&1 && lab_stop); then
		broken="no lab: ${message//$'\n'/; }"
	fi
fi

for file; do
	out=$tap/$(basename "$file" .bats).tap
	if [ -n "$broken" ]; then
		all_the_same "$file" "$([ "${CI-}" = true ] && echo not ok || echo ok)" "$broken" >"$out"
		continue
	fi
	while [ ${#running[@]} -ge "$jobs" ]; do
		reap_one
	done
	run_file "$file" "$out" &
	running[$!]=$out
done
while [ ${#running[@]} -gt 0 ]; do
	reap_one
done

# --- what came out --------------------------------------------------------

passed=0 failed=0 skipped=0
for file; do
	out=$tap/$(basename "$file" .bats).tap
	n=$(grep -c '^not ok ' "$out")
	s=$(grep -cE '^ok .* # skip' "$out")
	p=$(($(grep -c '^ok ' "$out") - s))
	if [ "$n" -gt 0 ]; then
		echo "== $file: $n failed (all of it in $out)"
		awk '/^(not )?ok /{ show = /^not ok / } show' "$out"
	fi
	passed=$((passed + p)) failed=$((failed + n)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
