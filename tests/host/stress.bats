#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# 64 processes on one SR: ../sweep/stress.sh.  With mounts of its own, and a loop device: root only.
# STRESS_SECONDS=60 for longer.

setup() {
	[ "$(id -u)" -eq 0 ] || skip "not root"
	unshare -m true 2>/dev/null || skip "no mount namespaces here"
	[ -c /dev/loop-control ] || skip "no loop devices here"
	# Not the one under AddressSanitizer: 64 of them are too many.
	plain=${SM:-$BATS_TEST_DIRNAME/../../build/bin/sm}
	[ ! -x "${plain%/gcc/bin/sm}/musl/bin/sm" ] || plain=${plain%/gcc/bin/sm}/musl/bin/sm
	export SM_ROOT=$BATS_TEST_TMPDIR/root TMPDIR=$BATS_TEST_TMPDIR PATH=${plain%/*}:$PATH ATTACH=no
	mkdir "$SM_ROOT"
}

@test "64 processes on a file SR: the disks are what they made, everybody gets his turn" {
	timeout -k 5 600 unshare -m bash "$BATS_TEST_DIRNAME/../sweep/stress.sh" file 64 "${STRESS_SECONDS:-4}"
}

@test "64 processes on a lvm SR: the same" {
	truncate -s 2G "$BATS_TEST_TMPDIR/disk"
	loop=$(losetup -f --show "$BATS_TEST_TMPDIR/disk")
	status=0
	timeout -k 5 600 unshare -m bash "$BATS_TEST_DIRNAME/../sweep/stress.sh" lvm 64 "${STRESS_SECONDS:-4}" "$loop" || status=1
	losetup -d "$loop"
	[ $status -eq 0 ]
}
