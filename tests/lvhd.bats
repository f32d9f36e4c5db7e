#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# VHD disks in an lvm SR on a real kernel; lvm2 and qemu-img judge what lies there.

setup_file() {
	load helpers/lab
	load helpers/sm
	load helpers/dm
	lab_start --disk a:768M --disk b:256M
	dm_tool vhdt
	cp "$LAB_SRC/../helpers/chain.py" "$LAB_DIR/a/share/"
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_LVM FMT_VHD FRONT_CLI
	guest_ok "sm sr create disks --type lvm --dconf device=/dev/ubda ${THIN:+--dconf allocation=thin}" >/dev/null
	SR=$output
	VG=VG_XenStorage-$SR
}

teardown() {
	guest 'judge dmsetup remove_all -f; for d in a b; do dd if=/dev/zero of=/dev/ubd$d bs=1M count=12; done
		rm -rf /etc/smtab /run/sm /dev/sm /dev/VG_* /dev/mapper/VG_* /run/lock/lvm' >/dev/null 2>&1 || true
}

# lv NAME FIELDS: what lvm2 says of an LV, in one line.
lv() {
	guest_ok "judge lvs --noheadings --units b --nosuffix --separator ' ' -o $2 $VG/$1" >/dev/null
	output=$(echo $output)
}

# judged VDI…: is the VG sound to lvm2, and the image in each LV to qemu and libvhdi?
judged() {
	local v

	guest_ok "judge vgck $VG" >/dev/null
	for v; do
		guest_ok "judge lvchange -ay -K $VG/VHD-$v && judge vhdiinfo /dev/$VG/VHD-$v >/dev/null &&
			judge qemu-img info --output=json -f vpc /dev/$VG/VHD-$v; s=\$?
			judge lvchange -an $VG/VHD-$v; exit \$s" >/dev/null
	done
}

# put VDI SECTOR COUNT BYTE: write into a disk that nothing serves yet.
put() {
	guest_ok "judge lvchange -ay $VG/VHD-$1 && vhdt put /dev/$VG/VHD-$1 $2 $3 $4; s=\$?
		judge lvchange -an $VG/VHD-$1; exit \$s"
}

# shows VDI DEPTH [SECTOR COUNT BYTE]…: the disk, through its parents, as libvhdi reads it
# (which is wrong where only a part of eight sectors is in a child).
shows() {
	local vdi=$1 depth=$2 size

	shift 2
	size=$(jq -r --arg v "$vdi" '.vdis[] | select(.uuid == $v) | .virtual_size' <<<"$doc")
	truncate -s 0 "$BATS_TEST_TMPDIR/want"
	truncate -s "$size" "$BATS_TEST_TMPDIR/want"
	while [ $# -gt 0 ]; do
		head -c $(($2 * 512)) /dev/zero | tr '\0' "\\$(printf %o "$3")" |
			dd of="$BATS_TEST_TMPDIR/want" bs=512 seek="$1" conv=notrunc status=none
		shift 3
	done
	want="$depth $(md5sum <"$BATS_TEST_TMPDIR/want" | cut -d' ' -f1)"
	guest_ok "judge vgchange -ay $VG >/dev/null; judge /usr/bin/python3 /share/chain.py /dev/$VG/VHD-$vdi; s=\$?
		judge vgchange -an $VG >/dev/null; exit \$s" >/dev/null
	[ "$output" = "$want" ] || { echo "$vdi shows $output, not $want" >&2; return 1; }
}

@test "create, list, show, resize, delete: thick" {
	guest_ok 'sm vdi create one --sr disks --size 10M --format vhd' >/dev/null
	one=$output
	lv "VHD-$one" lv_size,lv_attr,lv_tags
	[ "$output" = "16777216 -wi-------" ]
	judged "$one"
	[ "$(jq '."virtual-size"' <<<"$output")" -eq 10485760 ]
	jsonof sm vdi show one
	is '.vdi.format == "vhd" and .vdi.virtual_size == 10485760 and .vdi.physical_size == 16777216 and .vdi.parent == null'
	guest_ok 'sm vdi resize one 33M' >/dev/null
	lv "VHD-$one" lv_size
	[ "$output" = 41943040 ]
	judged "$one"
	[ "$(jq '."virtual-size"' <<<"$output")" -eq 35651584 ]
	fails 1 '*format vhd*' sm vdi attach one
	guest_ok 'sm sr check disks && sm vdi delete one && sm sr destroy disks'
}

@test "snapshots and clones share what was there, and nothing that comes later" {
	guest_ok 'sm vdi create one --sr disks --size 10M --format vhd' >/dev/null
	one=$output
	put "$one" 0 8 65
	put "$one" 9000 16 66
	guest_ok 'sm vdi snapshot one snap' >/dev/null
	snap=$output
	put "$one" 8 8 67
	guest_ok 'sm vdi clone one two' >/dev/null
	two=$output
	put "$two" 0 8 68
	put "$one" 5000 8 69
	jsonof sm vdi list
	shows "$snap" 2 0 8 65 9000 16 66
	shows "$one" 3 0 8 65 8 8 67 9000 16 66 5000 8 69
	shows "$two" 3 0 8 65 8 8 67 9000 16 66 0 8 68
	judged "$one" "$snap" "$two"
	guest_ok 'sm sr check disks'
	guest_ok "sm vdi tree disks" >/dev/null
	[ "${#lines[@]}" -eq 6 ]
	jsonof sm vdi show snap
	is ".vdi.snapshot_of == \"$one\" and .vdi.physical_size == 8388608 and .vdi.read_only"
	base=$(jq -r .vdi.parent <<<"$doc")
	lv "VHD-$base" lv_size,lv_attr
	[ "$output" = "12582912 -ri-------" ]
	run ! guest "judge lvs --noheadings -o lv_name $VG | grep clone_"
	guest_ok "sm vdi delete one && sm vdi delete snap"
	jsonof sm vdi list
	shows "$two" 3 0 8 65 8 8 67 9000 16 66 0 8 68
	guest_ok "sm vdi delete two && judge lvs --noheadings -o lv_name $VG" >/dev/null
	[ "$(echo $output)" = MGT ]
}
