#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The lab's runner: what it reports, and that it leaves nothing behind.
# shellcheck disable=SC2016,SC2030,SC2031

setup_file() {
	load helpers/lab
	bash "$LAB_SRC/build.sh" "$SM_BUILD/lab"
}

setup() {
	load helpers/lab
	base=$BATS_TEST_TMPDIR/base
	mkdir "$base"
	marker=$BATS_TEST_TMPDIR/marker
	file=$BATS_TEST_TMPDIR/some.bats
	tap=$BATS_TEST_TMPDIR/tap
	PATH=${PATH//"$BATS_LIBEXEC:"/}		# where another bats is not to look
}

# As CI does it: no terminal, no stdin, no HOME, nothing of this bats.
runner() {
	env -i PATH="$PATH" CI="${CI_IS-true}" LAB_BASE="$base" marker="$marker" \
		"$@" "$LAB_SRC/run.sh" -b "$SM_BUILD" --tap-dir "$tap" "$file" </dev/null
}

# A test file from stdin; TEST stands for @test, which bats would take as ours.
bats_file() {
	{
		echo "load $LAB_SRC/../helpers/lab"
		echo "setup_file() { ${1:-lab_start}; }"
		echo 'teardown_file() { lab_stop; }'
		sed 's/^TEST/@test/'
	} >"$file"
}

gone_in() {
	local tries

	for ((tries = $1 * 10; tries > 0; tries--)); do
		[ -n "$(ls -A "$base")" ] || pgrep -f "$base" >/dev/null || return 0
		sleep 0.1
	done
	ls -AR "$base"
	pgrep -af "$base"
	return 1
}

@test "what passed, failed and was skipped is counted, failures are shown" {
	bats_file <<-'E'
	TEST "one" { guest_ok 'true'; }
	TEST "two" { guest_ok 'echo seen; false'; }
	TEST "three" { skip "no reason"; }
	E
	run -1 runner
	[ "${lines[-1]}" = "1 passed, 1 failed, 1 skipped" ]
	[[ $output == *"not ok 2 two"*"seen"* ]]
	grep -q '^ok 1 one' "$tap/some.tap"
	gone_in 5
}

@test "all passed: only the summary, status 0, no PID namespace needed" {
	bats_file <<-'E'
	TEST "one" { guest_ok 'true'; lab_kill; lab_restart; }
	E
	run -0 runner setpriv --bounding-set=-sys_admin
	[ "$output" = "1 passed, 0 failed, 0 skipped" ]
	gone_in 5
}

@test "tests that did not run because of setup_file have failed" {
	bats_file 'false' <<-'E'
	TEST "one" { true; }
	TEST "two" { true; }
	E
	run -1 runner
	[ "${lines[-1]}" = "0 passed, 2 failed, 0 skipped" ]
}

@test "where linux.uml does not start: failed with CI=true, else skipped" {
	bats_file <<-'E'
	TEST "one" { true; }
	TEST "two" { true; }
	E
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\necho broken; exit 3\n' >"$BATS_TEST_TMPDIR/bin/linux.uml"
	chmod +x "$BATS_TEST_TMPDIR/bin/linux.uml"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH run -1 runner
	[ "${lines[-1]}" = "0 passed, 2 failed, 0 skipped" ]
	[[ $output == *"status 3"* ]]
	CI_IS='' PATH=$BATS_TEST_TMPDIR/bin:$PATH run -0 runner
	[ "${lines[-1]}" = "0 passed, 0 failed, 2 skipped" ]
	gone_in 5
}

@test "bats alone: a lab that does not start skips, or fails with CI=true" {
	bats_file <<-'E'
	TEST "one" { guest_ok 'true'; }
	E
	printf '#!/bin/sh\nexit 3\n' >"$BATS_TEST_TMPDIR/linux.uml"
	chmod +x "$BATS_TEST_TMPDIR/linux.uml"
	env=(env -i PATH="$BATS_TEST_TMPDIR:$PATH" SM_BUILD="$SM_BUILD" LAB_BASE="$base")
	run -0 "${env[@]}" bats --tap "$file" </dev/null
	[[ $output == *"ok 1 one # skip no lab"* ]]
	run -1 "${env[@]}" CI=true bats --tap "$file" </dev/null
	gone_in 5
}

# Start the runner on a file whose test hangs, and wait until it does.
start_hanging() {
	bats_file <<-'E'
	TEST "one" { guest_ok 'true'; touch "$marker"; guest -t 100 'sleep 100'; }
	E
	# In a session of its own, as from a terminal; bats waits for descriptor 3.
	runner setsid >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	for ((i = 0; i < 300; i++)); do
		[ ! -e "$marker" ] || break
		sleep 0.1
	done
	runner=$(pgrep -of "bash $LAB_SRC/run.sh.*$tap")
	[ -e "$marker" ]
	[ -n "$runner" ]
}

@test "the runner is killed: nothing is left" {
	start_hanging
	kill -9 "$runner"
	gone_in 10
}

@test "the runner is interrupted, as by Ctrl-C: nothing is left, status 130" {
	start_hanging
	kill -INT -- "-$runner"
	wait $! || rc=$?
	gone_in 10
	[ "$rc" -eq 130 ]
}

@test "the runner is asked to end: nothing is left, status 143" {
	start_hanging
	kill -TERM "$runner"
	wait $! || rc=$?
	gone_in 10
	[ "$rc" -eq 143 ]
}
