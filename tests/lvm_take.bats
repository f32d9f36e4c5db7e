#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which devices an lvm SR is made of, and which never: nothing is written to those.

setup_file() {
	load helpers/lab
	load helpers/sm
	load helpers/dm
	lab_start --disk a:128M --disk b:32M --disk c:32M
	dm_tool
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_LVM DATAPATH_LV FRONT_CLI
}

teardown() {
	guest 'umount /mnt/x /mnt/y; swapoff -a; for i in 1 2 3; do judge dmsetup remove_all -f; done; losetup -D
		for i in a b c; do dmt wipe path=/dev/ubd$i; dd if=/dev/zero of=/dev/ubd$i bs=1M count=12; blockdev --rereadpt /dev/ubd$i; done
		rm -rf /etc/smtab /run/sm /dev/sm /dev/VG_* /dev/mapper/VG_* /run/lock/lvm /run/lvm' >/dev/null 2>&1 || true
}

create() { echo sm sr create x --type lvm --dconf device="$1"; }

# untouched DEVICE CMD…: fails STATUS PATTERN CMD…, and not a byte of the device has changed.
untouched() {
	local dev=$1 sum

	shift
	guest_ok "sync; md5sum <$dev" >/dev/null
	sum=$output
	fails "$@"
	guest_ok "md5sum <$dev" >/dev/null
	[ "$output" = "$sum" ] || {
		echo "$dev has changed" >&2
		return 1
	}
}

# never DEVICE STATUS PATTERN [STATUS]: refused with --force, without, and by the door of 2007.
never() {
	# shellcheck disable=SC2046 # words
	untouched "$1" "$2" "$3" $(create "$1")
	# shellcheck disable=SC2046
	untouched "$1" "$2" "$3" $(create "$1") --force
	# shellcheck disable=SC2046
	untouched "$1" "$2" "$3" $(create "$1") --force --dry-run
	untouched "$1" "${4:-16}" '*' sm sr_create -t lvm -d "$1" 6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
}

@test "what is in use: mounted, swap, below another device, and each of its partitions" {
	guest_ok 'judge mkfs.ext4 -qF /dev/ubda && mkdir -p /mnt/x && mount -r /dev/ubda /mnt/x'
	never /dev/ubda 3 '*: /dev/ubda is mounted at /mnt/x*'
	guest_ok 'umount /mnt/x; judge mkswap /dev/ubdb && swapon /dev/ubdb' >/dev/null
	never /dev/ubdb 3 '*: /dev/ubdb is used as swap*'
	guest_ok 'printf "2048,8192,83\n,,83\n" | judge sfdisk -q /dev/ubdc; judge mkfs.ext4 -qF /dev/ubdc2 && mount -r /dev/ubdc2 /mnt/x'
	never /dev/ubdc 3 '*: /dev/ubdc2 is mounted at /mnt/x*'
	guest_ok "umount /mnt/x; echo 0 1024 linear \$(cat /sys/block/ubdc/ubdc1/dev) 0 | dmt activate name=other" >/dev/null
	never /dev/ubdc 3 '*: /dev/ubdc1 is a part of /dev/mapper/other*'
	never /dev/ubdc1 3 '*: /dev/ubdc1 is a part of /dev/mapper/other*'
	guest_ok 'dmt deactivate name=other'
	hold_excl /dev/ubdc1
	# shellcheck disable=SC2046
	fails 3 '*/dev/ubdc is in use*' $(create /dev/ubdc) --force
	guest_ok "kill $pid"
}

# A process that has it open so that nobody else may take it.
hold_excl() {
	guest_ok "judge python3 -c 'import os,time; os.open(\"$1\", os.O_RDONLY|os.O_EXCL); print(1,flush=True); time.sleep(60)' >/tmp/held & until [ -s /tmp/held ]; do sleep 0.01; done; rm /tmp/held; echo \$!" >/dev/null
	pid=$output
}

@test "the root disk, never" {
	guest_ok 'judge mkfs.ext4 -qF /dev/ubda && mkdir -p /mnt/x && mount /dev/ubda /mnt/x && cd /mnt/x && mkdir proc sys dev run bin etc &&
		cp "$(readlink -f "$(command -v sm)")" bin/smbox && ln -s smbox bin/sm && mount -t proc p proc && mount -t sysfs s sys && mount --bind /dev dev && mount --bind /run run' >/dev/null
	fails 3 '*: /dev/ubda holds the root file system*' chroot /mnt/x /bin/sm sr create x --type lvm --dconf device=/dev/ubda --force
	guest_ok 'umount /mnt/x/proc /mnt/x/sys /mnt/x/dev /mnt/x/run'
}

@test "a file system goes with --force alone, and is named before" {
	guest_ok 'judge mkfs.ext4 -qF /dev/ubdb'
	# shellcheck disable=SC2046
	untouched /dev/ubdb 1 '*: /dev/ubdb holds an ext4 file system (try: --force destroys it)' $(create /dev/ubdb)
	# shellcheck disable=SC2046
	untouched /dev/ubdb 1 '*: /dev/ubdb holds an ext4 file system (try: --force destroys it)' $(create /dev/ubdb) --dry-run
	guest_ok "md5sum </dev/ubdb; $(create /dev/ubdb) --force --dry-run; md5sum </dev/ubdb; ls /etc/smtab /run/lock/lvm/* 2>/dev/null | wc -l" >/dev/null
	[ "${lines[0]}" = "${lines[-2]}" ] && [ "${lines[-1]}" -eq 0 ]
	guest_ok "$(create /dev/ubdb) --force && [ \"\$(judge wipefs -n --noheadings -O TYPE /dev/ubdb)\" = LVM2_member ]" >/dev/null
	guest_ok 'sm sr destroy x && [ -z "$(judge wipefs -n --noheadings /dev/ubdb)" ]'
}

@test "a partition table goes with --force alone, and what its partitions hold is named" {
	guest_ok 'printf "label: gpt\n2048,16384,L\n,,L\n" | judge sfdisk -q /dev/ubdb && judge mkfs.ext4 -qF /dev/ubdb2 && judge mkswap /dev/ubdb1' >/dev/null
	# shellcheck disable=SC2046
	untouched /dev/ubdb 1 '*: /dev/ubdb holds a GPT partition table, /dev/ubdb1 swap space, /dev/ubdb2 an ext4 file system (try: --force destroys them)' $(create /dev/ubdb)
	guest_ok "$(create /dev/ubdb) --force && ! ls /dev/ubdb1 2>/dev/null; judge pvs --noheadings -o pv_name" >/dev/null
	[[ $output == *ubdb* ]]
	guest_ok 'sm vdi create v --sr x --format raw --size 8M && sm vdi attach v && sm vdi detach v && sm vdi delete v && sm sr destroy x' >/dev/null
	# A partition may be taken; its neighbour keeps what it has.
	guest_ok 'printf "2048,40960,L\n,,L\n" | judge sfdisk -q /dev/ubdc && judge mkfs.ext4 -qF /dev/ubdc2; md5sum </dev/ubdc2' >/dev/null
	sum=$output
	guest_ok "$(create /dev/ubdc1) >/dev/null && sm vdi create v --sr x --format raw --size 4M >/dev/null && sm vdi delete v && sm sr destroy x && md5sum </dev/ubdc2" >/dev/null
	[ "${lines[-1]}" = "$sum" ]
}

@test "a PV of a living VG, however it is hidden" {
	guest_ok 'judge vgcreate -q foreign /dev/ubdb' >/dev/null
	never /dev/ubdb 3 '*: /dev/ubdb is a PV of the VG foreign*'
	guest_ok 'judge vgchange -q --addtag t foreign && judge vgremove -qff foreign && judge pvremove -q /dev/ubdb' >/dev/null
	# On a partition.
	guest_ok 'printf ",,8e\n" | judge sfdisk -q /dev/ubdc && judge vgcreate -q inner /dev/ubdc1' >/dev/null
	never /dev/ubdc 3 '*: /dev/ubdc1 is a PV of the VG inner*'
	guest_ok 'judge vgremove -qff inner && judge pvremove -q /dev/ubdc1 && dmt wipe path=/dev/ubdc && blockdev --rereadpt /dev/ubdc' >/dev/null
	# Without metadata of its own: another PV, which is here or not, knows it.
	guest_ok 'judge pvcreate -q --metadatacopies 0 /dev/ubdb && judge vgcreate -q two /dev/ubdc /dev/ubdb' >/dev/null
	never /dev/ubdb 3 '*: /dev/ubdb is a PV of the VG two*'
	guest_ok 'dd if=/dev/zero of=/dev/ubdc bs=1M count=1 2>/dev/null'
	never /dev/ubdb 3 '*: /dev/ubdb is a PV of a VG that is not here*'
}

@test "a PV whose metadata is damaged, or says nothing that we understand" {
	guest_ok 'judge vgcreate -q foreign /dev/ubdb && printf x | dd of=/dev/ubdb bs=1 seek=5200 conv=notrunc,fsync 2>/dev/null' >/dev/null
	never /dev/ubdb 3 '*: /dev/ubdb is a PV whose metadata is damaged*'
	guest_ok 'printf x | dd of=/dev/ubdb bs=1 seek=600 conv=notrunc,fsync 2>/dev/null'
	never /dev/ubdb 3 '*: /dev/ubdb is a PV whose metadata is damaged*'
}

@test "members of something larger, and what only a key opens" {
	guest_ok 'printf "LUKS\272\276" | dd of=/dev/ubdb conv=notrunc,fsync 2>/dev/null'
	never /dev/ubdb 3 '*: /dev/ubdb holds a LUKS volume*wipefs*'
	guest_ok 'dd if=/dev/zero of=/dev/ubdb bs=1k count=4 2>/dev/null; printf "\xfc\x4e\x2b\xa9\1\0\0\0" | dd of=/dev/ubdb bs=4096 seek=1 conv=notrunc,fsync 2>/dev/null; judge wipefs -n --noheadings -O TYPE /dev/ubdb'
	never /dev/ubdb 3 '*: /dev/ubdb holds a*RAID*'
}

@test "disks of guests: not taken, not looked into, whatever is written there" {
	guest_ok 'sm sr create disks --type lvm --dconf device=/dev/ubda' >/dev/null
	SR=$output
	guest_ok 'sm vdi create v --sr disks --format raw --size 64M >/dev/null && sm vdi attach v' >/dev/null
	dev=$output
	never "$dev" 2 "*$dev is a guest's disk*" 22
	# The guest makes a VG with the name of the SR, and one of its own.
	guest_ok "dd if=/dev/ubda of=$dev bs=1M count=11 conv=fsync 2>/dev/null"
	guest_ok 'sm sr probe --json' >/dev/null
	[ "$(jq -r '.srs | length' <<<"$output")" -eq 1 ]
	[ "$(jq -r '.srs[0].dconf.device' <<<"$output")" = /dev/ubda ]
	guest_ok 'sm sr attach disks && sm sr scan disks && sm sr check disks' >/dev/null
	fails 2 "*$dev is a guest's disk*" sm sr probe "$dev"
	# So does one in a file of an SR.
	guest_ok 'mkdir -p /run/sr-mount/1 && truncate -s 64M /run/sr-mount/1/2.raw && losetup /dev/loop3 /run/sr-mount/1/2.raw && dd if=/dev/ubda of=/dev/loop3 bs=1M count=11 conv=fsync 2>/dev/null; sm sr attach disks; losetup -d /dev/loop3; rm -r /run/sr-mount/1' >/dev/null
	guest_ok 'sm vdi detach v && sm vdi delete v && sm sr destroy disks'
}

@test "words for what is wrong with the dconf" {
	fails 4 '*/dev/nosuch*no such device*' sm sr create x --type lvm --dconf device=/dev/nosuch
	fails 2 '*not a block device*' sm sr create x --type lvm --dconf device=/etc/hostname
	fails 2 '*same device*' sm sr create x --type lvm --dconf device=/dev/ubdb,/dev/ubdb
	fails 2 '*not an absolute path*' sm sr create x --type lvm --dconf device=ubdb
	fails 2 "*device*missing*" sm sr create x --type lvm
	guest_ok 'truncate -s 1M /tmp/small && losetup /dev/loop4 /tmp/small'
	fails 2 '*/dev/loop4 is smaller than 2 MiB*' sm sr create x --type lvm --dconf device=/dev/loop4
	guest_ok 'losetup -d /dev/loop4; truncate -s 30M /tmp/small && losetup -r /dev/loop4 /tmp/small'
	fails 1 '*/dev/loop4 is read-only*' sm sr create x --type lvm --dconf device=/dev/loop4
	# One bad device of several, and none is touched.
	guest_ok 'judge mkfs.ext4 -qF /dev/ubdc'
	untouched /dev/ubdb 1 '*/dev/ubdc holds an ext4*' sm sr create x --type lvm --dconf device=/dev/ubdb,/dev/ubdc
	guest_ok 'losetup -d /dev/loop4; truncate -s 14M /tmp/small && losetup /dev/loop4 /tmp/small'
	untouched /dev/ubdc 2 '*/dev/loop4: *' sm sr create x --type lvm --dconf device=/dev/ubdc,/dev/loop4 --force
	guest_ok 'losetup -d /dev/loop4; [ -z "$(judge pvs --noheadings)" ]'
}
