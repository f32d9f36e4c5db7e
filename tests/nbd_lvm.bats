#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# VHD disks in logical volumes as block devices, with lvm2 as the judge.

setup_file() {
	load helpers/lab
	load helpers/sm
	lab_start --disk a:512M
	guest_put "$BATS_TEST_DIRNAME/nbd/guest.bash" /tmp/nbd.bash
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_LVM DATAPATH_NBD FRONT_CLI
	new_sr thick
}

new_sr() {
	guest_ok "sm sr create disks --type lvm --dconf device=/dev/ubda --dconf allocation=$1" >/dev/null
	SR=$output VG=VG_XenStorage-$SR
	guest_ok 'sm vdi create v --sr disks --size 64M --format vhd' >/dev/null
	VDI=$output DEV=/dev/mapper/sm-$output
}

teardown() {
	guest 'for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; done
		for i in 1 2 3; do for v in $(sm vdi list --minimal | tr , " "); do sm vdi delete $v; done; done
		sm sr destroy disks; judge dmsetup remove_all -f; dd if=/dev/zero of=/dev/ubda bs=1M count=12
		rm -rf /etc/smtab /run/sm /dev/sm /dev/VG_* /dev/mapper/VG_* /run/lock/lvm' >/dev/null 2>&1 || true
	guest '. /tmp/nbd.bash; nothing_left; ls /dev/mapper'
	[ "$output" = control ]
}

in_guest() {
	guest_ok -t "${2:-60}" "V=$VDI D=$DEV VG=$VG; . /tmp/nbd.bash
		image_is_sound() { sm sr check disks; }
		quiet() { nothing_left; [ -z \"\$(judge dmsetup ls | grep -v \"No devices\")\" ]; }
		judged() { judge vgck \$VG; judge pvck --dump headers /dev/ubda >/dev/null; }
		$1"
}

@test "the main job on LVM: attach, a file system, detach, attach again" {
	guest_ok 'sm vdi attach v' >/dev/null
	[ "$output" = "$DEV" ]
	in_guest 'judge mkfs.ext4 -q $D; mount $D /mnt; cp -r /bin /mnt/; umount /mnt; judge e2fsck -fn $D; judged
		exec 7<$D; refused sm vdi detach v; exec 7<&-
		refused sm vdi delete v; refused sm sr detach disks
		sm vdi detach v; sm vdi detach v; quiet; judged; image_is_sound
		[ ! -e /run/sm/refcount/lvm-'"$SR"' ]
		[ "$(sm vdi attach v --read-only)" = $D ]; judge e2fsck -fn $D
		refused dd if=/dev/zero of=$D bs=4k count=1
		sm vdi detach v; quiet'
}

@test "a thin leaf gets its room before it is written, and all of it can be" {
	guest_ok 'sm vdi delete v; sm sr destroy disks'
	new_sr thin
	in_guest 'sm vdi attach v; pattern 1 0 8; sm vdi detach v; s=$(sm vdi snapshot v before)
		small=$(judge lvs --noheadings --units b --nosuffix -o lv_size $VG/VHD-$V | tr -d " ")
		[ "$small" -lt 20000000 ]
		sm vdi attach v; check 1 0 8; pattern 2 4 60; check 1 0 4; check 2 4 60; judged
		[ "$(sm vdi attach $s --read-only)" = /dev/mapper/sm-$s ]; D=/dev/mapper/sm-$s check 1 0 8
		sm vdi detach v; D=/dev/mapper/sm-$s check 1 0 8; sm vdi detach $s; quiet; judged; image_is_sound
		sm vdi attach v; check 1 0 4; check 2 4 60; sm vdi detach v; quiet' 180
}

@test "a VG that is full: attach says so, and nothing is left" {
	guest_ok 'sm vdi delete v; sm sr destroy disks'
	new_sr thin
	in_guest 'sm vdi attach v; pattern 1 0 1; sm vdi detach v; sm vdi snapshot v s >/dev/null
		sm vdi create big --sr disks --size 300M --format raw >/dev/null || sm vdi create big --sr disks --size 200M --format raw >/dev/null
		while sm vdi create "fill$((i = ${i:-0} + 1))" --sr disks --size 16M --format raw >/dev/null 2>&1; do :; done
		refused sm vdi attach v | grep "VG is full"
		quiet; judged
		[ "$(sm vdi attach v --read-only)" = $D ]; check 1 0 1; sm vdi detach v; quiet' 120
}

@test "the server is killed: another one takes over, on LVM too" {
	in_guest 'sm vdi attach v; pattern 1 0 4; judge sync $D
		for i in 0 7 8 30; do pattern $((i + 2)) $i 1; done
		w=$(worker); kill -9 $w; wait_worker $w
		for i in 0 7 8 30; do check $((i + 2)) $i 1; done; check 1 1 3
		sm vdi detach v; quiet; image_is_sound; sm vdi attach v; check 32 30 1; sm vdi detach v'
}

@test "the power fails under load: what was flushed is there, and the VG is whole" {
	in_guest 'sm vdi attach v; pattern 6 0 4; pattern 7 40 4; judge sync $D
		(. /tmp/nbd.bash; fio --offset=8M --size=24M --rw=randwrite --bs=4k --iodepth=4 --fsync=10 --time_based --runtime=60) >/dev/null 2>&1 &
		sleep 1'
	lab_kill
	lab_restart
	guest_put "$BATS_TEST_DIRNAME/nbd/guest.bash" /tmp/nbd.bash
	guest_ok "sm sr introduce $SR --type lvm --dconf device=/dev/ubda --name disks" >/dev/null
	in_guest 'judged; image_is_sound; sm vdi attach v; check 6 0 4; check 7 40 4; sm vdi detach v; quiet; image_is_sound'
}

@test "what snapshots leave is merged; at last the disk is alone, and as large as before" {
	guest_ok 'sm vdi delete v; sm sr destroy disks'
	new_sr thin
	in_guest 'lvs() { judge lvs --noheadings -o lv_name $VG | tr -d " " | grep -v MGT; }
		sm vdi attach v; pattern 1 0 8; sm vdi detach v; a=$(sm vdi snapshot v a)
		sm vdi attach v; pattern 2 4 8; sm vdi detach v; b=$(sm vdi snapshot v b)
		sm vdi attach v; pattern 3 10 2; sm vdi detach v
		sm gc plan disks | grep "nothing to do"
		sm vdi delete a; [ "$(lvs | wc -l)" -eq 4 ]
		sm vdi attach v; exec 7<$D; sm gc run disks | grep "merged into"; [ "$(lvs | wc -l)" -eq 3 ]; judged
		check 1 0 4; check 2 4 6; check 3 10 2; exec 7<&-; sm vdi detach v; quiet; image_is_sound
		sm vdi attach v; check 1 0 4; check 2 4 6; check 3 10 2; sm vdi detach v
		[ "$(sm vdi attach $b --read-only)" = /dev/mapper/sm-$b ]; D=/dev/mapper/sm-$b check 2 4 8
		D=/dev/mapper/sm-$b check 1 0 4; sm vdi detach $b
		base=$(sm vdi show v --json | tr -d "\n" | sed "s/.*\"parent\": \"\([^\"]*\)\".*/\1/")
		[ "$(judge lvs --noheadings -o lv_attr $VG/VHD-$base | tr -d " " | cut -c 2)" = r ]
		sm vdi delete b; sm gc run disks; [ "$(lvs)" = VHD-$V ]; quiet; judged; image_is_sound
		sm vdi attach v; check 1 0 4; check 2 4 6; check 3 10 2; zeroes 12 52; pattern 4 0 64; sm vdi detach v
		sm gc status disks | grep done' 180
}

@test "a raw base on LVM takes a VHD's place" {
	in_guest 'sm vdi create r --sr disks --size 16M --format raw >/dev/null; V=$(sm vdi show r --minimal); D=/dev/mapper/sm-$V
		D=$(sm vdi attach r); pattern 1 0 8; sm vdi detach r; sm vdi snapshot r s; sm vdi delete s; D=$(sm vdi attach r); pattern 2 4 8; sm vdi detach r
		sm gc run disks; judge lvs --noheadings -o lv_name,lv_tags $VG | grep >/dev/null "LV-$V *$"; judged; image_is_sound
		D=$(sm vdi attach r); check 1 0 4; check 2 4 8; sm vdi detach r; quiet'
}
