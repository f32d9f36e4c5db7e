#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Changed blocks of attached disks, in files and on LVM: what the logs say is what really differs,
# whoever dies on the way.  More of it, on a socket: host/cbt.bats.

setup_file() {
	load helpers/lab
	load helpers/sm
	load helpers/dm
	lab_start --disk a:1G --disk b:1G
	fs_disk
	dm_tool dieat
	guest_put "$BATS_TEST_DIRNAME/nbd/guest.bash" /tmp/nbd.bash
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_FILE SR_LVM DATAPATH_NBD SNAPSHOTS CBT FRONT_CLI
}

teardown() {
	guest 'for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; done
		for i in 1 2 3; do for v in $(sm vdi list --minimal | tr , " "); do sm vdi delete $v; done; done
		for s in $(sm sr list --minimal | tr , " "); do sm sr destroy $s; done
		rm -rf /srv/* /srv/.sm /etc/smtab /run/sm /dev/sm' >/dev/null 2>&1 || true
	guest '. /tmp/nbd.bash; nothing_left; ls /dev/mapper'
	[ "$output" = control ]
}

# in_sr TYPE TEXT: with an SR of it and an attached disk v of 64 MiB that is tracked.
in_sr() {
	case $1 in
	file) guest_ok 'mkdir -p /srv/d; sm sr create disks --type file --dconf location=/srv/d' >/dev/null ;;
	lvm) guest_ok 'sm sr create disks --type lvm --dconf device=/dev/ubdb --dconf allocation=thin' >/dev/null ;;
	esac
	SR=$output
	guest_ok 'sm vdi create v --sr disks --size 64M --format vhd' >/dev/null
	VDI=$output
	guest_ok -t 120 "export SM_GC=off; V=$VDI D=/dev/mapper/sm-$VDI SR=$SR; . /tmp/nbd.bash
		$words"'
		sm vdi attach v >/dev/null; sm cbt enable v; '"$2"
}

# put BYTE SECTOR [SECTORS]; same A B: all blocks that differ, and no others, have changed.
words='put() {
		head -c $((${3:-1} * 512)) /dev/zero | tr "\0" "\\$(printf %o "$1")" |
			dd of=$D bs=512 iflag=fullblock oflag=direct seek="$2" conv=notrunc status=none
	}
	show() { sm cbt show "$1" --json; }
	blocks() { awk "{ b = int((\$1 - ${1:-0}) / 65536) } !seen[b]++ { print b }"; }
	same() {
		local a b

		a=$(sm vdi attach "$1" --read-only)
		b=$D; [ "$2" = v ] || b=$(sm vdi attach "$2" --read-only)
		{ cmp -l "$a" "$b" || true; } | blocks 1 >/tmp/want
		sm vdi detach "$1"; [ "$2" = v ] || sm vdi detach "$2"
		sm cbt changed "$1" "$2" | awk "{ for (n = 0; n < \$2; n += 65536) print \$1 + n }" | blocks >/tmp/have
		[ -s /tmp/want ]; diff /tmp/want /tmp/have
	}'

tracked='put 1 0; sm vdi snapshot v s1 >/dev/null
	put 2 1; put 3 2048; put 3 2303 2; put 4 131071; w=$(worker)
	same s1 v
	kill -9 $w; wait_worker $w; put 5 6144		# its successor goes on with the marks
	same s1 v
	sm vdi snapshot v s2 >/dev/null; same s1 s2
	show v | grep >/dev/null "\"changed_blocks\": 0"
	sm vdi resize v 80M >/dev/null; put 6 143360; put 7 16384 128
	sm vdi snapshot v s3 >/dev/null; sm cbt changed s2 s3 | paste -sd" " | grep -x "8388608 65536 73400320 65536"
	put 8 18432; sm cbt changed s1 v >/tmp/all
	sm vdi delete s2; sm cbt changed s1 v | diff /tmp/all -
	sm cbt data-destroy s3
	put 9 18433; sm cbt changed s1 v | diff /tmp/all -
	sm vdi detach v; sm cbt changed s1 v | diff /tmp/all -
	show v | grep >/dev/null "\"consistent\": true"
	sm cbt check disks; sm sr check disks
	sm vdi attach v; kill -9 $(keeper) $(worker) || true; sm vdi detach v'

@test "file: what differs between snapshots has changed, also once a server died and a snapshot went" {
	# What writes a raw disk marks nothing, so a log that such a one has from elsewhere ends.
	in_sr file "$tracked"'
		sm vdi create r --sr disks --size 64M --format raw >/tmp/r; r=/srv/d/$(cat /tmp/r).cbtlog
		cp /srv/d/$V.cbtlog $r; for end in 0 16; do head -c 16 /dev/zero | dd of=$r bs=1 seek=$end conv=notrunc status=none; done
		sm vdi attach r --read-only; sm vdi detach r; [ -e $r ]
		sm vdi attach r; [ ! -e $r ]; sm vdi detach r'
}

@test "lvm: the same, in volumes that lvm2 knows" {
	in_sr lvm "$tracked"'
		judge lvs --noheadings -o lv_name,lv_size,lv_tags --units m | grep "$V.cbtlog *4.00m *cbtlog"
		judge vgck VG_XenStorage-$SR'
}

# Every so many system calls of a snapshot it dies, the next is a delete that dies.
deaths='put 1 0; sm vdi snapshot v s0 >/dev/null; died=0 k=0
	for ((n = first; ; n += every)); do
		put 2 $((++k * 128))
		s=0; dieat $n sm vdi snapshot v >/dev/null 2>&1 || s=$?
		sm sr scan disks >/dev/null; sm cbt check disks
		# No change is ever lost.
		[ "$(show v | grep -c "\"consistent\": true")" = 1 ]
		sm cbt changed s0 v >/tmp/have; grep >/dev/null -x "65536 $((k * 65536))" /tmp/have
		[ $s = 137 ] || break
		died=$((died + 1))
	done
	[ $s = 0 ]; [ $died -gt 2 ]
	for x in $(sm vdi list --json | tr -d " ,\"" | sed -n "/^uuid:/{s/uuid://;h}; /^snapshot_of:$V/{g;p}"); do
		[ "$x" = "$(sm vdi show s0 --minimal)" ] || { s=0; dieat $((every / 2)) sm vdi delete $x >/dev/null 2>&1 || s=$?
			sm sr scan disks >/dev/null; sm cbt check disks
			sm cbt changed s0 v | grep >/dev/null -x "65536 $((k * 65536))"; every=$((every + 31)); }
	done
	sm vdi detach v; sm sr check disks'

@test "file: who makes or deletes a snapshot dies: no change is lost" {
	in_sr file "every=${CBT_EVERY:-151} first=$(($(date +%-j) * 7 % ${CBT_EVERY:-151} + 1)); $deaths"
}

@test "lvm: the same deaths" {
	in_sr lvm "every=${CBT_EVERY:-251} first=$(($(date +%-j) * 7 % ${CBT_EVERY:-251} + 1)); $deaths"
}
