# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# For the tests of the command line that need neither root nor a kernel device.
# SM names the program, or the folder it is in; without it PATH is searched.
bats_require_minimum_version 1.5.0

cli_setup() {
	local sm=${SM:-$(command -v sm)}

	[ -d "$sm" ] || sm=$(dirname "$sm")
	BIN=$(cd "$sm" && pwd)
	PATH=$BIN:$PATH
	export SM_ROOT=$BATS_TEST_TMPDIR/root SM_GC=off
	mkdir "$SM_ROOT"
	unset NO_COLOR
	# shellcheck disable=SC2034 # for the tests
	UUID=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
}

# smtab_line UUID TYPE NAME KEY=VALUE...: an SR that smtab knows.
smtab_line() {
	mkdir -p "$SM_ROOT/etc"
	(umask 077; echo "$*" >>"$SM_ROOT/etc/smtab")
}

# usage_error WHY COMMAND...: refused with exit code 2, nothing on stdout, and on
# stderr one line that holds WHY and ends with where to read more.
usage_error() {
	local why=$1 line objects

	shift
	run --separate-stderr "$@"
	line=${stderr_lines[0]} objects=$((${#stderr_lines[@]} - 1))
	[[ " $* " != *" --json"* ]] || objects=$((objects - 1))
	if [ "$status" -ne 2 ] || [ -n "$output" ] || [ "$objects" -ne 0 ] ||
	   [[ "$line" != "sm: "*"$why"* || "$line" != *" (try: "*")" ]]; then
		echo "exit $status, stdout: $output"
		echo "stderr: $stderr"
		echo "wanted: $why"
		return 1
	fi
}
