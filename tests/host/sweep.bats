#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Death and failure at the system calls of every verb on a file SR: ../sweep/sweep.c.  With mounts
# of its own, and loop devices of its own files: root only.
#
# A run tries some calls of each verb, others each day; SWEEP_EVERY=1 tries all of
# them, and SWEEP_FIRST=N repeats what a failed run printed.

bats_require_minimum_version 1.5.0

setup_file() {
	every=${SWEEP_EVERY:-$((61 * ${PACE:-1}))}
	export SM_GC=off every first=${SWEEP_FIRST:-$(($(date +%-j) * 7 % every + 1))}
	"$BATS_TEST_DIRNAME/../sweep/build.sh" "$BATS_FILE_TMPDIR" at left sweep
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

# In memory, where nothing waits for a disk.
in_ram() {
	mkdir -p "$BATS_TEST_TMPDIR/ram"
	# shellcheck disable=SC2016 # its arguments
	timeout -k 5 $((every > 1 ? 3600 : 86400)) unshare -m sh -c 'mount -t tmpfs -o size=1G ram "$0" && "$@"' "$BATS_TEST_TMPDIR/ram" "$@"
}

sweep() {
	local status=0

	in_ram "$BATS_FILE_TMPDIR/sweep" "$plain" "$BATS_TEST_TMPDIR/ram" "$1" "$every" "$first" >"$BATS_TEST_TMPDIR/said" || status=$?
	cat "$BATS_TEST_TMPDIR/said"
	grep '^# sweep' "$BATS_TEST_TMPDIR/said" >&3
	return $status
}

@test "killed before any system call, and who comes next is killed too: whoever comes then finishes or undoes it" {
	SWEEP_TWICE=$((every > 1 ? 0 : 1)) sweep kill
}

@test "any system call fails once: the verb says so, and all is as before or as after" {
	sweep EIO
}

# One way a day, SWEEP_WAYS='ENOSPC EINTR short' for all: no room, a signal, a read or write that does half.
@test "any system call fails once for another reason, or does half: the same, and half of it is no failure" {
	ways=(ENOSPC EINTR short)
	for how in ${SWEEP_WAYS:-${ways[$(date +%-j) % 3]}}; do
		echo "SWEEP_WAYS=$how"
		sweep "$how"
	done
}

@test "nothing works from some system call on: what is left is cleared by the next verb" {
	sweep EIO+
}

# lvm SCRIPT EVERY WAY…: one of the ways each day, all of them with SWEEP_EVERY=1; or those of SWEEP_HOW.
lvm() {
	local script=$1 stride=${SWEEP_EVERY:-$(($2 * ${PACE:-1}))} ways=("${@:3}") status=0 from h

	from=${SWEEP_FIRST:-$(($(date +%-j) * 7 % stride + 1))}
	[ "$stride" -gt 1 ] || export SWEEP_TWICE=97
	how=${SWEEP_HOW:-$([ "$stride" -gt 1 ] && echo "${ways[$(date +%-j) % ${#ways[@]}]}" || echo "${ways[@]}")}
	echo "SWEEP_HOW='$how' SWEEP_FIRST=$from SWEEP_EVERY=$stride"
	export SM_ROOT=$BATS_TEST_TMPDIR/root LVHD_PY=$BATS_TEST_DIRNAME/../helpers/lvhd.py
	export PATH=$BATS_FILE_TMPDIR:${plain%/*}:$PATH
	mkdir "$SM_ROOT"
	truncate -s 300M "$BATS_TEST_TMPDIR/disk"
	truncate -s 64M "$BATS_TEST_TMPDIR/second"
	loop=$(losetup -f --show "$BATS_TEST_TMPDIR/disk")
	SWEEP_SECOND=$(losetup -f --show "$BATS_TEST_TMPDIR/second")
	export SWEEP_SECOND
	for h in $how; do
		timeout -k 5 $((stride > 1 ? 3600 : 86400)) unshare -m bash "$BATS_TEST_DIRNAME/../sweep/$script" \
			"$stride" "$from" "$loop" "$h" >>"$BATS_TEST_TMPDIR/said" 2>&1 || status=1
	done
	losetup -d "$loop"
	losetup -d "$SWEEP_SECOND"
	cat "$BATS_TEST_TMPDIR/said"
	grep '^# sweep' "$BATS_TEST_TMPDIR/said" >&3
	[ $status -eq 0 ]
}

@test "VHD disks in an lvm SR, at some calls: the next verb finds all in order, and the data is old or new" {
	lvm lvhd.sh 499 kill EIO ENOSPC EIO+ EINTR short
}

@test "an lvm SR and its raw disks, at some calls: the same" {
	lvm lvm.sh 499 EINTR short EIO ENOSPC EIO+
}

# Where the kernel has no device-mapper it cannot be made; a death leaves a note there, too.
@test "a copy on an lvm SR leaves no note of what it has opened, with device-mapper or without" {
	export SM_ROOT=$BATS_TEST_TMPDIR/root PATH=${plain%/*}:$PATH
	mkdir "$SM_ROOT"
	truncate -s 64M "$BATS_TEST_TMPDIR/disk"
	loop=$(losetup -f --show "$BATS_TEST_TMPDIR/disk")
	sr=$(sm sr create s --type lvm --dconf device="$loop")
	sm vdi create one --sr s --size 8M --format raw
	sm vdi copy one two || true
	[ -d "$SM_ROOT/run/sm/opened/$sr" ]
	[ -z "$(find "$SM_ROOT/run/sm/opened" -type f)" ]
	echo "11111111-0000-4000-8000-000000000001 LVM-nobody" >"$SM_ROOT/run/sm/opened/$sr/note"
	sm vdi rename one other
	[ -z "$(find "$SM_ROOT/run/sm/opened" -type f)" ]
	sm sr scan s
	for vdi in $(sm vdi list --sr s --minimal | tr , ' '); do sm vdi delete "$vdi"; done
	sm sr destroy s
	losetup -d "$loop"
}

# Each kind planted once; and a program that leaks, under the sweep itself.
@test "what is left is found: locks, descriptors, processes, mounts, devices, files" {
	export T=$BATS_TEST_TMPDIR PATH=$BATS_FILE_TMPDIR:$PATH plain LEFT_PATIENCE=2
	cat >"$T/script" <<-'END'
		set -eu
		root=$T/root
		mkdir -p "$root/run/sm/attached" "$root/run/sr-mount/x" "$root/var/lock/sm/x" "$root/dev/sm/backend" "$T/loc"
		truncate -s 1M "$T/loc/disk"
		left "$root" "$T/loc" >"$T/held"
		[ ! -s "$T/held" ]
		# found LINE [verb]: that, and no more when it has gone
		found() {
			for _ in {1..300}; do
				line=$(left "$root" "$T/loc" "$T/held" "${@:2}") || [[ $line != $1 ]] || return 0
				sleep 0.1	# it may not have begun
			done
			echo "'$line', not '$1'"
			exit 1
		}
		gone() { left "$root" "$T/loc" "$T/held" "$@"; }

		(exec 3>"$root/var/lock/sm/x/sr" && flock 3 && exec sleep 100 </dev/null) &
		found "lock FLOCK */x/sr" verb
		kill $!; wait $! || true
		gone
		(exec 3<"$T/loc/disk" && exec sleep 100) &
		found "open sleep */loc/disk" verb
		kill $!; wait $! || true
		cp "$(realpath "$plain")" "$T/smbox"
		mkfifo "$T/fifo"
		SM_ROOT=$root "$T/smbox" sm vdi create x --sr x --size 1M --dconf-file "$T/fifo" >/dev/null 2>&1 & pid=$!
		found "process *" verb
		kill $pid; wait $pid || true
		gone
		mount -t tmpfs planted "$root/run/sr-mount/x"
		gone verb
		found "mount */run/sr-mount/x of planted"
		umount "$root/run/sr-mount/x"
		loop=$(losetup -f --show "$T/loc/disk")
		found "loop loop* of */loc/disk"
		losetup -d "$loop"
		touch "$root/run/sm/attached/x"
		found "run */attached/x"
		rm "$root/run/sm/attached/x"
		ln -s /dev/null "$root/dev/sm/backend/x"
		found "run */backend/x"
		rm "$root/dev/sm/backend/x"
		gone
		AT_OPEN=$T/open at 0 kill bash -c 'exec 7<"$T/held"; :'
		[[ $(cat "$T/open") == *" ends with descriptor 7 "*/held ]]
	END
	unshare -m bash "$T/script"
	cat >"$T/leaks" <<-'END'
		#!/bin/bash
		[ "$1" != vdi ] || [ "$2" != resize ] || {
			mkdir -p "$SM_ROOT/var/lock/sm"
			exec 3>"$SM_ROOT/var/lock/sm/x"
			flock 3
			sleep 10 </dev/null >/dev/null 2>&1 &
		}
		exec "$plain" "$@" 3>&-
	END
	chmod +x "$T/leaks"
	run -1 in_ram "$BATS_FILE_TMPDIR/sweep" "$T/leaks" "$T/ram" EIO 100000 50000 "vdi resize"
	[[ $output == *"when it has ended: lock FLOCK "*/root/var/lock/sm/x* ]]
}
