#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks that are changed while a guest writes to them: snapshots, clones, growing; and every death
# on the way.  What a snapshot holds is judged by numbered writes (lab/tools/stamp.c).

setup_file() {
	load helpers/lab
	load helpers/sm
	load helpers/dm
	lab_start --disk a:1G --disk b:1G
	fs_disk
	dm_tool stamp
	guest_put "$BATS_TEST_DIRNAME/nbd/guest.bash" /tmp/nbd.bash
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_FILE SR_LVM DATAPATH_NBD SNAPSHOTS FRONT_CLI
}

teardown() {
	guest 'jobs -p | xargs -r kill; umount /mnt
		for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; done
		for i in 1 2 3 4 5; do for v in $(sm vdi list --minimal | tr , " "); do sm vdi delete $v; done; done
		for s in $(sm sr list --minimal | tr , " "); do sm sr destroy $s; done
		rm -rf /srv/* /srv/.sm /etc/smtab /run/sm /dev/sm' >/dev/null 2>&1 || true
	guest '. /tmp/nbd.bash; nothing_left; ls /dev/mapper'
	[ "$output" = control ]
}

# new_sr TYPE [KEY=VALUE…]: an SR and an attached disk of it.
new_sr() {
	case $1 in
	file) guest_ok 'mkdir -p /srv/d; sm sr create disks --type file --dconf location=/srv/d' >/dev/null ;;
	lvm) guest_ok "sm sr create disks --type lvm --dconf device=/dev/ubdb --dconf allocation=$2" >/dev/null ;;
	esac
	SR=$output
	guest_ok 'sm vdi create v --sr disks --size 64M --format vhd' >/dev/null
	VDI=$output
	guest_ok 'sm vdi attach v' >/dev/null
}

# in_guest TEXT [SECONDS]
in_guest() {
	guest_ok -t "${2:-60}" "V=$VDI D=/dev/mapper/sm-$VDI SR=$SR; . /tmp/nbd.bash; $1"
}

# Snapshots and clones of a disk that is written, and then what each of them holds.
under_load='stamp write $D 60 >/tmp/stamp & w=$!
	size=64
	for i in 1 2 3 4; do
		sm vdi snapshot v s$i >/dev/null
		sm vdi clone v c$i >/dev/null
		sm vdi resize v $((size += 4))M >/dev/null
		kill -0 $w
	done
	kill -TERM $w; wait $w; cat /tmp/stamp >&2
	read -r -a n </tmp/stamp
	stamp check $D "${n[@]:0:4}"
	[ "$(blockdev --getsize64 $D)" = $((size << 20)) ]
	pattern 9 $((size - 2)) 2; check 9 $((size - 2)) 2
	sm vdi detach v
	last=(0 0 0 0)
	for i in 1 2 3 4; do
		for x in s c; do
			d=$(sm vdi attach $x$i --read-only)
			now=$(stamp check $d "${last[@]}")
			sm vdi detach $x$i
			last=($now)
		done
	done
	sm sr check disks
	sm vdi attach v; stamp check $D "${n[@]:0:4}"; check 9 $((size - 2)) 2; sm vdi detach v; nothing_left'

@test "file: snapshots, clones and growing under a writer: each of them is one moment of the disk" {
	new_sr file
	in_guest "$under_load" 90
}

@test "lvm: the same" {
	new_sr lvm thick
	in_guest "$under_load" 90
}

@test "file: snapshots go away under a writer: all is merged while it writes" {
	new_sr file
	in_guest 'nodes() { sm vdi tree disks --json | grep -c \"uuid\"; }
		stamp write $D 300 >/tmp/stamp & w=$!
		for i in 1 2; do
			sm vdi snapshot v s$i >/dev/null; pattern 9 $((40 + i * 6)) 6; sm vdi snapshot v t$i >/dev/null
			sm vdi delete s$i; sm vdi delete t$i
			sm gc run disks
			kill -0 $w
		done
		kill -TERM $w; wait $w
		sm gc run disks; sm gc plan disks | grep "nothing to do"; [ "$(nodes)" -eq 1 ]
		read -r -a n </tmp/stamp
		stamp check $D "${n[@]:0:4}"; check 9 46 12
		sm vdi detach v; sm sr check disks; sm vdi attach v; stamp check $D "${n[@]:0:4}"; check 9 46 12; sm vdi detach v; nothing_left' 240
}
