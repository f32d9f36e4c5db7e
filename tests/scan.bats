#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which devices there are, what is on them, and which are left alone.

setup_file() {
	load helpers/lab
	load helpers/dm
	lab_start --disk a:512M --disk b:64M --disk c:16M
	dm_tool
	guest_ok 'mkdir -p /mnt/x'
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/dm
}

teardown() {
	guest 'umount /mnt/x; swapoff -a; for i in 1 2 3; do judge dmsetup remove_all -f; done; losetup -D
		for i in a b c; do dmt wipe path=/dev/ubd$i; dd if=/dev/zero of=/dev/ubd$i bs=1M count=4; blockdev --rereadpt /dev/ubd$i; done' >/dev/null 2>&1 || true
}

# seen NAME PATTERN: the scan's line of a device.
seen() {
	guest "dmt scan | grep '^$1 '" >/dev/null || true
	# shellcheck disable=SC2053 # the right side is a pattern
	[[ $output == $2 ]] || {
		echo "$1 is shown as: $output" >&2
		return 1
	}
}

# signatures: what dmt and wipefs find on /dev/ubda.
as_wipefs_sees_it() {
	guest 'judge wipefs -n --noheadings -O TYPE,OFFSET /dev/ubda | sed "s/  */ /g; s/ *$//" | sort' >/dev/null
	theirs=$output
	guest 'dmt probe path=/dev/ubda | sort' >/dev/null
	ours=$output
}

@test "plain disks, a loop device, sizes and sectors as the kernel has them" {
	seen ubda "ubda /dev/ubda 98:0 $((512 << 20)) 512: ok; free"
	guest_ok 'truncate -s 8M /tmp/image && losetup -r /dev/loop3 /tmp/image'
	seen loop3 "loop3 /dev/loop3 7:3 $((8 << 20)) 512 ro: ok; free"
	guest_ok 'losetup -d /dev/loop3 && mkdir -p /run/sr-mount/1 && cp /tmp/image /run/sr-mount/1/2.raw &&
		losetup /dev/loop3 /run/sr-mount/1/2.raw'
	seen loop3 "* a guest's disk; free"
	guest_ok 'losetup -d /dev/loop3; rm -r /run/sr-mount'
}

@test "mounted, swap, partitions, and what is below others" {
	guest_ok 'judge mkfs.ext4 -qF /dev/ubda && mount /dev/ubda /mnt/x'
	seen ubda '*: ok; /dev/ubda is mounted at /mnt/x'
	guest_ok 'judge mkswap /dev/ubdb && swapon /dev/ubdb' >/dev/null
	seen ubdb '*: ok; /dev/ubdb is used as swap'
	guest_ok 'printf "2048,8192,83\n,,8e\n" | judge sfdisk -q /dev/ubdc'
	seen ubdc '*: a whole disk with partitions; free'
	seen ubdc2 '*: ok; free'
	guest_ok "echo 0 1024 linear \$(cat /sys/block/ubdc/ubdc2/dev) 0 | dmt activate name=sm-1" >/dev/null
	seen ubdc2 '*: ok; /dev/ubdc2 is a part of /dev/mapper/sm-1'
	seen ubdc '*; /dev/ubdc2 is a part of /dev/mapper/sm-1'
	seen dm-0 "dm-0 /dev/mapper/sm-1 *: a guest's disk; free"
	guest_ok 'dmt deactivate name=sm-1'
}

@test "LVs are guests' disks; PVs below them are not" {
	guest_ok 'judge pvcreate -qffy /dev/ubda && judge vgcreate -q vg /dev/ubda && judge lvcreate -qWn -Zn -L 8M -n lv vg' >/dev/null
	seen dm-0 "dm-0 /dev/mapper/vg-lv *: a guest's disk; free"
	seen ubda '*: ok; /dev/ubda is a part of /dev/mapper/vg-lv'
	guest 'dmt scan guests=1 | grep ^dm-0' >/dev/null
	[[ $output == *": ok; free" ]]
	guest_ok 'judge vgremove -qff vg' >/dev/null
}

@test "paths of a multipath device are not looked into" {
	lab_mod dm-multipath dm-service-time
	guest_ok 'echo "0 2048 multipath 0 0 1 1 service-time 0 2 1 98:0 1 98:16 1" |
		dmt activate name=mpatha uuid=mpath-36001405 ' >/dev/null
	seen ubda '*: a path of a multipath device; /dev/ubda is a part of /dev/mapper/mpatha'
	seen dm-0 'dm-0 /dev/mapper/mpatha * 36001405: *'
	guest_ok 'dmt deactivate name=mpatha'
}

@test "file systems as wipefs sees them" {
	for make in 'mkfs.ext2 -qF' 'mkfs.ext3 -qF' 'mkfs.ext4 -qF' 'mkfs.xfs -qf' 'mkswap -q'; do
		guest_ok "dd if=/dev/zero of=/dev/ubda bs=1M count=4 2>/dev/null; judge $make /dev/ubda" >/dev/null
		as_wipefs_sees_it
		[ -n "$theirs" ] && [ "$ours" = "$theirs" ] || {
			echo "$make: '$ours', not '$theirs'" >&2
			return 1
		}
		guest_ok 'dmt wipe path=/dev/ubda && [ -z "$(judge wipefs -n --noheadings /dev/ubda)" ]' >/dev/null
	done
}

@test "partition tables and PVs as wipefs sees them" {
	guest_ok 'printf "label: gpt\n,,L\n" | judge sfdisk -q /dev/ubda'
	as_wipefs_sees_it
	[ "$ours" = "$theirs" ]
	[[ $ours == *PMBR*gpt*gpt* ]]
	guest_ok 'dmt wipe path=/dev/ubda && [ -z "$(judge wipefs -n --noheadings /dev/ubda)" ]' >/dev/null
	guest_ok 'printf "label: dos\n,,83\n" | judge sfdisk -q /dev/ubda'
	as_wipefs_sees_it
	[ "$ours" = "$theirs" ]
	guest_ok 'dmt wipe path=/dev/ubda; judge pvcreate -qffy --labelsector 2 /dev/ubda' >/dev/null
	as_wipefs_sees_it
	[[ $ours == "LVM2_member 0x400" && $theirs == LVM2_member* ]]
	guest_ok 'dmt wipe path=/dev/ubda && [ -z "$(judge wipefs -n --noheadings /dev/ubda)" ]' >/dev/null
}

@test "lvm2 sees a PV that came by another's hand once it looks again" {
	guest_ok 'judge pvcreate -qffy /dev/ubda /dev/ubdb && judge vgcreate -q vg /dev/ubda && judge vgcreate -q other /dev/ubdb &&
		dd if=/dev/ubda of=/tmp/pv bs=1M count=2 2>/dev/null &&
		judge vgremove -qff vg && judge pvremove -q /dev/ubda && judge pvs && [ -e /run/lvm/hints ]' >/dev/null
	guest_ok 'dd if=/tmp/pv of=/dev/ubda conv=fsync 2>/dev/null'
	prints 'judge vgs --noheadings -o vg_name | xargs' other
	guest_ok 'dmt look_again'
	prints 'judge vgs --noheadings -o vg_name | xargs' 'other vg'
	guest_ok 'judge vgremove -qff vg other' >/dev/null
}
