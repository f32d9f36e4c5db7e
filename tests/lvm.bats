#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The lvm SR on a real kernel, with lvm2 itself as the judge.

setup_file() {
	load helpers/lab
	load helpers/sm
	lab_start --disk a:512M --disk b:256M --disk c:256M
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_LVM DATAPATH_LV FRONT_CLI
	guest_ok 'sm sr create disks --type lvm --dconf device=/dev/ubda' >/dev/null
	SR=$output
	VG=VG_XenStorage-$SR
}

teardown() {
	guest 'for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; sm vdi delete $v; done
		sm sr destroy disks; judge dmsetup remove_all -f; for d in a b c; do dd if=/dev/zero of=/dev/ubd$d bs=1M count=12; done
		rm -rf /etc/smtab /run/sm /dev/sm /dev/VG_* /dev/mapper/VG_* /run/lock/lvm' >/dev/null 2>&1 || true
}

judged() {
	guest_ok "judge vgck $VG && judge pvck --dump headers /dev/ubda >/dev/null && judge vgcfgbackup -f /tmp/backup $VG >/dev/null" || return
}

@test "the main job on LVM: create, attach, write, grow, detach, delete; lvm2 agrees at each step" {
	judged
	guest_ok "judge vgs --noheadings --units b --nosuffix -o vg_name,vg_extent_size,lv_count $VG" >/dev/null
	[[ $output =~ $VG\ +4194304\ +1 ]]
	guest_ok 'sm vdi create root --sr disks --format raw --size 61M' >/dev/null
	vdi=$output
	jsonof sm vdi show root
	is '.vdi.virtual_size == 67108864 and .vdi.physical_size == 67108864 and .vdi.format == "raw"'
	guest_ok "judge lvs --noheadings --units b --nosuffix -o lv_name,lv_size $VG" >/dev/null
	[[ $output =~ LV-$vdi\ +67108864 ]]
	judged
	guest_ok 'sm vdi attach root' >/dev/null
	dev=$output
	guest_ok "[ -b $dev ] && dd if=/dev/urandom of=$dev bs=1M count=64 conv=fsync 2>/dev/null; md5sum <$dev" >/dev/null
	sum=$output
	guest_ok "judge lvs --noheadings -o lv_active,lv_attr $VG/LV-$vdi" >/dev/null
	[[ $output == *active*-wi-ao* ]]
	guest_ok "judge dmsetup table $dev | cut -d ' ' -f 1-3; [ $dev = /dev/mapper/sm-$vdi ] && ! judge lvchange -an $VG/LV-$vdi 2>/dev/null" >/dev/null
	[ "$output" = '0 131072 linear' ]
	guest_ok "cat /run/sm/refcount/lvm-$SR/$vdi" >/dev/null
	[ "$output" = "0 1" ]
	guest_ok "sm vdi resize root 100M && blockdev --getsize64 $dev && head -c 67108864 $dev | md5sum" >/dev/null
	[ "${lines[0]}" -eq 104857600 ]
	[ "${lines[1]}" = "$sum" ]
	judged
	guest_ok "sm vdi detach root && ! judge dmsetup info -c | grep >/dev/null LV--${vdi//-/--} && [ ! -e /run/sm/refcount/lvm-$SR ]"
	guest_ok 'sm vdi attach root' >/dev/null
	guest_ok "head -c 67108864 $output | md5sum; sm vdi detach root" >/dev/null
	[ "${lines[0]}" = "$sum" ]
	guest_ok 'sm vdi delete root && sm sr destroy disks'
	guest_ok '! judge pvs --noheadings 2>/dev/null | grep >/dev/null ubda && ! ls -d /dev/VG_* 2>/dev/null'
}

@test "names live in MGT and come back on another host" {
	guest_ok 'sm vdi create "a & b" --sr disks --format raw --size 4M --description "<two> words"' >/dev/null
	vdi=$output
	guest_ok "sm vdi rename '$vdi' 'new & name' && sm sr rename disks other && sm sr forget other && sm sr probe /dev/ubda --json" >/dev/null
	[ "$(jq -r '.srs[0].name' <<<"$output")" = other ]
	guest_ok "sm sr introduce $SR --type lvm --dconf device=/dev/ubda" >/dev/null
	jsonof sm vdi show "$vdi"
	is '.vdi.name == "new & name" and .vdi.description == "<two> words"'
	guest_ok 'sm sr rename other disks' >/dev/null
}

@test "what lvm2 changes we see, and the reverse, in turns" {
	guest_ok 'sm vdi create one --sr disks --format raw --size 8M' >/dev/null
	one=$output
	two=22222222-3333-4444-5555-666666666666
	guest_ok "judge lvcreate -y -Wn -Zn -an -L 12M -n LV-$two $VG >/dev/null 2>&1"
	jsonof sm vdi show "$two"
	is '.vdi.virtual_size == 12582912 and .vdi.name == ""'
	guest_ok "judge lvextend -L 20M $VG/LV-$one >/dev/null 2>&1"
	jsonof sm vdi show one
	is '.vdi.virtual_size == 20971520'
	guest_ok "judge lvchange -ay $VG/LV-$two" >/dev/null
	jsonof sm vdi show "$two"
	is '.vdi.attached.device == "/dev/'"$VG/LV-$two"'"'
	guest_ok "sm vdi attach $two; judge dmsetup remove sm-$two; sm vdi attach $two; sm vdi detach $two; judge lvchange -ay $VG/LV-$two" >/dev/null
	[ "$output" = "/dev/mapper/sm-$two"$'\n'"/dev/mapper/sm-$two" ]
	guest_ok "judge lvchange -an $VG/LV-$two && judge lvchange --addtag hidden $VG/LV-$two" >/dev/null
	jsonof sm vdi show "$two"
	is '.vdi.hidden'
	guest_ok "judge lvremove -y $VG/LV-$two" >/dev/null
	fails 4 '*no such VDI*' sm vdi show "$two" --sr disks
	guest_ok "sm vdi attach one && judge dmsetup remove sm-$one && judge lvchange -an $VG/LV-$one" >/dev/null
	jsonof sm vdi show one
	judged
}

@test "several devices in one SR; a disk that spans them" {
	guest_ok 'sm sr destroy disks; sm sr create disks --type lvm --dconf device=/dev/ubda,/dev/ubdb,/dev/ubdc' >/dev/null
	SR=${lines[-1]} VG=VG_XenStorage-${lines[-1]}
	guest_ok 'sm vdi create big --sr disks --format raw --size 900M && sm vdi attach big' >/dev/null
	dev=${lines[1]}
	guest_ok "blockdev --getsize64 $dev; dd if=/dev/zero of=$dev bs=1M seek=890 count=10 conv=fsync 2>/dev/null" >/dev/null
	[ "${lines[0]}" -eq $((900 << 20)) ]
	guest_ok "judge vgck $VG && judge pvs --noheadings -o pv_name,vg_name" >/dev/null
	[ "$(grep -c "$VG" <<<"$output")" -eq 3 ]
	fails 5 '*VG is full*' sm vdi create more --sr disks --format raw --size 400M
	guest_ok 'sm vdi detach big && sm vdi delete big && sm sr destroy disks'
}

@test "disks that hold something are not taken" {
	fails 1 "*SR $SR is on /dev/ubda already*" sm sr create x --type lvm --dconf device=/dev/ubda
	guest_ok 'judge vgcreate foreign /dev/ubdb' >/dev/null
	fails 3 '*is a PV of the VG foreign*' sm sr create x --type lvm --dconf device=/dev/ubdb
	fails 3 '*is a PV of the VG foreign*' sm sr create x --type lvm --dconf device=/dev/ubdb --force
	guest_ok 'judge vgremove -y foreign && judge pvremove -y /dev/ubdb && judge mkfs.ext4 -qF /dev/ubdb && mkdir -p /mnt/b && mount /dev/ubdb /mnt/b' >/dev/null
	fails 3 '*' sm sr create x --type lvm --dconf device=/dev/ubdb --force
	guest_ok 'umount /mnt/b'
	fails 1 '*ext4*--force*' sm sr create x --type lvm --dconf device=/dev/ubdb
	guest_ok 'mount /dev/ubdb /mnt/b && umount /mnt/b'
	guest_ok 'sm sr create x --type lvm --dconf device=/dev/ubdb --force && sm sr destroy x' >/dev/null
	fails 4 '*' sm sr create x --type lvm --dconf device=/dev/nosuch
	fails 2 '*not a block device*' sm sr create x --type lvm --dconf device=/etc/hostname
	fails 2 '*same device*' sm sr create x --type lvm --dconf device=/dev/ubdb,/dev/ubdb
	fails 2 "*device*missing*" sm sr create x --type lvm
}

@test "sr check: sound, a damaged MGT, and its repair" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 4M && sm sr check disks' >/dev/null
	guest_ok "judge lvchange -ay $VG/MGT && dd if=/dev/zero of=/dev/$VG/MGT bs=1k count=4 conv=fsync 2>/dev/null; judge lvchange -an $VG/MGT" >/dev/null
	fails 6 '*1 problem*' sm sr check disks
	jsonof sm vdi list || true
	guest_ok 'sm sr check disks --repair; sm sr check disks && sm vdi list --minimal' >/dev/null
	[[ ${lines[-1]} =~ ^[0-9a-f-]{36}$ ]]
}

@test "sr check --repair: of an MGT whose head is damaged all records are kept" {
	guest_ok 'for v in a b c; do sm vdi create disk-$v --sr disks --format raw --size 4M >/dev/null; done; sm vdi delete disk-b' >/dev/null
	guest_ok "judge lvchange -ay $VG/MGT && printf x | dd of=/dev/$VG/MGT bs=1 seek=3 conv=notrunc,fsync 2>/dev/null; judge lvchange -an $VG/MGT" >/dev/null
	fails 6 '*1 problem*' sm sr check disks
	guest_ok 'sm sr check disks --repair >/dev/null; sm sr check disks && sm vdi create disk-d --sr disks --format raw --size 4M >/dev/null' >/dev/null
	jsonof sm vdi list
	is '[.vdis[].name] | sort == ["disk-a", "disk-c", "disk-d"]'
}

@test "two processes at once: no lost update" {
	guest_ok 'for i in $(seq 12); do sm vdi create v$i --sr disks --format raw --size 4M >/tmp/o$i 2>&1 & done; wait; cat /tmp/o* | wc -l' >/dev/null
	[ "$output" -eq 12 ]
	jsonof sm vdi list
	is '.vdis | length == 12'
	is '[.vdis[].name] | unique | length == 12'
	guest_ok "judge lvs --noheadings -o lv_name $VG | grep -c LV-" >/dev/null
	[ "$output" -eq 12 ]
	judged
}

@test "a PV on sectors of 4096 bytes: written whole, and lvm2 reads it" {
	guest_ok 'truncate -s 300M /mnt/4k.img && judge losetup -f --show -b 4096 /mnt/4k.img' >/dev/null
	loop=${lines[-1]}
	guest_ok "[ \$(blockdev --getss $loop) = 4096 ] && sm sr create k --type lvm --dconf device=$loop" >/dev/null
	four=VG_XenStorage-${lines[-1]}
	guest_ok 'for i in $(seq 20); do sm vdi create k$i --sr k --format raw --size 4M || exit; done; sm vdi resize k7 20M && sm vdi delete k3 && sm vdi rename k8 other &&
		dev=$(sm vdi attach k7) && [ $(blockdev --getss $dev) = 4096 ] && dd if=/dev/urandom of=$dev bs=4k count=9 oflag=direct 2>/dev/null && sm vdi detach k7' >/dev/null
	guest_ok "judge vgck $four && judge pvck --dump metadata $loop | grep -c ^LV- ; judge lvs --noheadings -o lv_name $four | grep -c LV-" >/dev/null
	[ "${lines[-1]}" -eq 19 ]
	guest_ok "judge lvchange --addtag ours $four/MGT && sm vg check $loop && sm sr check k && sm vdi snapshot other s && for v in \$(sm vdi list --sr k --minimal | tr , ' '); do sm vdi delete \$v || exit; done
		sm sr destroy k && judge losetup -d $loop && rm /mnt/4k.img" >/dev/null
}

@test "verbs that only look do so in a sandbox, at one SR, at all and at what is none of ours yet, once they have lvm2's lock" {
	needs SECCOMP_SANDBOX
	guest_ok 'mkdir -p /srv/f && sm sr create files --type file --dconf location=/srv/f >/dev/null; sm vdi create raw --sr disks --format raw --size 8M && sm vdi create tree --sr disks --format vhd --size 8M &&
		sm vdi snapshot tree then && sm vdi attach tree' >/dev/null
	[[ $output =~ /dev/mapper/sm-([0-9a-f-]+) ]]
	for verb in "sr show disks" "vdi show raw --sr disks" "vdi show tree" "vdi list --sr disks" "vdi tree disks" "gc plan disks" \
		"sr list" "vdi list" "gc plan" "sr probe /dev/ubda" "sr probe"; do
		guest_ok "sm $verb" >/dev/null
		plain=$output
		# shellcheck disable=SC2086 # words
		confined sm $verb
		[ "$output" = "$plain" ] || { echo "$verb: $output, not: $plain"; false; }
	done
	# Nothing was made that stays, and the lock is free again.
	guest_ok 'sm sr destroy files; sm vdi rename raw other && ! ls /run/lock/lvm/V_* 2>/dev/null && judge vgck '"$VG"
}
