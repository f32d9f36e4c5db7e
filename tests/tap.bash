# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For test scripts that are no bats files:
#
#	ok "sentence" COMMAND ARGUMENT...	one test: the command succeeds
#	skip "sentence" "why"
#	tap_end [STATUS]			the plan, and the exit status
#
# What a failing command said is shown below its "not ok".
set -u
# shellcheck disable=SC2034 # for the scripts that read this one
srctree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
jobs=$(nproc)
tap_n=0 tap_bad=0
export LC_ALL=C
# We are often run by make, which hands its variables down.
unset MAKEFLAGS MFLAGS MAKELEVEL O V W CC CFLAGS LDFLAGS SAN COV CROSS_COMPILE DESTDIR PREFIX

ok() {
	local name=$1 out

	shift
	tap_n=$((tap_n + 1))
	if out=$("$@" 2>&1); then
		echo "ok $tap_n - $name"
	else
		echo "not ok $tap_n - $name"
		tail -n 60 <<<"$out" | sed 's/^/# /'
		tap_bad=1
	fi
}

skip() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1 # skip $2"
}

tap_end() {
	echo "1..$tap_n"
	exit $((tap_bad | ${1:-0}))
}
