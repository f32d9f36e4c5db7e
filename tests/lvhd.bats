#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# VHD disks in an lvm SR on a real kernel; lvm2 and qemu-img judge what lies there.

setup_file() {
	load helpers/lab
	load helpers/sm
	load helpers/dm
	lab_start --disk a:256M --disk b:768M
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
	load helpers/doors
	TYPE=lvm
	[[ $BATS_TEST_DESCRIPTION == killed* ]] || new_sr
}

new_sr() {
	guest_ok "sm sr create disks --type lvm --dconf device=/dev/ubdb $*" >/dev/null
	SR=$output
	VG=VG_XenStorage-$SR
}

# disk NAME [SIZE]: a new one, in $disk.
disk() {
	guest_ok "sm vdi create $1 --sr disks --size ${2-10M} --format vhd" >/dev/null
	disk=$output
}

# journal NAME TEXT: as upstream leaves them, with lvm2.
journal() {
	guest_ok "judge lvcreate -y -Wn -Zn -L 4M --addtag journaler -n $1 $VG >/dev/null 2>&1
		printf '%-512s' '$2' | dd of=/dev/$VG/$1 conv=notrunc,fsync 2>/dev/null; judge lvchange -an $VG/$1"
}

# lvs_are NAME…: these and MGT.
lvs_are() {
	guest_ok "judge lvs --noheadings -o lv_name $VG" >/dev/null
	diff <(tr -d ' ' <<<"$output" | sort) <(printf '%s\n' MGT "$@" | sort)
}

# text: the metadata, but for its times and number.
text() {
	guest_ok "judge vgcfgbackup -f /tmp/text $VG >/dev/null && grep -vE '^(#|description|creation)|seqno' /tmp/text" >/dev/null
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
	guest_ok 'sm vdi attach one && sm vdi detach one'
	# One disk may be otherwise.
	guest_ok 'sm vdi create less --sr disks --size 100M --sm-config allocation=thin' >/dev/null
	lv "VHD-$output" lv_size
	[ "$output" = 8388608 ]
	guest_ok 'sm sr check disks && sm vdi delete less && sm vdi delete one && sm sr destroy disks'
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

@test "thin: what is there takes space, and MGT remembers that it is so" {
	guest_ok 'sm sr destroy disks'
	fails 2 '*neither thick nor thin*' sm sr create disks --type lvm --dconf device=/dev/ubdb --dconf allocation=some
	new_sr --dconf allocation=thin
	disk one 100M
	one=$disk
	lv "VHD-$one" lv_size
	[ "$output" = 8388608 ]
	guest_ok 'sm vdi resize one 200M && sm sr forget disks' >/dev/null
	guest_ok "sm sr introduce $SR --type lvm --dconf device=/dev/ubdb && sm vdi clone one two --sr $SR" >/dev/null
	lv "VHD-$one" lv_size
	[ "$output" = 8388608 ]
	jsonof sm vdi list
	is '[.vdis[] | select(.hidden | not).virtual_size] == [209715200, 209715200]'
	if grep -q ^CONFIG_DATAPATH_NBD=y "$SM_BUILD/.config"; then
		guest_ok "sm vdi attach $one" >/dev/null
		dev=$output
		lv "VHD-$one" lv_size
		[ "$output" = 218103808 ]
		guest_ok -t 90 "dd if=/dev/urandom of=$dev bs=1M count=9 seek=50 conv=fsync 2>/dev/null; head -c 64M $dev | md5sum; sm vdi detach $one" >/dev/null
		sum=${lines[0]}
		lv "VHD-$one" lv_size
		[ "$output" = 16777216 ]
		guest_ok -t 90 "sm vdi attach $one; head -c 64M $dev | md5sum; sm vdi detach $one" >/dev/null
		[ "${lines[1]}" = "$sum" ]
	fi
	judged "$one"
	guest_ok 'sm sr check disks'
}

@test "a raw disk as parent: a tag and a mark, no byte of it is touched" {
	guest_ok 'sm vdi create raw --sr disks --size 8M --format raw && sm vdi attach raw' >/dev/null
	raw=${lines[0]}
	guest_ok "dd if=/dev/urandom of=${lines[1]} bs=1M count=8 conv=fsync 2>/dev/null; md5sum <${lines[1]}; sm vdi detach raw" >/dev/null
	sum=${lines[0]}
	guest_ok 'sm vdi snapshot raw snap' >/dev/null
	snap=$output
	jsonof sm vdi show snap
	base=$(jq -r .vdi.parent <<<"$doc")
	is '.vdi.format == "vhd" and .vdi.virtual_size == 8388608'
	lv "LV-$base" lv_size,lv_attr,lv_tags
	[ "$output" = "8388608 -ri------- hidden" ]
	guest_ok "judge lvchange -ay $VG/LV-$base && md5sum </dev/$VG/LV-$base; judge lvchange -an $VG/LV-$base" >/dev/null
	[ "${lines[0]}" = "$sum" ]
	lvs_are "LV-$base" "VHD-$raw" "VHD-$snap"
	guest_ok 'sm sr check disks && sm vdi delete raw && sm vdi delete snap'
	lvs_are
}

@test "compose and revert, as xapi calls them" {
	disk one
	one=$disk
	put "$one" 0 8 65
	guest_ok 'sm vdi snapshot one snap && sm vdi clone one two' >/dev/null
	snap=${lines[0]} two=${lines[1]}
	put "$one" 0 8 66
	xapi_op vdi_revert "$snap" "$one"
	jsonof sm vdi list
	shows "$one" 2 0 8 65
	put "$snap" 8 8 67
	fails 2 '*never changes*' sm vdi resize snap 20M
	xapi_op vdi_compose "$two" "$snap"
	jsonof sm vdi show two
	is ".vdi.parent == \"$snap\""
	lv "VHD-$snap" lv_attr
	[ "$output" = -ri------- ]
	guest_ok "judge lvchange -ay $VG/MGT; tr '\n\0' '  ' </dev/$VG/MGT; judge lvchange -an $VG/MGT" >/dev/null
	rest=${output#*<uuid>$snap</uuid>} rest=${rest#*<managed>}
	[ "${rest:0:1}" -eq 0 ]
	jsonof sm vdi list
	shows "$two" 3 0 8 65 8 8 67
	guest_ok 'sm sr check disks'
	# What others have put there is introduced: there is a record of it then.
	new=5d3c7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
	guest_ok "judge lvrename -y $VG VHD-$two VHD-$new"
	for command in vdi_introduce vdi_update; do
		xapi_op $command $new
		guest_ok "judge lvchange -ay $VG/MGT; grep -c '<uuid>$new</uuid>' /dev/$VG/MGT; judge lvchange -an $VG/MGT" >/dev/null
		[ "${lines[0]}" -eq 1 ]
	done
	guest_ok 'sm sr check disks'
}

@test "sr check --repair keeps what it overwrites: the metadata, MGT, footers; and all of it comes back" {
	disk one
	one=$disk
	guest_ok "sm vdi clone one two >/dev/null; sm vdi show one --json" >/dev/null
	base=$(jq -r .vdi.parent <<<"$output")
	guest_ok "judge lvchange -ay -K $VG/VHD-$one && dd if=/dev/zero of=/dev/$VG/VHD-$one bs=512 count=1 conv=notrunc,fsync \
			seek=\$((\$(blockdev --getsz /dev/$VG/VHD-$one) - 1)) 2>/dev/null; judge lvchange -an $VG/VHD-$one
		judge lvchange -p rw $VG/VHD-$base && judge lvchange -an $VG/VHD-$base
		judge lvchange -ay $VG/MGT && dd if=/dev/zero of=/dev/$VG/MGT bs=1k count=2 conv=notrunc,fsync 2>/dev/null; judge lvchange -an $VG/MGT" >/dev/null
	sums="for v in MGT VHD-$one VHD-$base; do judge lvchange -ay -K $VG/\$v && md5sum </dev/$VG/\$v; judge lvchange -an $VG/\$v; done"
	text
	before=$output
	guest_ok "$sums" >/dev/null
	broken=$output
	guest_ok "sm sr check disks --repair --json" >/dev/null
	kept=$(jq -r .backup <<<"$output")
	[ "$kept" = "/var/lib/sm/$SR.before-repair" ]
	jsonof sm sr check disks
	is '.problems == []'
	text
	[ "$output" != "$before" ]
	guest_ok "$sums" >/dev/null
	[ "$output" != "$broken" ]
	guest_ok "judge vgcfgrestore --list --file $kept/vg >/dev/null; sm sr detach disks && sm vg restore /dev/ubdb --from $kept/vg && sm sr attach disks && sm sr check disks --undo $kept" >/dev/null
	text
	diff <(echo "$before") <(echo "$output")
	guest_ok "$sums" >/dev/null
	[ "$output" = "$broken" ]
	# With no room for it nothing is changed.
	guest_ok "mkdir /mnt/no && mount -t tmpfs -o size=16k none /mnt/no" >/dev/null
	fails 5 '*nothing was changed*' sm sr check disks --repair --backup /mnt/no/kept
	guest_ok "umount /mnt/no; $sums" >/dev/null
	[ "$output" = "$broken" ]
	text
	diff <(echo "$before") <(echo "$output")
	guest_ok "sm sr check disks --repair >/dev/null; rm -r /var/lib/sm; sm sr check disks" >/dev/null
	judged "$one"
}

@test "a power cut between the two sectors of a header: readable at once, whole with the next verb" {
	guest_ok 'sm vdi create low --sr disks --size 12M --format raw' >/dev/null
	low=$output
	disk one
	guest_ok 'sm vdi clone one two && sm vdi delete one' >/dev/null
	two=${lines[0]}
	second="dd bs=512 count=1 conv=notrunc,fsync 2>/dev/null"
	guest_ok "judge lvchange -ay $VG/VHD-$two && $second skip=2 if=/dev/$VG/VHD-$two of=/tmp/second; judge lvchange -an $VG/VHD-$two"
	xapi_op vdi_compose "$two" "$low"
	cut="judge lvchange -ay -K $VG/VHD-$two && $second seek=2 if=/tmp/second of=/dev/$VG/VHD-$two; judge lvchange -an $VG/VHD-$two"
	guest_ok "$cut"
	jsonof sm vdi show two
	is ".vdi.parent == \"$low\""
	jsonof sm sr check disks
	is '.problems | length == 1 and (.[0].what | contains("half written"))'
	guest_ok 'sm sr check disks --repair' >/dev/null
	jsonof sm sr check disks
	is '.problems == []'
	judged "$two"
	# With its mark nobody has to ask for it.
	guest_ok "$cut; judge lvchange --addtag compose_$two $VG/LV-$low"
	jsonof sm sr check disks
	is '.problems == []'
	lv "LV-$low" lv_tags
	[ "$output" = hidden ]
	judged "$two"
	# A mark on whose child nothing can be read stays, and sr check tells.
	guest_ok "judge lvchange --addtag compose_$two $VG/LV-$low; judge lvchange -ay -K $VG/VHD-$two &&
		$second seek=1 if=/dev/zero of=/dev/$VG/VHD-$two; judge lvchange -an $VG/VHD-$two"
	grun sm sr check disks --json >/dev/null || true
	jq -e '.problems | map(.what) | any(contains("compose_"))' "$LAB_OUT" >/dev/null
}

@test "a broken image costs only itself; a guest's disk is never taken for an image" {
	disk one
	one=$disk
	disk two
	two=$disk
	guest_ok "sm vdi create raw --sr disks --size 16M --format raw" >/dev/null
	raw=$output
	guest_ok "judge lvchange -ay $VG && dd if=/dev/$VG/VHD-$one of=/dev/$VG/LV-$raw bs=1M count=16 2>/dev/null
		for n in 0 32767; do dd if=/dev/zero of=/dev/$VG/VHD-$two bs=512 seek=\$n count=1 conv=fsync 2>/dev/null; done
		judge vgchange -an $VG" >/dev/null
	grun sm vdi list --json >/dev/null || true
	[ "$status" -eq 7 ]
	jq -e '(.vdis | length == 2) and (.problems | length == 1)' "$LAB_OUT"
	jsonof sm vdi show raw
	is '.vdi.format == "raw" and .vdi.virtual_size == 16777216'
	fails 6 '*problem*' sm sr check disks
	fails 6 '*VHD footer*' sm vdi snapshot "$two" --sr disks
	guest_ok "judge lvcreate -y -Wn -Zn -an -L 4M -n VHD-$raw $VG >/dev/null 2>&1"
	fails 6 '*twice*' sm vdi show "$raw" --sr disks
	guest_ok "judge lvremove -y $VG/VHD-$raw" >/dev/null
	# A footer lost at the end is written again.
	guest_ok "judge lvchange -ay $VG/VHD-$one; dd if=/dev/zero of=/dev/$VG/VHD-$one bs=512 seek=32767 count=1 conv=fsync 2>/dev/null
		judge lvchange -an $VG/VHD-$one; sm vdi delete $two; sm vdi snapshot one && sm sr check disks" >/dev/null
	judged "$one"
}

@test "space is looked at before anything changes; active LVs are left alone" {
	disk one 500M
	one=$disk
	text
	was=$output
	fails 5 '*free*' sm vdi clone one two
	text
	[ "$output" = "$was" ]
	# Only what the leaf does not need makes room for this one.
	guest_ok 'sm vdi snapshot one snap && sm sr check disks' >/dev/null
	snap=${lines[0]}
	lv "VHD-$one" lv_size
	[ "$output" = 532676608 ]
	put "$one" 0 8 65
	guest_ok "judge lvchange -ay $VG/VHD-$one"
	text
	was=$output
	fails 3 '*is active on this host*' sm vdi snapshot one
	fails 3 '*is active on this host*' sm vdi resize one 504M
	fails 3 '*is active on this host*' sm vdi delete one
	text
	[ "$output" = "$was" ]
	guest_ok "judge lvchange -an $VG/VHD-$one && sm vdi delete one && sm vdi delete snap"
	lvs_are
}

@test "what upstream left half done is finished or undone by the next verb" {
	disk one
	one=$disk base=00000000-0000-4000-8000-00000000000b
	put "$one" 0 8 65
	journal "inflate_${one}_16777216"
	guest_ok "judge lvextend -L 24M $VG/VHD-$one >/dev/null 2>&1; sm sr scan disks" >/dev/null
	lvs_are "VHD-$one"
	lv "VHD-$one" lv_size
	[ "$output" = 16777216 ]
	journal "clone_${one}_1" "73 ${base}_00000000-0000-4000-8000-00000000000c"
	guest_ok "judge lvrename $VG VHD-$one VHD-$base && sm sr scan disks" >/dev/null
	lvs_are "VHD-$one"
	guest_ok 'sm vdi snapshot one snap' >/dev/null
	snap=$output
	jsonof sm vdi show one
	parent=$(jq -r .vdi.parent <<<"$doc")
	journal "leaf_${snap}_1" "36 $parent"
	guest_ok "judge lvrename $VG VHD-$snap VHD-OLD_$snap && judge lvrename $VG VHD-$parent VHD-$snap && sm sr scan disks" >/dev/null
	lvs_are "VHD-$one" "VHD-$snap" "VHD-$parent"
	jsonof sm vdi list
	shows "$one" 2 0 8 65
	shows "$snap" 2 0 8 65
	# And what nobody can: it is in the way of its own disk, and a person is told.
	journal "clone_${one}_1" "garbage"
	fails 6 '*1 problem*' sm sr check disks
	fails 1 '*interrupted operation*' sm vdi resize one 20M
	guest_ok "sm vdi clone snap more && judge lvremove -y $VG/clone_${one}_1 && sm sr check disks" >/dev/null
	judged "$one" "$snap"
}

# killed_copy DISK LEVELS: a copy of it dies with so many volumes active; any verb that changes something
# puts them away, the disk is nobody's, and the next scan removes what it had made.
killed_copy() {
	guest_ok -t 60 'sm vdi copy '$1' half --uuid 33333333-0000-4000-8000-000000000001 --format raw >/dev/null 2>&1 & copy=$!
		until set -- /dev/mapper/*-LV--33333333--*; [ -e "$1" ]; do kill -0 $copy || exit 9; done
		kill -9 $copy; wait $copy; ls /dev/mapper' >/dev/null
	[ "$(grep -c ^VG_ <<<"$output")" -eq "$2" ]
	guest_ok "sm vdi rename $1 $1 >/dev/null; find /dev/mapper /dev/VG* /run/sm/refcount /run/sm/opened ! -type d 2>/dev/null; true" >/dev/null
	[ "$output" = /dev/mapper/control ]
	guest_ok "dev=\$(sm vdi attach $1) && sm vdi detach $1 && sm sr scan disks && sm vdi tree disks --minimal" >/dev/null
	[[ $output != *33333333* ]]
}

@test "copies: of a disk and of a clone, raw and VHD; what an older disk left does not show through; one that is killed" {
	guest_ok 'sm vdi create old --sr disks --format raw --size 200M && dev=$(sm vdi attach old) &&
		tr "\\0" "\\252" </dev/zero | dd of=$dev bs=1M count=200 iflag=fullblock conv=fsync 2>/dev/null && sm vdi detach old' >/dev/null
	killed_copy old 2
	guest_ok 'sm vdi delete old' >/dev/null
	disk v 40M
	guest_ok 'dev=$(sm vdi attach v) && dd if=/dev/urandom of=$dev bs=64k count=3 seek=11 conv=fsync 2>/dev/null && sm vdi detach v &&
		sm vdi clone v w && dev=$(sm vdi attach w) && dd if=/dev/urandom of=$dev bs=64k count=3 seek=300 conv=fsync 2>/dev/null &&
		sum=$(md5sum <$dev) && sm vdi detach w && sm vdi copy w flat --format raw && sm vdi copy flat thin && sm vdi copy w vhd &&
		for d in flat thin vhd; do dev=$(sm vdi attach $d --read-only) && [ "$(md5sum <$dev)" = "$sum" ] && sm vdi detach $d || exit; done' >/dev/null
	killed_copy w 3
	guest_ok "sm sr check disks && sm vdi list --sr disks --minimal | tr , '\n' | wc -l" >/dev/null
	[ "${lines[-1]}" -eq 5 ]
	guest_ok "judge lvs --noheadings -o lv_tags $VG" >/dev/null
	[[ $output != *hidden* ]]
}

# SWEEP_HOW='kill EIO …': in other ways, which host/sweep.bats does each day.
@test "killed before some system calls of each verb" {
	sweep_put lvhd.sh
	every=${SWEEP_EVERY:-$((499 * ${PACE:-1}))}
	first=${SWEEP_FIRST:-$(($(date +%-j) * 7 % every + 1))}
	echo "SWEEP_FIRST=$first SWEEP_EVERY=$every"
	for how in ${SWEEP_HOW-kill}; do
		guest_ok -t $((every > 1 ? 3600 : 86400)) "SWEEP_TWICE=$((every > 1 ? 0 : 97)) HOW=$how ${SWEEP_VERBS+SWEEP_VERBS=\"$SWEEP_VERBS\"} bash /tmp/lvhd.sh $every $first /dev/ubdb"
		grep '^# sweep' <<<"$output" >&3
	done
}
