#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# VHD disks as block devices on a real kernel: the server, its keeper, and what deaths leave.

setup_file() {
	load helpers/lab
	load helpers/sm
	# With the module as hosts have it, which looks for partitions.
	LAB_MODS=${LAB_MODS/max_part=0/max_part=16}
	lab_start --disk a:1G
	fs_disk
	guest_put "$BATS_TEST_DIRNAME/nbd/guest.bash" /tmp/nbd.bash
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_FILE DATAPATH_NBD FRONT_CLI
	guest_ok 'mkdir -p /srv/d; sm sr create disks --type file --dconf location=/srv/d' >/dev/null
	SR=$output
	guest_ok 'sm vdi create v --sr disks --size 64M --format vhd' >/dev/null
	VDI=$output DEV=/dev/mapper/sm-$output
}

teardown() {
	guest 'umount /mnt; for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; done
		for v in $(sm vdi list --minimal | tr , " ") $(sm vdi list --minimal | tr , " "); do sm vdi delete $v; done
		sm sr destroy disks; umount /run/sr-mount/* 2>/dev/null; rmdir /run/sr-mount/*
		rm -rf /srv/* /srv/.sm /etc/smtab /run/sm /dev/sm' >/dev/null 2>&1 || true
	guest '. /tmp/nbd.bash; nothing_left; ls /dev/mapper'
	[ "$output" = control ]
}

# in_guest TEXT: with the words of nbd/guest.bash.
in_guest() {
	guest_ok -t "${2:-60}" "V=$VDI D=$DEV; . /tmp/nbd.bash; $1"
}

@test "the main job: attach, a file system, detach, and all of it is in the image" {
	guest_ok 'sm vdi attach v' >/dev/null
	[ "$output" = "$DEV" ]
	in_guest '[ "$(readlink /dev/sm/backend/'"$SR"'/$V)" = $D ]
		[ "$(blockdev --getsize64 $D)" = 67108864 ]
		judge mkfs.ext4 -q $D; mount $D /mnt; cp -r /bin /mnt/; rm /mnt/bin/busybox; umount /mnt; judge e2fsck -fn $D'
	jsonof sm vdi show v
	is ".vdi.attached | .device == \"$DEV\" and .mode == \"rw\" and .backend == \"nbd\" and
		.io.writes > 9 and .io.written_bytes > 1000000 and .io.reads > 9 and .io.read_bytes > 10000"
	in_guest "sm vdi show v | grep >/dev/null \"^served by:  *process $(jq .vdi.attached.pid <<<"$doc")\$\" && sm vdi show v | grep \"^writes: .* MiB)\"
		[ \$(keeper) = $(jq .vdi.attached.pid <<<"$doc") ]"
	guest_ok 'sm vdi attach v' >/dev/null
	[ "$output" = "$DEV" ]
	in_guest 'refused sm vdi attach v --read-only; refused sm vdi delete v; refused sm sr detach disks
		refused sm vdi serve v --socket /tmp/s
		exec 7<$D; refused sm vdi detach v; exec 7<&-
		sm vdi detach v; sm vdi detach v; nothing_left
		image_is_sound
		[ "$(sm vdi attach v --read-only)" = $D ]
		mount -r $D /mnt; [ -L /mnt/bin/sh ]; umount /mnt; judge e2fsck -fn $D
		refused dd if=/dev/zero of=$D bs=4k count=1
		sm vdi detach v; nothing_left'
}

@test "the partitions of a guest are not ours: none at the attach, none after a growth" {
	in_guest '[ "$(cat /sys/module/nbd/parameters/max_part)" = 31 ]
		sm vdi attach v; printf ",16M\n,,L\n" | judge sfdisk -q $D || true; sm vdi detach v; dmesg -c >/dev/null
		for mode in "" --read-only; do
			sm vdi attach v $mode; exec 7</dev/nbd0; exec 7<&-
			judge sfdisk -d $D | grep >/dev/null "start= *34816"
			! grep "nbd0p" /proc/partitions; sm vdi detach v
		done
		! dmesg | grep "nbd0: *p1"
		# For a disk that grows in use the kernel looks again, and forgets at once what it finds.
		sm vdi attach v; sm vdi resize v 80M; [ "$(blockdev --getsize64 $D)" = 83886080 ]
		exec 7</dev/nbd0; exec 7<&-; ! grep "nbd0p" /proc/partitions
		# Somebody has opened one meanwhile: the others go, and that one once he lets go.
		for p in 1 2 3; do judge addpart /dev/nbd0 $p $((p * 2048)) 2048; done
		exec 7</dev/nbd0p1; sm vdi resize v 96M; [ "$(blockdev --getsize64 $D)" = 100663296 ]
		grep -o "nbd0p.*" /proc/partitions | grep -x nbd0p1; exec 7<&-
		for ((i = 0; i < 200; i++)); do
			grep "nbd0p" /proc/partitions || break
			sleep 0.1
		done
		! grep "nbd0p" /proc/partitions; sm vdi detach v'
}

@test "random writes, flushes, zeroes and trims, verified by fio, now and after the next attach" {
	in_guest 'sm vdi attach v
		fio --size=48M --rw=randwrite --bsrange=512-64k --bs_unaligned=0 --iodepth=8 --number_ios=600 --fsync=20 --do_verify=1
		judge blkdiscard -z -o 50M -l 3M $D; judge blkdiscard -o 56M -l 3M $D
		zeroes 50 3
		sm vdi detach v; image_is_sound; sm vdi attach v
		zeroes 50 3
		fio --size=48M --rw=randwrite --bsrange=512-64k --bs_unaligned=0 --iodepth=8 --number_ios=600 --verify_only
		sm vdi detach v' 120
}

@test "a snapshot under it: the parent is read, never written" {
	in_guest 'sm vdi attach v; pattern 1 0 8; sm vdi detach v
		s=$(sm vdi snapshot v before)
		base=$(ls /srv/d/*.vhd | grep -v -e $V -e $s); was=$(md5sum <$base)
		sm vdi attach v; check 1 0 8; pattern 2 4 2; check 1 0 4; check 2 4 2; check 1 6 2
		[ "$(sm vdi attach $s --read-only)" = /dev/mapper/sm-$s ]
		D=/dev/mapper/sm-$s check 1 0 8
		sm vdi detach v; sm vdi detach $s
		[ "$(md5sum <$base)" = "$was" ]'
}

@test "where hosts share the SR, a server that follows another waits for who changes it" {
	needs SHARED_SR
	guest_log on
	in_guest 'echo 10000000000000000000000000000000 >/etc/machine-id; sm sr forget disks
		sm sr introduce '"$SR"' --type file --dconf location=/srv/d --dconf shared=true --name disks
		sm vdi attach v; pattern 1 0 1; judge sync $D'
	python3 - "$SR" "$BATS_TEST_TMPDIR/record" <<-'END'
		import struct, sys, uuid, zlib
		r = b"SMLEASE1" + bytes(4) + bytes([2, 1, 0, 1]) + struct.pack(">QQIIQQq", 0x1000, 7, 30, 1, 1, 1, 1)
		r += uuid.UUID(sys.argv[1]).bytes + uuid.UUID("cccccccc-0000-4000-8000-000000000003").bytes * 2
		r = (r + b"x".ljust(32, b"\0") + b"x").ljust(512, b"\0")
		open(sys.argv[2], "wb").write(r[:8] + struct.pack(">I", zlib.crc32(r)) + r[12:])
	END
	guest_put "$BATS_TEST_TMPDIR/record" "/srv/d/.$SR.xenlk.0000000000001000"
	in_guest 'w=$(worker); kill -9 $w
		check 1 0 1 & c=$!
		for ((i = 0; i < 20; i++)); do kill -0 $c; sleep 0.1; done
		rm /srv/d/.'"$SR"'.xenlk.0000000000001000
		wait $c; sm lock list --json | grep >/dev/null "\"kind\": \"attached\""'
	# Its lock is broken by another host, which is to be the only one that writes.  Once is enough.
	in_guest 'mkdir -p /tmp/h2/etc; echo 20000000000000000000000000000000 >/tmp/h2/etc/machine-id
		SM_ROOT=/tmp/h2 sm sr introduce '"$SR"' --type file --dconf location=/srv/d --dconf shared=true --name disks
		pattern 2 4 1; judge sync $D
		# From the moment it knows nothing is written, however long the rest takes: each step takes a second here.
		judge strace -qq -p $(worker) -e trace=sendto -e inject=sendto:delay_enter=1000000 -o /dev/null >/dev/null 2>&1 & s=$!
		while ! grep "TracerPid:.*[1-9]" /proc/$(worker)/status; do sleep 0.02; done
		SM_ROOT=/tmp/h2 sm lock break $V --force; was=$(md5sum </srv/d/$V.vhd)
		while ! grep "given up" /tmp/log/messages; do sleep 0.02; done
		refused timeout 20 dd if=/dev/urandom of=$D bs=4k seek=1030 count=1 oflag=direct; wait $s || true
		for ((i = 0; i < 150; i++)); do [ -e /sys/block/nbd0/pid ] || break; sleep 0.1; done
		refused dd if=/dev/zero of=$D bs=4k count=1 oflag=direct
		[ "$(md5sum </srv/d/$V.vhd)" = "$was" ]
		sleep 2; [ -z "$(worker)" ]; refused timeout 5 dd if=/dev/zero of=$D bs=4k count=1 oflag=direct
		grep -c "given up" /tmp/log/messages | grep -x 1; grep -c "here is another" /tmp/log/messages | grep -x 1
		refused sm vdi snapshot v
		sm vdi detach v; nothing_left; image_is_sound; SM_ROOT=/tmp/h2 sm sr forget disks; rm -r /tmp/h2'
}

@test "where hosts share the SR, what the kernel writes alone: its lock is broken, and the keeper sees it, whoever was killed" {
	needs SHARED_SR LOCK_KEEPER DATAPATH_LOOP DATAPATH_HYBRID
	in_guest 'sm sr forget disks; mkdir -p /tmp/h2/etc; echo 20000000000000000000000000000000 >/tmp/h2/etc/machine-id
		[ -s /etc/machine-id ] || echo 10000000000000000000000000000000 >/etc/machine-id
		for root in "" /tmp/h2; do
			SM_ROOT=$root sm sr introduce '"$SR"' --type file --dconf location=/srv/d --dconf shared=true --name disks
		done
		k=/run/sm/keeper/'"$SR"'
		other() { SM_ROOT=/tmp/h2 "$@"; }
		dead() {
			kill -9 "$@"
			for p; do
				while kill -0 "$p" 2>/dev/null; do sleep 0.02; done
			done
		}
		write() { dd if=/dev/zero of="$1" bs=4k seek="$2" count=1 oflag=direct conv=notrunc status=none; }
		# until_fails DEVICE: it takes what is written, and then no more.
		until_fails() {
			for ((i = 0; i < 300; i++)); do
				write "$1" 1 2>/dev/null || return 0
				sleep 0.1
			done
			return 1
		}
		R=$(sm vdi create raw --sr disks --size 4M --format raw)
		r=$(sm vdi attach raw); one=$(cat $k); kill -0 $one
		sm vdi attach v; [ $(cat $k) = $one ]
		sm vdi attach raw; sm vdi resize raw 6M; echo early | dd of=$r conv=sync,fsync status=none
		# Broken while nobody looks: the next one knows.  The other disk goes on.
		dead $one; other sm lock break $R --force; sm vdi rename raw raw2
		two=$(cat $k); [ $two != $one ]; until_fails $r; was=$(md5sum </srv/d/$R.raw)
		refused write $r 0; refused dd if=$r of=/dev/null bs=4k count=1 iflag=direct
		[ "$(md5sum </srv/d/$R.raw)" = "$was" ]
		pattern 1 0 8; judge sync $D; check 1 0 8
		for verb in "attach raw2" "resize raw2 8M" "activate raw2"; do
			refused sm vdi $verb | grep "has been broken"
		done
		sm vdi show raw2 | grep "(lock broken)"; sm vdi list --sr disks | grep -c "(lock broken)" | grep -x 1
		sm lock show raw2 | grep broken; sm lock list | grep "$R .*broken"; sm vdi show raw2 --json | grep "\"lost\": true"
		sm vdi detach raw2; refused grep -s $R /sys/block/loop*/loop/backing_file; [ $(cat $k) = $two ]
		sm lock list --minimal | grep -x $V
		r=$(sm vdi attach raw2); [ "$(head -c 5 $r)" = early ]; sm vdi detach raw2
		# A server that is dead with its own keeper, and full blocks, which the kernel writes without it.
		for ((i = 0; i < 100; i++)); do
			[ "$(judge dmsetup table sm-$V-full | wc -l)" -lt 2 ] || break
			sleep 0.1
		done
		dead $(keeper) $(worker); write $D 1
		dead $two; other sm lock break $V --force; sm vdi rename raw2 raw3
		until_fails $D; refused write $D 0
		sm vdi detach v; [ ! -e $k ]; nothing_left
		other sm sr forget disks; rm -r /tmp/h2'
}

@test "the server is killed: another one takes over, and nothing acknowledged is lost" {
	in_guest 'sm vdi attach v
		pattern 1 0 4; judge sync $D
		# Acknowledged, but not flushed: new blocks and new sectors of old ones.
		for i in 0 7 8 30 31 60; do pattern $((i + 2)) $i 1; done
		k=$(keeper); w=$(worker); kill -9 $w; wait_worker $w
		for i in 0 7 8 30 31 60; do check $((i + 2)) $i 1; done
		check 1 1 3; [ "$(keeper)" = $k ]
		# What needs no metadata is to be flushed by the next one all the same, who has not written it.
		flushes() { awk "{ print \$16 }" /sys/block/ubda/stat; }
		judge sync $D; pattern 5 1 1; w=$(worker); kill -9 $w; wait_worker $w; check 5 1 1
		f=$(flushes); judge sync $D; [ $(flushes) -gt $f ]; pattern 1 1 1
		pattern 99 20 4; check 99 20 4
		sm vdi detach v; nothing_left; image_is_sound
		sm vdi attach v; check 2 0 1; check 62 60 1; check 99 20 4; sm vdi detach v'
}

@test "the server is killed under load: requests wait, and none fails" {
	in_guest 'sm vdi attach v
		fio --size=32M --rw=randwrite --bs=4k --iodepth=4 --number_ios=4000 --do_verify=1 &
		sleep 1; w=$(worker); kill -9 $w; wait_worker $w; wait $!
		sm vdi detach v; image_is_sound' 120
}

@test "without netlink, as in a network namespace: the older calls; a server that dies takes the device along" {
	needs NBD_IOCTL SNAPSHOTS
	in_guest 'alone() { busybox unshare -n "$@"; }
		[ "$(alone sm vdi attach v)" = $D ]; refused sm vdi attach v --read-only
		fio --size=16M --rw=randwrite --bsrange=512-64k --iodepth=8 --number_ios=60 --fsync=20 --do_verify=1
		pattern 1 20 2; sm vdi snapshot v before >/dev/null; pattern 2 21 1; check 1 20 1; check 2 21 1
		sm vdi resize v 80M; [ "$(blockdev --getsize64 $D)" = 83886080 ]; pattern 3 78 2; check 3 78 2
		exec 7<$D; refused sm vdi detach v; exec 7<&-; alone sm vdi detach v; nothing_left; image_is_sound
		alone sm vdi attach v; check 1 20 1; check 2 21 1; check 3 78 2; pattern 4 0 1; judge sync $D
		kill -TERM $(cat /sys/block/nbd0/pid); check 4 0 1
		kill -9 $(for p in $(cat /proc/$(keeper)/task/$(keeper)/children); do [ $p = $(cat /sys/block/nbd0/pid) ] || echo $p; done)
		refused dd if=$D of=/dev/null bs=4k count=1 iflag=direct
		while [ -s /run/sm/server/$V ]; do sleep 0.02; done
		refused sm vdi attach v | grep "the server of VDI $V has died"
		sm vdi detach v; nothing_left; image_is_sound
		sm vdi attach v --read-only; check 4 0 1; check 3 78 2; sm vdi detach v' 120
}

@test "its number is another disk's before its server has ended: that one is left alone" {
	needs NBD_IOCTL
	in_guest 'mkdir /srv/e; sm sr create more --type file --dconf location=/srv/e
		W=$(sm vdi create w --sr more --size 64M --format vhd) other=/dev/mapper/sm-$W
		for how in "" "busybox unshare -n"; do
			$how sm vdi attach v
			w=$(for p in $(cat /proc/$(keeper)/task/$(keeper)/children); do [ $p = $(cat /sys/block/nbd0/pid) ] || echo $p; done)
			kill -STOP $w; $how sm vdi detach v & d=$!
			while [ -e /sys/block/nbd0/pid ]; do sleep 0.02; done
			kill -9 $d; wait $d || true
			until $how sm vdi attach w; [ -e /sys/block/nbd0/pid ]; do sm vdi detach w; done
			D=$other pattern 7 0 1
			refused sm vdi attach v | grep "the server of VDI $V has died, or is about to"
			$how sm vdi detach v & d=$!
			sleep 0.5; D=$other check 7 0 1; kill -CONT $w; wait $d
			D=$other check 7 0 1; judge sync $other; sm vdi detach w; image_is_sound
		done
		sm vdi delete w; sm sr destroy more' 120
}

@test "the last of it cannot be stored: detach says so, once, and the disk is detached" {
	in_guest 'size=$(blockdev --getsz /dev/ram0)
		below() {
			judge dmsetup suspend --nolockfs below
			echo "0 $size $1" | judge dmsetup reload below; judge dmsetup resume below
		}
		echo "0 $size linear /dev/ram0 0" | judge dmsetup create below; judge mkfs.ext4 -qF /dev/mapper/below
		mkdir -p /srv/below; mount /dev/mapper/below /srv/below; mkdir /srv/below/d
		sm sr create below --type file --dconf location=/srv/below/d
		V=$(sm vdi create z --sr below --size 64M --format vhd); D=$(sm vdi attach z)
		pattern 5 0 1; judge sync $D; pattern 6 4 1; sync
		below "flakey /dev/ram0 0 0 1000 1 error_writes"
		refused sm vdi detach z | grep "VDI $V: what was written last could not be stored"
		nothing_left; sm vdi show z --json | grep >/dev/null "\"attached\": null"; sm vdi detach z
		below "linear /dev/ram0 0"; sm sr forget below; umount /srv/below; judge dmsetup remove below'
}

@test "who attached it may go, and signals do not end it" {
	in_guest 'setsid sm vdi attach v; kill -TERM $(keeper) $(worker); kill -HUP $(keeper) $(worker); kill -INT $(worker)
		pattern 5 0 4; check 5 0 4
		[ "$(awk "/VmLck/ { print (\$2 > 0) }" /proc/$(worker)/status)" = 1 ]
		[ "$(cat /proc/$(worker)/oom_score_adj)" = -1000 ]
		[ "$(readlink /proc/$(worker)/cwd)" = / ]
		sm vdi detach v; nothing_left'
}

@test "2040 GiB, by many at once and all over: the server has less than 32 MiB" {
	in_guest 'V=$(sm vdi create big --sr disks --size 2040G --format vhd); D=$(sm vdi attach big); w=$(worker)
		judge fio --name=x --filename=$D --direct=1 --ioengine=libaio --iodepth=64 --rw=randrw --bsrange=4k-1m --number_ios=400 >/dev/null
		[ "$(worker)" = $w ]
		awk "/VmHWM|VmLck|Threads/ { print } /VmHWM/ { most = \$2 } /VmLck/ { locked = \$2 }
			END { exit !(most > 8000 && most <= 32768 && locked > 8000 && locked <= 32768) }" /proc/$w/status
		sm vdi detach big; image_is_sound'
}

@test "half an attach, half a detach: the next one finishes it" {
	in_guest 'sm vdi attach v; pattern 3 0 1; judge dmsetup remove sm-$V
		refused sm vdi delete v
		[ "$(sm vdi attach v)" = $D ]; check 3 0 1
		judge dmsetup remove sm-$V; sm vdi detach v; nothing_left
		sm vdi attach v; check 3 0 1; sm vdi detach v'
}

@test "keeper and server are dead: attach says so, detach clears it, the image is sound" {
	in_guest 'sm vdi attach v; pattern 4 0 2; judge sync $D
		kill -9 $(keeper) $(worker)
		refused sm vdi attach v | grep "the server of VDI $V has died"
		sm vdi detach v; nothing_left; image_is_sound
		sm vdi attach v; check 4 0 2; sm vdi detach v'
}

@test "many at once: each has its own server and device" {
	in_guest 'for i in 1 2 3 4 5 6; do sm vdi create d$i --sr disks --size 32M --format vhd >/dev/null; done
		for i in 1 2 3 4 5 6; do sm vdi attach d$i >/tmp/d$i & done; wait
		for i in 1 2 3 4 5 6; do D=$(cat /tmp/d$i) pattern $i 0 2; done
		for i in 1 2 3 4 5 6; do D=$(cat /tmp/d$i) check $i 0 2; done
		for i in 1 2 3 4 5 6; do sm vdi detach d$i & done; wait
		nothing_left'
}

@test "the power fails under load: what was flushed is there" {
	in_guest 'sm vdi attach v; pattern 6 0 4; pattern 7 40 4; judge sync $D
		(. /tmp/nbd.bash; fio --offset=8M --size=24M --rw=randwrite --bs=4k --iodepth=4 --fsync=10 --time_based --runtime=60) >/dev/null 2>&1 &
		sleep 1'
	lab_kill
	lab_restart
	guest_put "$BATS_TEST_DIRNAME/nbd/guest.bash" /tmp/nbd.bash
	guest_ok "mount /dev/ubda /srv; sm sr introduce $SR --type file --dconf location=/srv/d --name disks" >/dev/null
	in_guest 'image_is_sound; sm vdi attach v; check 6 0 4; check 7 40 4; sm vdi detach v; image_is_sound'
}
