#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Death and failure at the system calls of every verb on a file SR: ../sweep/sweep.c.  With mounts
# of its own, and loop devices of its own files: root only.
#
# A run tries some calls of each verb, others each day; SWEEP_EVERY=1 tries all of
# them, and SWEEP_FIRST=N repeats what a failed run printed.

setup_file() {
	every=${SWEEP_EVERY:-$((61 * ${PACE:-1}))}
	export SM_GC=off every first=${SWEEP_FIRST:-$(($(date +%-j) * 7 % every + 1))}
	musl-gcc -static -Os -s -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror \
		-o "$BATS_FILE_TMPDIR/sweep" "$BATS_TEST_DIRNAME/../sweep/sweep.c"
	# Not the one under AddressSanitizer: it has system calls of its own to fail.
	export plain=${SM:-$BATS_TEST_DIRNAME/../../build/bin/sm}
	[ ! -x "${plain%/gcc/bin/sm}/musl/bin/sm" ] || plain=${plain%/gcc/bin/sm}/musl/bin/sm
}

setup() {
	[ "$(id -u)" -eq 0 ] || skip "not root"
	[ "$(uname -m)" = x86_64 ] || skip "the tracer knows the registers of x86_64"
	unshare -m true 2>/dev/null || skip "no mount namespaces here"
	[ -c /dev/loop-control ] || skip "no loop devices here"
	echo "SWEEP_FIRST=$first SWEEP_EVERY=$every"
}

sweep() {
	mkdir "$BATS_TEST_TMPDIR/dir"
	timeout -k 5 $((every > 1 ? 3600 : 86400)) unshare -m "$BATS_FILE_TMPDIR/sweep" "$plain" \
		"$BATS_TEST_TMPDIR/dir" "$1" "$every" "$first" | tee "$BATS_TEST_TMPDIR/said"
	grep '^# sweep' "$BATS_TEST_TMPDIR/said" >&3
}

@test "killed before any system call: the next verb finishes or undoes it" {
	sweep kill
}

@test "any system call fails once: the verb says so, and all is as before or as after" {
	sweep EIO
}

# One way a day, SWEEP_WAYS='ENOSPC EINTR short' for all: no room, a signal, a read or write that does half.
@test "any system call fails once for another reason, or does half: the same, and half of it is no failure" {
	ways=(ENOSPC EINTR short)
	for how in ${SWEEP_WAYS:-${ways[$(date +%-j) % 3]}}; do
		echo "SWEEP_WAYS=$how"
		rm -rf "$BATS_TEST_TMPDIR/dir"
		sweep "$how"
	done
}

@test "nothing works from some system call on: what is left is cleared by the next verb" {
	sweep EIO+
}

# One way a day: all four, or all calls, with SWEEP_HOW='kill EIO ENOSPC EIO+' SWEEP_EVERY=1.
@test "VHD disks in an lvm SR, at some calls: the next verb finds all in order, and the data is old or new" {
	ways=(kill EIO ENOSPC EIO+)
	every=${SWEEP_EVERY:-$((499 * ${PACE:-1}))}
	first=${SWEEP_FIRST:-$(($(date +%-j) * 7 % every + 1))}
	how=${SWEEP_HOW:-${ways[$(date +%-j) % 4]}}
	echo "SWEEP_HOW='$how' SWEEP_FIRST=$first SWEEP_EVERY=$every"
	musl-gcc -static -Os -s -std=gnu11 -D_GNU_SOURCE -o "$BATS_TEST_TMPDIR/at" "$BATS_TEST_DIRNAME/../sweep/at.c"
	export SM_ROOT=$BATS_TEST_TMPDIR/root AT_COUNT=$BATS_TEST_TMPDIR/count
	export LVHD_PY=$BATS_TEST_DIRNAME/../helpers/lvhd.py PATH=$BATS_TEST_TMPDIR:${plain%/*}:$PATH
	mkdir "$SM_ROOT"
	truncate -s 300M "$BATS_TEST_TMPDIR/disk"
	loop=$(losetup -f --show "$BATS_TEST_TMPDIR/disk")
	status=0
	for h in $how; do
		timeout -k 5 $((every > 1 ? 3600 : 86400)) unshare -m bash "$BATS_TEST_DIRNAME/../sweep/lvhd.sh" \
			"$every" "$first" "$loop" "$h" >>"$BATS_TEST_TMPDIR/said" || status=1
	done
	losetup -d "$loop"
	cat "$BATS_TEST_TMPDIR/said"
	grep '^# sweep' "$BATS_TEST_TMPDIR/said" >&3
	[ $status -eq 0 ]
}
