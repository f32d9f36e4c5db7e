#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sm image on logical volumes: VHDs in LVs, as the Python storage managers leave them.

setup_file() {
	load helpers/lab
	lab_start --disk a:256M
	for v in base child; do
		xz -dc "$BATS_TEST_DIRNAME/vectors/vhd/lvhd-$v.lv.xz" >"$LAB_DIR/a/share/$v.lv"
	done
}

teardown_file() {
	load helpers/lab
	lab_stop
}

VG=VG_XenStorage-5e8a1f3c-0c0d-4b1e-9a77-000000000001
BASE=VHD-00000000-0000-4000-8000-000000000001
CHILD=VHD-00000000-0000-4000-8000-000000000002

setup() {
	load helpers/lab
	needs CLI_IMAGE
	guest_ok "judge pvcreate -qq /dev/ubda && judge vgcreate -qq $VG /dev/ubda" >/dev/null
	D=/dev/$VG
}

teardown() {
	guest "judge vgremove -qq -f $VG; judge dmsetup remove_all -f; dd if=/dev/zero of=/dev/ubda bs=1M count=12
		rm -rf /tmp/i /dev/VG_* /dev/mapper/VG_*" >/dev/null 2>&1 || true
}

lv() {	# lv NAME SIZE
	guest_ok "judge lvcreate -qq -y -W n -Z n -n $1 -L $2 $VG && [ -b $D/$1 ]" >/dev/null
}

told() {
	sed -n "s/^$1 $2 //p" "$BATS_TEST_DIRNAME/vectors/vhd/expect"
}

@test "the volumes of a Python storage manager: by both of their names, with their parents" {
	for v in base child; do
		name=$BASE
		[ $v = base ] || name=$CHILD
		lv "$name" "$(($(stat -c %s "$LAB_DIR/a/share/$v.lv") / 1048576 + 1))M"
		# A volume keeps its footer in its last sector.
		guest_ok "dd if=/share/$v.lv of=$D/$name bs=1M 2>/dev/null && tail -c 512 /share/$v.lv |
			dd of=$D/$name bs=512 seek=\$((\$(blockdev --getsz $D/$name) - 1)) 2>/dev/null"
	done
	guest_ok "sm image info --json $D/$CHILD" >/dev/null
	jq -e --arg p "$D/$BASE" '.parent.path == $p and .format == "vhd" and .problems == []' <<<"$output"
	guest_ok "sm image convert $D/$CHILD /tmp/i && sha256sum </tmp/i" >/dev/null || true
	guest_ok "sm image convert -O raw $D/$CHILD /tmp/i && sha256sum </tmp/i" >/dev/null
	[[ "$output" == "$(told lvhd-child sha256) "* ]]
	dm=/dev/mapper/${VG//-/--}-
	guest_ok "sm image info --json $dm${CHILD//-/--}" >/dev/null
	jq -e --arg p "$dm${BASE//-/--}" '.parent.path == $p' <<<"$output"
	guest_ok "sm image convert -O raw $dm${CHILD//-/--} /tmp/i && sha256sum </tmp/i && sm image check $D/$CHILD" >/dev/null
	[[ "$output" == "$(told lvhd-child sha256) "* ]]
}

@test "create, snapshot, convert in place, grow, coalesce: all within volumes" {
	lv VHD-a 20M && lv VHD-b 20M && lv LV-c 12M && lv LV-d 8M
	# The new image lies where an old one was.
	guest_ok "dd if=/dev/urandom of=$D/LV-c bs=256K count=5 conv=fsync 2>/dev/null
		dd if=/share/child.lv of=$D/VHD-a bs=1M 2>/dev/null
		sm image convert $D/LV-c $D/VHD-a && sm image check $D/VHD-a && sm image convert $D/VHD-a -O raw /tmp/i && cmp /tmp/i $D/LV-c" >/dev/null
	guest_ok "sm image snapshot $D/VHD-a $D/VHD-b && sm image info --json $D/VHD-b" >/dev/null
	jq -e --arg p "$D/VHD-a" '.parent.path == $p and .virtual_size == 12582912' <<<"$output"
	guest_ok "sm image convert $D/VHD-b -O raw /tmp/i && cmp /tmp/i $D/LV-c && sm image resize $D/VHD-b 40M && sm image coalesce $D/VHD-b &&
		sm image check $D/VHD-b" >/dev/null
	guest_ok "sm image info --json $D/VHD-a" >/dev/null
	jq -e '.virtual_size == 41943040' <<<"$output"
	# A raw volume as parent, by its prefix.
	guest_ok "sm image snapshot $D/LV-c $D/VHD-b && sm image convert $D/VHD-b -O raw /tmp/i && cmp /tmp/i $D/LV-c"
	# What does not fit is known before, and a mounted or used volume is not touched.
	guest "sm image convert $D/LV-c $D/LV-d" || true
	[ "$status" -eq 5 ]
	[[ "$output" == *"$D/LV-d is too small: 12 MiB needed, it has 8 MiB"* ]]
	guest_ok "judge mkfs.ext4 -qF $D/LV-d && mount $D/LV-d /mnt"
	guest "sm image create $D/LV-d --size 2M -f vhd" || true
	[ "$status" -eq 3 ]
	guest_ok "umount /mnt"
}

@test "a raw volume is raw, whatever a guest wrote into it; old bytes of a device do not show" {
	lv LV-g 16M && lv VHD-x 16M
	guest_ok "sm image create $D/VHD-x --size 4M && dd if=$D/VHD-x of=$D/LV-g bs=1M 2>/dev/null && sm image info --json $D/LV-g" >/dev/null
	jq -e '.format == "raw" and .virtual_size == 16777216' <<<"$output"
	guest_ok "cat /share/base.lv /share/child.lv 2>/dev/null | dd of=$D/LV-g bs=64K count=256 2>/dev/null; truncate -s 8M /tmp/i
		echo data | dd of=/tmp/i bs=1 seek=5000000 conv=notrunc 2>/dev/null
		sm image convert -f raw /tmp/i $D/LV-g && head -c 8388608 $D/LV-g | cmp - /tmp/i"
	# A parent is looked for in the VG of its child and nowhere else.
	lv VHD-y 16M
	guest "sm image snapshot $D/VHD-x $D/VHD-y && mkdir /tmp/VG && ln -s $D/VHD-y /tmp/VG/VHD-y && sm image info /tmp/VG/VHD-y; echo \$?; rm -r /tmp/VG" || true
	[ "${lines[-1]}" -eq 4 ]
}
