#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Blocks of VHD disks that the kernel reaches without their server: promoted, demoted, and
# what deaths and power cuts leave of them.

setup_file() {
	load helpers/lab
	load helpers/sm
	load helpers/dm
	lab_start --disk a:1G --disk b:512M
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
	load helpers/dm
	needs SR_FILE SR_LVM DATAPATH_HYBRID FRONT_CLI
}

teardown() {
	guest 'for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; done
		for i in 1 2 3 4 5; do for v in $(sm vdi list --minimal | tr , " "); do sm vdi delete $v; done; done
		sm sr destroy disks; umount /run/sr-mount/* /srv; rm -rf /srv/* /etc/smtab /run/sm /dev/sm' >/dev/null 2>&1 || true
	guest '. /tmp/nbd.bash; nothing_left; ls /dev/mapper; ls -d /sys/block/loop*/loop 2>/dev/null || true'
	[ "$output" = control ]
}

# new_sr TYPE: an SR of that type with a disk of 64 MiB.
new_sr() {
	guest_ok "if [ $1 = file ]; then judge mkfs.ext4 -qF /dev/ubda; mount /dev/ubda /srv; mkdir -p /srv/d; where=location=/srv/d
		else dd if=/dev/zero of=/dev/ubdb bs=1M count=12 2>/dev/null; where=device=/dev/ubdb; fi
		sm sr create disks --type $1 --dconf \$where" >/dev/null
	SR=$output
	guest_ok 'sm vdi create v --sr disks --size 64M --format vhd' >/dev/null
	VDI=$output
}

in_guest() {
	guest_ok -t "${2:-60}" "V=$VDI D=/dev/mapper/sm-$VDI; . /tmp/nbd.bash
		image_is_sound() { sm sr check disks; }
		# How many blocks go past the server; full N: until there are so many.
		mapped() { judge dmsetup table sm-\$V-full | awk -v nbd=\$(cat /sys/block/nbd0/dev) '\$4 != nbd' | wc -l; }
		full() { for i in \$(seq 100); do [ \$(mapped) != \$1 ] || return 0; sleep 0.1; done; echo \"\$(mapped) blocks, not \$1\" >&2; return 1; }
		$1"
}

each_type() {
	for type in file lvm; do
		new_sr $type
		in_guest "$@"
		teardown
	done
}

@test "full blocks are read and written without the server, a flush reaches both, and the image has it all" {
	each_type 'sm vdi attach v; [ $(mapped) = 0 ]
		pattern 1 0 8; pattern 2 20 3; pattern 3 62 2; judge sync $D; full 5
		# The last block is never one of them, nor is half a block.
		judge dmsetup table sm-$V | awk "{ print \$3 }" | paste -s | grep "switch.linear"
		kill -STOP $(worker)
		check 1 0 8; check 2 20 2; pattern 4 2 4; pattern 5 20 1; check 4 2 4
		kill -CONT $(worker)
		flushes() { cat /sys/block/ubd?/stat | awk "{ n += \$16 } END { print n }"; }
		f=$(flushes); pattern 4 3 1; judge sync $D; [ $(flushes) -gt $f ]
		check 1 0 2; check 5 20 1; check 2 21 2; check 3 62 2; zeroes 23 2; judge sync $D
		fio --size=60M --rw=randwrite --bsrange=512-64k --iodepth=8 --number_ios=300 --fsync=20 --do_verify=1
		judge blkdiscard -o 8M -l 2M $D; judge blkdiscard -z -o 10M -l 3M $D; zeroes 10 3
		sm vdi resize v 80M; pattern 6 76 4; check 6 76 4; judge sync $D; pattern 7 0 1
		sm vdi detach v; nothing_left; image_is_sound
		sm vdi attach v; zeroes 10 3; check 6 76 4; check 7 0 1; [ $(mapped) -ge 0 ]; sm vdi detach v' 120
}

@test "snapshots, clones and a growth under random writes of fio, after a server that was killed: nothing is lost, no snapshot changes" {
	each_type 'sm vdi attach v; for i in 0 16 32; do pattern 9 $i 16; done; judge sync $D; full 24
		w=$(worker); kill -9 $w; check 9 0 16; wait_worker $w; pattern 8 0 1; check 8 0 1; check 9 1 47; full 24
		fio --size=48M --rw=randwrite --bs=4k --iodepth=4 --number_ios=2500 --rate_iops=800 --fsync=50 --do_verify=1 & f=$!
		for i in 1 2 3; do
			s=$(sm vdi snapshot v s$i); sm vdi attach $s --read-only >/dev/null; md5sum </dev/mapper/sm-$s >/tmp/sum.$s
			sleep 0.6
			[ $i != 3 ] || sm vdi resize v 66M
		done
		wait $f
		for s in /tmp/sum.*; do [ "$(md5sum </dev/mapper/sm-${s#*sum.})" = "$(cat $s)" ]; sm vdi detach ${s#*sum.}; rm $s; done
		was=$(md5sum <$D); sm vdi detach v; nothing_left; image_is_sound
		sm vdi attach v; [ "$(md5sum <$D)" = "$was" ]; sm vdi detach v' 240
}

@test "keeper and server are dead: full blocks go on, the rest and flushes fail; then the power fails" {
	new_sr file
	in_guest 'sm vdi attach v; pattern 1 0 8; pattern 2 30 1; judge sync $D; full 4; pattern 3 4 4
		kill -9 $(keeper) $(worker); check 1 0 4; check 3 4 4; pattern 4 2 2; check 4 2 2
		refused sm vdi attach v | grep "the server of VDI $V has died"; refused sm vdi snapshot v; refused sm vdi delete v
		sm vdi detach v; nothing_left; image_is_sound
		sm vdi attach v; check 1 0 2; check 4 2 2; check 3 4 4; check 2 30 1; full 4
		pattern 5 0 8; judge sync $D
		(. /tmp/nbd.bash; fio --size=40M --rw=randwrite --bs=4k --iodepth=4 --fsync=10 --offset=8M --time_based --runtime=60) >/dev/null 2>&1 &
		sleep 1.5' 150
	lab_kill
	lab_restart
	dm_tool dieat
	guest_put "$BATS_TEST_DIRNAME/nbd/guest.bash" /tmp/nbd.bash
	guest_ok "mount /dev/ubda /srv; sm sr introduce $SR --type file --dconf location=/srv/d --name disks" >/dev/null
	in_guest 'image_is_sound; sm vdi attach v; check 5 0 8; full 4; check 5 0 8; sm vdi detach v; image_is_sound'
}

@test "a switch that nobody has settled, or that has not grown yet: the next server does not wait for what waits for it" {
	new_sr file
	in_guest 'sm vdi attach v; judge dmsetup table $D >/tmp/small; sm vdi resize v 80M
		judge dmsetup load $D /tmp/small; judge dmsetup resume $D
		# Block 2 by way of the lower table, and asked for when the server dies.
		judge dmsetup message $D 0 set_region_mappings 2:1; w=$(worker); kill -STOP $w
		(pattern 2 4 1 || true) 2>/dev/null & p=$!
		for i in $(seq 100); do [ "$(cat /sys/block/nbd0/inflight | tr -d " 0")" = "" ] || break; sleep 0.05; done
		kill -9 $w; wait_worker $w; timeout 15 dd if=$D of=/dev/null bs=1M count=1 iflag=direct status=none
		wait $p; check 2 4 1; sm vdi resize v 82M; pattern 3 80 2; check 3 80 2
		sm vdi detach v; nothing_left; image_is_sound' 90
}

@test "who grows a disk dies at any system call, and every other time its server too: the disk goes on" {
	local every=${GROW_EVERY:-97}

	new_sr file
	in_guest "every=$every first=$(($(date +%-j) * 7 % every + 1))"'
		sm vdi attach v; pattern 5 0 8; judge sync $D; full 4; size=64 died=0
		for ((n = first; ; n += every)); do
			s=0; dieat $n sm vdi resize v $((size += 2))M >/tmp/said 2>&1 || s=$?
			[ $((died % 2)) = 0 ] || { w=$(worker); kill -9 $w; wait_worker $w; }
			check 5 0 8; pattern 6 32 2; check 6 32 2
			if gave_up $s; then n=$((n - every)); continue; fi
			[ $s = 137 ] || break
			died=$((died + 1))
		done
		cat /tmp/said; [ $s = 0 ]; [ $died -gt 2 ]
		w=$(worker); kill -9 $w; wait_worker $w; check 5 0 8; check 6 32 2
		[ "$(blockdev --getsize64 $D)" = $((size << 20)) ]; pattern 7 $((size - 2)) 2; check 7 $((size - 2)) 2
		sm vdi detach v; nothing_left; image_is_sound' 120
}
