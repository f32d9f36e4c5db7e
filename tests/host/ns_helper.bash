# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For tests of which each has mounts of its own, and a root: as root only, and no lab.
#
#	ns_setup	sm (the path of which is $sm) first in PATH, T for what the test writes, SM_ROOT below it
#	ns_words	words from stdin with which the script of each test begins, after those below
#	ns		run the script on stdin in its own mount namespace
#
# The script stops at the first command that fails, and says which.

ns_root() {
	[ "$(id -u)" -eq 0 ] || skip "not root"
	unshare -m true 2>/dev/null || skip "no mount namespaces here"
}

ns_setup() {
	sm=${SM:-$BATS_TEST_DIRNAME/../../build/bin/sm}

	ns_root
	export PATH=${sm%/*}:$PATH
	export SM_GC=off T=$BATS_TEST_TMPDIR SM_ROOT=$BATS_TEST_TMPDIR/root
	export U=aaaaaaaa-0000-4000-8000-00000000000
	mkdir -p "$SM_ROOT" "$T/sr"
}

ns_words() {
	cat >"$T/prelude" <<-'END'
		set -eEu -o pipefail; [ -z "${TRACE-}" ] || set -x
		trap 'echo "failed: line $LINENO: $BASH_COMMAND" >&2' ERR
		# fails STATUS PATTERN CMD…: that status, and one line on stderr like the pattern
		fails() {
			local want=$1 pattern=$2 status=0
			shift 2
			"$@" >"$T/out" 2>"$T/err" || status=$?
			[ "$status" -eq "$want" ] && [[ $(cat "$T/err") == $pattern ]] && return
			echo "status $status of: $*" >&2
			cat "$T/out" "$T/err" >&2
			return 1
		}
		# is FILTER CMD…: does its document satisfy this jq expression?  (7: it has found something)
		is() {
			local filter=$1
			shift
			"$@" --json >"$T/doc" || [ $? -eq 7 ] || return
			jq -e "$filter" "$T/doc" >/dev/null || { echo "not true: $filter" >&2; cat "$T/doc" >&2; return 1; }
		}
	END
	cat >>"$T/prelude"
}

ns() {
	ns_root
	cat "$T/prelude" - >"$T/script"
	unshare -m bash "$T/script"
}
