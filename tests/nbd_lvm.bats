#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# VHD disks in logical volumes as block devices, with lvm2 as the judge.

setup_file() {
	load helpers/lab
	load helpers/sm
	load helpers/dm
	lab_start --disk a:512M --disk b:4G
	tools
}

# What the guest has in its memory, again after each start.
tools() {
	dm_tool holdat
	dm_tool killat
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
	needs SR_LVM DATAPATH_NBD FRONT_CLI
	new_sr thick
}

new_sr() {
	PV=${2:-/dev/ubda}
	guest_ok "sm sr create disks --type lvm --dconf device=$PV --dconf allocation=$1 ${4:+--dconf $4}" >/dev/null
	SR=$output VG=VG_XenStorage-$SR
	guest_ok "sm vdi create v --sr disks --size ${3:-64M} --format vhd" >/dev/null
	VDI=$output DEV=/dev/mapper/sm-$output
}

teardown() {
	guest 'for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; done
		for i in 1 2 3; do for v in $(sm vdi list --minimal | tr , " "); do sm vdi delete $v; done; done
		sm sr destroy disks; judge dmsetup remove_all -f; for d in a b; do dd if=/dev/zero of=/dev/ubd$d bs=1M count=12; done
		rm -rf /etc/smtab /run/sm /dev/sm /dev/VG_* /dev/mapper/VG_* /run/lock/lvm' >/dev/null 2>&1 || true
	guest '. /tmp/nbd.bash; nothing_left; ls /dev/mapper'
	[ "$output" = control ]
}

in_guest() {
	guest_ok -t "${2:-60}" "V=$VDI D=$DEV VG=$VG; . /tmp/nbd.bash
		image_is_sound() { sm sr check disks; }
		quiet() { nothing_left; [ -z \"\$(judge dmsetup ls | grep -v \"No devices\")\" ]; }
		judged() { judge vgck \$VG; judge pvck --dump headers $PV >/dev/null; }
		# lv_mib [LV]: how large it is; grown MIB: until it is larger than that.
		lv_mib() { judge lvs --noheadings --units m --nosuffix -o lv_size \$VG/\${1:-VHD-\$V} | sed 's/ *\\([0-9]*\\).*/\\1/'; }
		grown() { for i in \$(seq 100); do [ \$(lv_mib) -le \$1 ] || return 0; sleep 0.1; done; echo \"still \$(lv_mib) MiB\" >&2; return 1; }
		# touch_blocks BYTE FROM TO: a page of each block.  have_blocks: it is there.
		blocks() {
			fio --verify=pattern --verify_pattern=\$2 --do_verify=0 --bs=4k --rw=\$1:2044k --offset=\$((\$3 * 2))M \
				--size=\$(((\$4 - \$3) * 2))M --io_size=\$(((\$4 - \$3) * 4))k
		}
		touch_blocks() { blocks write \"\$@\"; }
		have_blocks() { blocks read \"\$@\"; }
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
	tools
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

@test "a plan counts the journals and the room of a thick disk: with so much, and not less, all of it can be done" {
	needs GC_FORECAST
	in_guest 'number() { sm gc plan disks --json | tr -d "\n" | sed "s/.*\"$1\": *\([0-9]*\).*/\1/"; }
		free_mib() { judge vgs --noheadings --units m --nosuffix -o vg_free $VG | sed "s/ *\([0-9]*\).*/\1/"; }
		raw() { sm vdi create $1 --sr disks --size $2M --format raw >/dev/null; }
		# filled: there is as much as the plan says; with a unit less it would wait.
		filled() {
			need=$(($(number space) / 1048576)); [ $need -gt 4 ]
			raw fill $(($(free_mib) - need)); [ $(free_mib) = $need ]
			raw unit 4; sm gc plan disks | grep "space: it needs"; sm vdi delete unit
		}
		all() { sm vdi attach v >/dev/null; check 1 0 4; check 2 4 16; zeroes 20 44; [ $(lv_mib) = 72 ]; judged; }
		sm vdi attach v; pattern 1 0 8; sm vdi detach v; s=$(sm vdi snapshot v s); [ $(lv_mib) = 72 ]
		sm vdi attach v; pattern 2 4 16; sm vdi detach v; sm vdi delete s
		filled; sm gc run disks | grep "merged into"; all; image_is_sound; [ $(number space) = 0 ]
		# In use, by rounds.
		sm vdi delete fill; free=$(free_mib); s=$(sm vdi snapshot v s); pattern 2 4 16; judge sync $D; sm vdi delete s
		filled; sm gc run disks | grep "merged into"; all; [ $(number space) = 0 ]
		sm vdi delete fill; [ $(free_mib) = $free ]; sm vdi detach v; quiet; image_is_sound' 180
}

@test "a raw base on LVM takes a VHD's place" {
	in_guest 'sm vdi create r --sr disks --size 16M --format raw >/dev/null; V=$(sm vdi show r --minimal); D=/dev/mapper/sm-$V
		D=$(sm vdi attach r); pattern 1 0 8; sm vdi detach r; sm vdi snapshot r s; sm vdi delete s; D=$(sm vdi attach r); pattern 2 4 8; sm vdi detach r
		sm gc run disks; judge lvs --noheadings -o lv_name,lv_tags $VG | grep >/dev/null "LV-$V *$"; judged; image_is_sound
		D=$(sm vdi attach r); check 1 0 4; check 2 4 8; sm vdi detach r; quiet'
}

# A disk of an SR whose disks take space as they fill.
growing() {
	needs LVM_THIN_GROW
	guest_ok 'sm vdi delete v; sm sr destroy disks'
	new_sr thin /dev/ubdb "$1" live_growth=true
}

@test "a thin disk takes space as it fills, under load, and so does what it becomes by a snapshot" {
	growing 160M
	# What waits for room does so for 50 s at most, and until then the kernel gives up none of its sockets.
	in_guest 'sm vdi attach v; [ $(cat /sys/block/nbd0/queue/io_timeout) = 60000 ]
		[ $(lv_mib) = 72 ]; touch_blocks 1 0 8; [ $(lv_mib) = 72 ]
		fio --offset=32M --size=64M --rw=write --bs=128k --iodepth=4 --do_verify=1 --verify_backlog=128 & f=$!
		grown 72; judged; s=$(sm vdi snapshot v s); wait $f
		touch_blocks 5 48 80; have_blocks 5 48 80; have_blocks 1 0 8; judged
		sm vdi detach v; [ $(lv_mib) -lt 160 ]; quiet; judged; image_is_sound
		sm vdi attach v; have_blocks 5 48 80; touch_blocks 3 0 80; have_blocks 3 0 80; [ $(lv_mib) = 168 ]; judged
		D=$(sm vdi attach $s --read-only) have_blocks 1 0 8; sm vdi detach $s; sm vdi detach v; quiet; image_is_sound' 120
}

@test "a thin disk takes space as it fills on a socket too" {
	needs DATAPATH_SOCKET
	growing 160M
	in_guest 'sm vdi serve v --socket /tmp/s & p=$!
		until [ -S /tmp/s ]; do kill -0 $p; sleep 0.05; done; [ $(lv_mib) = 72 ]
		io() {
			local i at=()

			for ((i = $3; i < $4; i++)); do at+=(-c "$1 -P $2 $((i * 2048))k 4k"); done
			judge qemu-io -f raw "${at[@]}" "nbd+unix:///?socket=/tmp/s" >/tmp/io 2>&1 || { cat /tmp/io >&2; return 1; }
			[ -z "$(grep -v -e "^wrote 4096/" -e "^read 4096/" -e "^4 KiB" /tmp/io)" ] || { cat /tmp/io >&2; return 1; }
		}
		io write 5 0 80; io read 5 0 80; [ $(lv_mib) = 168 ]; judged
		kill $p; wait $p; [ $(lv_mib) = 168 ]; quiet; judged; image_is_sound
		sm vdi attach v; have_blocks 5 0 80; sm vdi detach v; quiet' 60
}

@test "a VG that fills under a thin disk: what it has goes on, and the rest when there is room again" {
	growing 1G
	guest_log on
	in_guest 'sm vdi attach v; touch_blocks 1 0 8
		sm vdi create big --sr disks --size 3900M --format raw >/dev/null; i=0
		while sm vdi create "fill$((++i))" --sr disks --size 16M --format raw >/dev/null 2>&1; do :; done
		refused touch_blocks 2 8 256; have_blocks 1 0 8; touch_blocks 3 0 8; have_blocks 3 0 8; judge sync $D
		refused touch_blocks 2 255 256; grep "no room for more of its data: .*VG is full" /tmp/log/messages | wc -l | grep -x 1
		w=$(worker); kill -9 $w; wait_worker $w; have_blocks 3 0 8; touch_blocks 1 0 8
		judged; sm vdi delete big
		for i in $(seq 100); do ! touch_blocks 4 8 40 >/dev/null || break; sleep 0.1; done
		have_blocks 1 0 8; have_blocks 4 8 40; sm vdi detach v; quiet; judged; image_is_sound
		sm vdi attach v; have_blocks 1 0 8; have_blocks 4 8 40; sm vdi detach v' 120
}

@test "a thin disk has to wait for its room: other requests do not; and a server dies while it gets some" {
	local every=${GROW_EVERY:-307}

	growing 4G
	in_guest 'sm vdi attach v; touch_blocks 1 0 4
		holdat 73 /tmp/held sm vdi create x --sr disks --size 4M --format raw >/dev/null & h=$!
		until [ -e /tmp/held ]; do kill -0 $h; sleep 0.05; done
		(touch_blocks 1 4 48; echo done) >/tmp/wrote & t=$!
		sleep 1; have_blocks 1 0 4; touch_blocks 2 0 2; have_blocks 2 0 2; [ ! -s /tmp/wrote ]; [ $(lv_mib) = 72 ]
		rm /tmp/held; wait $h; wait $t; grep done /tmp/wrote; have_blocks 2 0 2; have_blocks 1 2 48; judged
		at=48; died=0
		for ((n = '$(($(date +%-j) * 7 % (every < 151 ? every : 151) + 1))'; ; n += '$every')); do
			w=$(worker); killat 0 $n $w >/tmp/killat & k=$!
			until [ -s /tmp/killat ]; do kill -0 $k; sleep 0.01; done
			to=$((at + 40)); touch_blocks 1 $at $to & t=$!
			wait $t; at=$to
			# It may have got its room before it was watched: then these blocks have needed none.
			for ((i = 0; i < 50; i++)); do kill -0 $k 2>/dev/null || break; sleep 0.1; done
			if kill -9 $k 2>/dev/null; then [ $at -lt 1500 ]; n=$((n - '$every')); continue; fi
			s=0; wait $k || s=$?; echo "call $n: $s" $(cat /tmp/killat) >&2
			[ $s = 0 ] || break
			died=$((died + 1)); wait_worker $w; judged
		done
		[ $s = 1 ]; [ $died -gt 0 ]; have_blocks 1 2 $at
		# What is flushed and wants more room than there is does not keep the next server from opening it.
		judge sync $D; w=$(worker); kill -9 $w; wait_worker $w; have_blocks 1 2 $at; to=$((at + 40)); touch_blocks 1 $at $to; at=$to
		have_blocks 1 2 $at; sm vdi detach v; quiet; judged; image_is_sound
		sm vdi attach v; have_blocks 1 2 $at; sm vdi detach v' 180
}
