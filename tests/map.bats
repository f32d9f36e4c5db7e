#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# VHD disks that are only read: one table of device-mapper, compared with what qemu-img reads.

setup_file() {
	load helpers/lab
	load helpers/sm
	lab_start --disk a:1G --disk b:512M
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
	needs SR_FILE SR_LVM DATAPATH_MAP DATAPATH_NBD FRONT_CLI
}

teardown() {
	guest 'for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; done
		for i in 1 2 3 4; do for v in $(sm vdi list --minimal | tr , " "); do sm vdi delete $v; done; done
		sm sr destroy disks; umount /run/sr-mount/* /mnt/k 2>/dev/null; judge losetup -D; rm -rf /mnt/4k.img /srv/* /srv/.sm /etc/smtab /run/sm /dev/sm' >/dev/null 2>&1 || true
	guest 'ls /dev/mapper; ls -d /sys/block/loop*/loop 2>/dev/null'
	[ "$output" = control ]
}

# new_sr TYPE DCONF; in_guest TEXT: with the words of nbd/guest.bash and our own.
new_sr() {
	guest_ok "mkdir -p /srv/d; sm sr create disks --type $1 --dconf $2" >/dev/null
	SR=$output
}

in_guest() {
	guest_ok -t "${2:-120}" ". /tmp/nbd.bash; SR=$SR
		backend() { sm vdi show \$1 --json | sed -n 's/.*\"backend\": *\"\([a-z]*\)\".*/\1/p'; }
		sum() { md5sum <\$1 | cut -d' ' -f1; }
		put() {		# put VDI [SECTOR COUNT]...
			local d=\$1; shift; sm vdi attach \$d >/dev/null
			while [ \$# -gt 0 ]; do
				head -c \$((\$2 * 512)) /dev/urandom | dd of=/dev/mapper/sm-\$d bs=512 seek=\$1 iflag=fullblock oflag=direct status=none; shift 2; done
			sm vdi detach \$d
		}
		# Three levels, with holes in each and data in single sectors.
		tree() {
			v=\$(sm vdi create v --sr disks --size 16M --format \$1)
			put \$v 0 7 101 1 4090 20 20001 3000; s1=\$(sm vdi snapshot v one)
			put \$v 3 5 4095 2 9000 40; s2=\$(sm vdi snapshot v two); put \$v 5 1 8192 4096 32767 1
		}
		$1"
}

@test "files: a chain of three, a snapshot in it and a read-only leaf show what the images hold" {
	new_sr file location=/srv/d
	in_guest 'tree vhd
		for d in $v $s1; do
			[ "$(sm vdi attach $d --read-only)" = /dev/mapper/sm-$d ]; [ "$(backend $d)" = map ]
			sm image convert /srv/d/$d.vhd /srv/flat.raw; [ "$(sum /srv/flat.raw)" = "$(sum /dev/mapper/sm-$d)" ]; rm /srv/flat.raw
		done
		judge dmsetup table sm-$v | grep >/dev/null " zero"; [ -z "$(ls /run/sm/server)" ]
		refused dd if=/dev/zero of=/dev/mapper/sm-$s1 bs=512 count=1 conv=fsync; refused sm vdi attach $s1; refused sm vdi delete $s1
		# In use: it is not taken away, and an attach maps it again under the reader.
		was=$(sum /dev/mapper/sm-$s1); exec 7</dev/mapper/sm-$s1; refused sm vdi detach $s1
		[ "$(sm vdi attach $s1 --read-only)" = /dev/mapper/sm-$s1 ]; [ "$(sum /dev/fd/7)" = "$was" ]; exec 7<&-
		# What a detach leaves that died behind its commit; and the loop devices go by themselves.
		judge dmsetup remove sm-$s1; sm vdi detach $s1; sm vdi detach $v; [ -z "$(ls -d /sys/block/loop*/loop 2>/dev/null)" ]
		# An empty disk is nothing but zeroes.
		e=$(sm vdi create e --sr disks --size 8M --format vhd); sm vdi attach e --read-only
		[ "$(judge dmsetup table sm-$e)" = "0 16384 zero " ]; sm vdi detach e'
}

@test "files: as many pieces as a table may have, and one more" {
	new_sr file location=/srv/d
	in_guest 'v=$(sm vdi create v --sr disks --size 64M --format vhd); f=/srv/d/$v.vhd
		# Blocks of which a page is missing, so that their bitmaps are read; then every second one is.
		put $v $(for i in $(seq 0 31); do echo $((i * 4096)) 4088; done)
		at=$(sm image map $f --json | sed -n "s/.*\"offset\": *\([0-9]*\).*/\1/p" | head -n 1)
		printf "\\252%.0s" $(seq 512) >/tmp/comb
		for i in $(seq 0 31); do dd if=/tmp/comb of=$f bs=512 seek=$((at / 512 - 1 + i * 4104)) conv=notrunc status=none; done
		sync $f; from=$(cut -d. -f1 /proc/uptime); sm vdi attach $v --read-only; echo "attached in $(($(cut -d. -f1 /proc/uptime) - from)) s"
		[ "$(backend $v)" = map ]; judge dmsetup info sm-$v | grep "targets: 131072"
		sm image convert $f /srv/flat.raw; [ "$(sum /srv/flat.raw)" = "$(sum /dev/mapper/sm-$v)" ]; sm vdi detach $v
		sm vdi resize $v 66M; put $v 131073 1
		sm -v vdi attach $v --read-only 2>/tmp/why; grep "is not mapped: it is in more than 131072 pieces" /tmp/why
		[ "$(backend $v)" = nbd ]; sm vdi detach $v'
}

@test "volumes: the same, with a raw disk at the bottom and the server as the judge" {
	new_sr lvm device=/dev/ubdb
	in_guest 'tree raw
		for d in $v $s2; do
			[ "$(sm vdi attach $d --read-only)" = /dev/mapper/sm-$d ]; [ "$(backend $d)" = map ]; m=$(sum /dev/mapper/sm-$d)
			sm vdi detach $d; [ -z "$(judge dmsetup ls | grep -v "No devices")" ]
			sm vdi serve $d --read-only --socket /tmp/s >/dev/null 2>&1 & p=$!
			until [ -S /tmp/s ]; do sleep 0.05; done
			judge qemu-img convert -f raw -O raw "nbd+unix:///$d?socket=/tmp/s" /tmp/flat; [ "$(sum /tmp/flat)" = $m ]
			kill $p; wait $p || true; rm -f /tmp/flat /tmp/s
		done
		# In use it is snapshotted and cloned, shows the same before and after it is mapped again, and leaves nothing.
		D=$(sm vdi attach $v --read-only); m=$(sum $D); exec 7<$D; sm vdi snapshot v s >/dev/null; sm vdi clone v c >/dev/null
		[ "$(sum /dev/fd/7)" = $m ]; sm vdi attach $v --read-only >/dev/null; [ "$(sum $D)" = $m ]; exec 7<&-
		c=$(sm vdi attach c --read-only); [ "$(sum $c)" = $m ]; sm vdi detach c; sm vdi detach v; [ -z "$(judge dmsetup ls | grep -v "No devices")" ]
		D=$(sm vdi attach v); [ "$(sum $D)" = $m ]; sm vdi detach v; judge vgck VG_XenStorage-$SR; sm sr check disks
		# The record of an attachment is lost: the SR goes all the same.
		sm vdi attach $s2 --read-only; rm -r /run/sm/attached; sm sr detach disks; [ -z "$(judge dmsetup ls | grep -v "No devices")" ]
		sm sr attach disks; judge vgck VG_XenStorage-$SR'
}

@test "sectors of 4096 bytes below: what is not aligned to them is left to the server, and the log says so" {
	guest_ok 'truncate -s 200M /mnt/4k.img && d=$(judge losetup -f --show -b 4096 /mnt/4k.img) && judge mkfs.ext4 -qF $d && mkdir -p /mnt/k && mount $d /mnt/k && mkdir /mnt/k/d' >/dev/null
	new_sr file location=/mnt/k/d
	in_guest 'v=$(sm vdi create v --sr disks --size 16M --format vhd); put $v 0 8 800 64
		sm vdi attach $v --read-only; [ "$(backend $v)" = map ]; [ "$(blockdev --getss /dev/mapper/sm-$v)" = 4096 ]
		sm image convert /mnt/k/d/$v.vhd /srv/flat.raw; [ "$(sum /srv/flat.raw)" = "$(sum /dev/mapper/sm-$v)" ]; sm vdi detach $v
		# An image of another tool: its blocks begin at any sector of 512 bytes.
		u=44444444-5555-6666-7777-888888888888; head -c 4194304 /dev/urandom >/tmp/r
		judge qemu-img convert -f raw -O vpc -o force_size=on /tmp/r /tmp/q.vhd; cp /tmp/q.vhd /mnt/k/d/$u.vhd
		sm -v vdi attach $u --sr disks --read-only 2>/tmp/why; grep -q "is not mapped: the disk below has sectors of 4096 bytes" /tmp/why
		[ "$(backend $u)" = nbd ]; [ "$(sum /dev/mapper/sm-$u)" = "$(sum /tmp/r)" ]
		sm vdi detach $u; sm vdi delete $u; sm vdi delete $v; sm sr destroy disks'
}
