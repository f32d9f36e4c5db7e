#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The compliance suite: what every SR type must do, through every door.
#
#	LAB_SR_TYPE=file tests/lab/run.sh tests/sr.bats
#
# LAB_DOORS="people 2007" leaves a door out.  Each day another door has all of nfs;
# LAB_SR_TYPE=nfs is for all of them.

setup_file() {
	load helpers/lab
	load helpers/sm
	lab_start --mem 384M --disk a:1G --disk b:512M --disk c:512M --mods \
		loop,dm-mod,nbd:nbds_max=4:max_part=0,nfs,nfsv3,nfsv4,nfsd,veth,ipv6
	fs_disk
	case ${LAB_SR_TYPE-nfs} in *nfs*)
		guest_put tests/nfs/server.sh /tmp/server.sh
		guest_ok -t 150 'judge bash /tmp/server.sh up /dev/ubdc' ;;
	esac
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	load helpers/doors
	needs FRONT_CLI FRONT_SRAPI1 FRONT_SMAPI1
	SR=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
	VDI=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
	OTHER=77aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
}

teardown() {
	guest 'judge dmsetup remove_all -f; judge losetup -D; umount -f /run/sr-mount/*; rm -rf /mnt/exp/pool/*; dd if=/dev/zero of=/dev/ubdb bs=1M count=12; umount /run/sr-mount/*; rm -rf /dev/VG_* /srv/* /etc/smtab /run/sm /dev/sm /run/sr-mount/*' >/dev/null 2>&1 || true
}

doors() { echo "${LAB_DOORS:-people 2007 xapi}"; }

# Every type of SR with every door: "file/people file/2007 …"; of nfs, whose disks are
# files as well, one door a day is enough where a test does not want all.
combos() {
	local t d symbol today days

	read -ra days <<<"$(doors)"
	today=${days[$(date +%-j) % ${#days[@]}]}
	for t in ${LAB_SR_TYPE:-file lvm nfs}; do
		symbol=SR_${t^^}
		grep -q "^CONFIG_$symbol=y" "$SM_BUILD/.config" || continue
		for d in $(doors); do
			[ $t/${LAB_SR_TYPE-}/${1-} != nfs// ] || [ $d = $today ] || continue
			echo "$t/$d"
		done
	done
}

# SR-API 1.0 has no formats, so it gets the default; the others have either, by turns.
use() {
	TYPE=${1%/*} door=${1#*/} FORMAT=
	case $1 in file/people | lvm/xapi | nfs/2007) FORMAT=raw ;; esac
	echo "# $TYPE through the door of $door"
}

# of_format raw|vhd|'' VDI MIB: what SR-API 1.0 cannot ask for is made by another door.
of_format() {
	local was=$door

	[ "$door" != 2007 ] || [ -z "$1" ] || door=xapi
	FORMAT=$1 ok vdi_create "${@:2}"
	door=$was
}

# A type whose disks cannot have parents has no trees.
keeps_vhd() {
	"$SM_BUILD/bin/sm" help types |
		awk -v t="$TYPE" '/^[^ ]/ { here = $1 == t } here && /^  formats:.* vhd/ { yes = 1 } END { exit !yes }'
}

# life FORMAT: of one disk.
life() {
	local dev sum want

	of_format "$1" "$VDI" 16
	# What is in a volume is xapi's to know, and of a file it does not ask.
	if [ "$door" = xapi ]; then
		case $TYPE/$1 in lvm/raw) want=aio ;; lvm/*) want=vhd ;; *) want= ;; esac
		xapi_op vdi_attach "$VDI" true
		[ "$(grep -o '<name>vdi-type</name><value><string>[a-z]*' <<<"$output" | sed 's/.*>//')" = "$want" ]
	fi
	ok vdi_attach "$VDI"
	dev=$output
	guest_ok "[ -b $dev ] && [ \$(blockdev --getsize64 $dev) -eq $((16 << 20)) ]"
	guest_ok "dd if=/dev/urandom of=$dev bs=1M count=4 conv=fsync 2>/dev/null; head -c 4194304 $dev | md5sum" >/dev/null
	sum=$output
	ok vdi_detach "$VDI"
	ok vdi_resize "$VDI" 24
	ok vdi_attach "$VDI"
	dev=$output
	guest_ok "head -c 4194304 $dev | md5sum; blockdev --getsize64 $dev" >/dev/null
	[ "${lines[0]}" = "$sum" ]
	[ "${lines[1]}" -eq $((24 << 20)) ]
	ok vdi_resize "$VDI" 32
	guest_ok "head -c 4194304 $dev | md5sum; blockdev --getsize64 $dev" >/dev/null
	[ "${lines[0]}" = "$sum" ]
	[ "${lines[1]}" -eq $((32 << 20)) ]
	ok vdi_detach "$VDI"
	ok vdi_delete "$VDI"
}

@test "the life of a disk, through every door" {
	for combo in $(combos all); do
		use "$combo"
		ok sr_create
		ok sr_attach
		life raw
		[ "$door" = people ] || ! keeps_vhd || life ''	# people: nbd.bats
		ok sr_detach
		ok sr_delete
		nothing_left
	done
}

@test "what one door made the others use, and the bytes on the storage are the same" {
	local first='' listing of='' format

	for combo in $(combos | sed 's/$/:/; p; s/:$/:raw/' | grep -v '^lvm.*raw$' | sort -t: -sk2); do
		use "${combo%:*}"
		format=${combo#*:}
		[ -n "$format" ] || keeps_vhd || continue
		ok sr_create
		ok sr_attach
		of_format "$format" "$VDI" 16
		bytes_of_sr >/dev/null
		listing=$output
		[ "$of" = "$TYPE:$format" ] || of=$TYPE:$format first=$listing
		[ "$listing" = "$first" ]
		for other in $(doors); do
			[ "$other" != people ] || guest_ok "sm sr introduce $SR --type $TYPE --dconf $(people_dconf)" >/dev/null
			was=$door door=$other
			ok vdi_attach "$VDI"
			ok vdi_detach "$VDI"
			door=$was
		done
		guest_ok "rm -f /etc/smtab; sm sr introduce $SR --type $TYPE --dconf $(people_dconf)" >/dev/null
		ok vdi_delete "$VDI"
		ok sr_detach
		ok sr_delete
		clear_storage
	done
}

@test "trees of disks, through every door" {
	needs FMT_VHD
	for combo in $(combos); do
		use "$combo"
		keeps_vhd || continue
		ok sr_create
		ok sr_attach
		of_format vhd "$VDI" 8
		copy clone "$VDI" "$OTHER"
		clone=$made
		copy snapshot "$clone" 77aa7c90-0c3d-4a6f-8e55-1d0a9c7e4f22
		snap=$made
		ok vdi_resize "$VDI" 12
		[ "$door" = people ] || guest_ok "sm sr introduce $SR --type $TYPE --dconf $(people_dconf)" >/dev/null
		jsonof sm vdi tree "$SR"
		is '.vdis | length == 4'
		is "[.vdis[] | select(.hidden).children | length] == [3]"
		is ".vdis[] | select(.uuid == \"$snap\") | .snapshot_of == \"$clone\" and .virtual_size == 8388608"
		is ".vdis[] | select(.uuid == \"$VDI\") | .virtual_size == 12582912"
		guest_ok "sm sr check $SR"
		[ "$door" = people ] || guest_ok 'rm /etc/smtab'
		ok vdi_delete "$VDI"
		ok vdi_delete "$snap"
		ok vdi_delete "$clone"
		ok sr_detach
		ok sr_delete
		nothing_left
	done
}

@test "calls that may be repeated are" {
	for combo in $(combos); do
		use "$combo"
		ok sr_create
		ok sr_attach
		ok sr_attach
		ok vdi_create "$VDI" 8
		ok vdi_resize "$VDI" 8
		ok vdi_attach "$VDI"
		ok vdi_attach "$VDI"
		guest_ok 'ls -d /sys/block/loop*/loop /sys/block/nbd*/pid 2>/dev/null | wc -l' >/dev/null
		[ "$output" -le 1 ]
		ok vdi_detach "$VDI"
		ok vdi_detach "$VDI"
		ok vdi_delete "$VDI"
		if [ "$door" = people ]; then
			refused 4 0 0 vdi_delete "$VDI"
		else
			ok vdi_delete "$VDI"
		fi
		ok sr_detach
		ok sr_detach
		ok sr_delete
		[ "$door" = people ] || ok sr_delete
		clear_storage
	done
}

@test "what must be refused is, with each door's own code" {
	for combo in $(combos); do
		use "$combo"
		ok sr_create
		refused 1 16 42 sr_create
		ok sr_attach
		ok vdi_create "$VDI" 8
		refused 1 103 43 vdi_create "$VDI" 8
		refused 2 22 79 vdi_create "$OTHER" 0
		refused 2 22 79 vdi_resize "$VDI" 4
		refused 4 101 46 vdi_attach "$OTHER"
		refused 4 101 46 vdi_resize "$OTHER" 16
		ok vdi_attach "$VDI"
		refused 3 103 24 vdi_delete "$VDI"
		refused 3 102 16 sr_detach
		refused 3 102 16 sr_delete
		ok vdi_detach "$VDI"
		refused 1 102 39 sr_delete
		ok vdi_delete "$VDI"
		ok sr_detach
		ok sr_delete
		clear_storage
	done
}

@test "a device that is open is not taken away" {
	for combo in $(combos); do
		use "$combo"
		ok sr_create
		ok sr_attach
		ok vdi_create "$VDI" 8
		ok vdi_attach "$VDI"
		hold_open "$output"
		refused 3 103 24 vdi_detach "$VDI"
		guest_ok "kill $pid; until ! kill -0 $pid 2>/dev/null; do sleep 0.01; done"
		ok vdi_detach "$VDI"
		ok vdi_delete "$VDI"
		ok sr_detach
		ok sr_delete
		clear_storage
	done
}

@test "a disk of an SR that is not attached cannot be used" {
	for combo in $(combos); do
		use "$combo"
		ok sr_create
		[ "$door" != people ] || ok sr_detach
		refused 1 100 47 vdi_create "$VDI" 8
		refused 1 100 47 vdi_attach "$VDI"
		ok sr_delete
		clear_storage
	done
}

@test "several disks at once, each with its own device and data" {
	for TYPE in ${LAB_SR_TYPE:-file lvm nfs}; do
		door=people
		ok sr_create
		guest_ok "for i in 1 2 3 4 5 6 7 8 9 10; do sm vdi create d\$i --sr $SR --size 2M --format raw; d=\$(sm vdi attach d\$i) && echo disk\$i >/tmp/x && dd if=/tmp/x of=\$d conv=fsync 2>/dev/null || exit 1; done" >/dev/null
		guest_ok "for i in 1 2 3 4 5 6 7 8 9 10; do d=\$(sm vdi attach d\$i); [ \"\$(head -n 1 \$d)\" = disk\$i ] || exit 1; sm vdi detach d\$i && sm vdi delete d\$i || exit 1; done"
		ok sr_delete
		nothing_left
	done
}
