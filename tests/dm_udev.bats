#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Device-mapper where systemd-udevd runs with the rules of the distribution.

setup_file() {
	load helpers/lab
	load helpers/dm
	[ -x /lib/systemd/systemd-udevd ] || _lab_broken 'udev is not installed'
	lab_start --disk a:64M
	dm_tool
	guest_ok 'judge env -u DM_DISABLE_UDEV /lib/systemd/systemd-udevd --daemon --resolve-names=never
		sed -i "s/udev_sync = 0/udev_sync = 1/; s/udev_rules = 0/udev_rules = 1/" /judge/etc/lvm/lvmlocal.conf' >/dev/null
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/dm
	A=98:0
	UUID=$(printf 'LVM-%032d%032d' 7 1)
}

teardown() {
	guest 'kill -CONT $(pidof systemd-udevd); umount /mnt/x; judge udevadm settle -t 5
		judge dmsetup remove_all -f; judge udevadm settle -t 5' >/dev/null 2>&1 || true
}

# activate NAME TABLE [KEY=VALUE…]
activate() {
	guest_ok "echo '$2' | dmt activate name='$1' ${*:3}" >/dev/null
}

# What udev knows of a device.
udev_says() {
	guest "judge udevadm info -q property /dev/mapper/$1" >/dev/null
}

@test "udev makes the names, we wait for them, and it removes them" {
	activate vg-lv "0 1024 linear $A 0" uuid=$UUID group=vg volume=lv
	n=${output#*:}
	prints 'readlink /dev/mapper/vg-lv; readlink /dev/vg/lv; ls /dev/disk/by-id' \
		"../dm-$n"$'\n'"../dm-$n"$'\n'"dm-name-vg-lv"$'\n'"dm-uuid-$UUID"
	udev_says vg-lv
	[[ $output == *DM_ACTIVATION=1* && $output == *DM_UDEV_PRIMARY_SOURCE_FLAG=1* ]]
	activate vg-lv "0 1024 linear $A 0" uuid=$UUID group=vg volume=lv
	guest_ok 'dmt deactivate name=vg-lv group=vg volume=lv'
	no_dm
}

@test "kinds: what is on an LV is looked at, on a guest's disk it is not" {
	guest_ok 'judge mkfs.ext4 -qF /dev/ubda && judge udevadm settle'
	activate vg-lv "0 65536 linear $A 0" uuid=$UUID group=vg volume=lv kind=0
	udev_says vg-lv
	[[ $output == *ID_FS_TYPE=ext4* ]]
	guest_ok 'dmt deactivate name=vg-lv group=vg volume=lv'
	activate vg-lv "0 65536 linear $A 0" uuid=$UUID group=vg volume=lv kind=1
	udev_says vg-lv
	[[ $output != *ID_FS_* && $output == *DM_UDEV_DISABLE_OTHER_RULES_FLAG=1* ]]
	guest_ok '[ -L /dev/vg/lv ] && dmt deactivate name=vg-lv group=vg volume=lv'
	activate vg-lv_tmeta "0 65536 linear $A 0" uuid=$UUID-tmeta kind=2
	udev_says vg-lv_tmeta
	[[ $output != *ID_FS_* ]]
	guest_ok '[ -L /dev/mapper/vg-lv_tmeta ] && [ ! -e /dev/vg ] && dmt deactivate name=vg-lv_tmeta
		dd if=/dev/zero of=/dev/ubda bs=1M count=1 2>/dev/null'
	no_dm
}

@test "odd names are the same for udev" {
	grun sh -c 'echo 0 8 zero | dmt activate "name=odd one"' >/dev/null
	guest_ok '[ -L "/dev/mapper/odd\\x20one" ]'
	grun dmt deactivate 'name=odd one'
	[ "$status" -eq 0 ]
	no_dm
}

@test "links below another root are ours, and /dev has none" {
	activate vg-lv "0 8 zero" uuid=$UUID group=vg volume=lv root=/tmp/root
	guest_ok '[ -L /tmp/root/dev/vg/lv ] && [ ! -e /dev/vg ] && [ -L /dev/mapper/vg-lv ]
		dmt deactivate name=vg-lv group=vg volume=lv root=/tmp/root && [ ! -e /tmp/root/dev/vg ]'
	no_dm
}

@test "reload and move" {
	activate vg-lv "0 1024 linear $A 0" uuid=$UUID group=vg volume=lv
	guest_ok "echo 0 2048 linear $A 0 | dmt reload name=vg-lv uuid=$UUID group=vg volume=lv"
	prints 'blockdev --getsize64 /dev/vg/lv' $((2048 * 512))
	guest_ok "dmt move name=vg-lv uuid=$UUID group=vg volume=lv to=vg-new to_volume=new"
	prints 'ls /dev/mapper /dev/vg' $'/dev/mapper:\ncontrol\nvg-new\n\n/dev/vg:\nnew'
	guest_ok 'dmt deactivate name=vg-new group=vg volume=new'
	no_dm
}

@test "a device that udev is still looking at is removed all the same" {
	for _ in 1 2 3 4 5; do
		activate vg-lv "0 65536 linear $A 0" uuid=$UUID group=vg volume=lv
		# Closed after writing: udev opens it once more.
		guest_ok 'echo x >/dev/vg/lv; dmt deactivate name=vg-lv group=vg volume=lv'
	done
	no_dm
}

@test "udev does not answer: at the deadline the names are there, and udev may go on later" {
	guest_ok 'kill -STOP $(pidof systemd-udevd)'
	SECONDS=0
	activate vg-lv "0 1024 linear $A 0" uuid=$UUID group=vg volume=lv wait=500
	[ "$SECONDS" -lt 10 ]
	n=${output#*:}
	prints 'readlink /dev/mapper/vg-lv; readlink /dev/vg/lv; tail -n +2 /proc/sysvipc/sem' \
		"../dm-$n"$'\n'/dev/mapper/vg-lv
	# One that was just woken may look idle before it has read what waits for it.
	guest_ok "kill -CONT \$(pidof systemd-udevd); judge udevadm settle
		for i in \$(seq 100); do [ \"\$(readlink /dev/vg/lv)\" = ../dm-$n ] && break; sleep 0.1; done"
	prints 'readlink /dev/mapper/vg-lv; readlink /dev/vg/lv' "../dm-$n"$'\n'"../dm-$n"
	guest_ok 'kill -STOP $(pidof systemd-udevd); dmt deactivate name=vg-lv group=vg volume=lv wait=500
		! ls /dev/mapper/vg-lv /dev/vg/lv 2>/dev/null; kill -CONT $(pidof systemd-udevd); judge udevadm settle'
	no_dm
}

@test "beside lvm2 with udev: each ends what the other began" {
	guest_ok 'judge pvcreate -qffy /dev/ubda && judge vgcreate -q vg-x /dev/ubda &&
		judge env -u DM_DISABLE_UDEV lvcreate -q -an -Zn -L 8M -n a vg-x' >/dev/null
	guest 'judge lvs --noheadings -o vg_uuid,lv_uuid vg-x/a | tr -d " -"' >/dev/null
	uuid=LVM-$output
	activate vg--x-a "0 16384 linear $A 2048" uuid=$uuid group=vg-x volume=a
	guest_ok '[ "$(readlink -f /dev/vg-x/a)" = /dev/dm-0 ] && judge env -u DM_DISABLE_UDEV lvchange -q -an vg-x/a'
	no_dm
	guest_ok 'judge env -u DM_DISABLE_UDEV lvchange -q -ay vg-x/a && [ -e /dev/vg-x/a ]
		dmt deactivate name=vg--x-a group=vg-x volume=a'
	no_dm
	guest_ok 'judge vgremove -qff vg-x && judge pvremove -q /dev/ubda' >/dev/null
}

@test "udev was killed: its socket stays, and nobody waits for ever" {
	guest_ok 'kill -9 $(pidof systemd-udevd); [ -S /run/udev/control ]'
	activate vg-lv "0 1024 linear $A 0" uuid=$UUID group=vg volume=lv wait=500
	guest_ok 'echo x >/dev/vg/lv; dmt deactivate name=vg-lv group=vg volume=lv wait=500'
	no_dm
}
