#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# record.sh lvm|file DISK LOG: in the lab, do the verbs that change an SR, with all that reaches
# DISK noted in LOG by dm-log-writes.  Three marks for each verb: STEP.from, STEP.done as
# soon as it has answered, and STEP.end when the rest is flushed, too.  Then replay.sh.
# FEW=1 leaves out the marks of those that change little.
#
# record.sh TYPE DISK LOG SEQUENCE…: instead, for each of them a fresh SR with one disk, and these verbs in
# a row, "snapshot,resize,delete"; STEP is SEQUENCE.N_VERB.  Marks are for the last one only, or for each with
# MARKS=all.
set -eu

type=$1 disk=$2 log=$3
shift 3
one=11111111-0000-4000-8000-000000000001
two=11111111-0000-4000-8000-000000000002
raw=11111111-0000-4000-8000-000000000003
three=11111111-0000-4000-8000-000000000004
four=11111111-0000-4000-8000-000000000005
five=11111111-0000-4000-8000-000000000006
sr=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e18
export SM_GC=off

mark() { judge dmsetup message logged 0 mark "$1"; }

settle() {
	[ "$type" = lvm ] || sync
	dd if=/dev/null of=/dev/mapper/logged conv=fsync,notrunc 2>/dev/null
}

# call COMMAND VDI OTHER: what only xapi asks for.
call() {
	local m='<member><name>%s</name><value>%s</value></member>' answer

	# shellcheck disable=SC2059 # a format it is
	answer=$("$driver" "$(printf "<methodCall><methodName>$1</methodName><params><param><value><struct>$m$m$m$m$m</struct></value></param></params></methodCall>" \
		command "$1" args "<array><data><value>$3</value></data></array>" sr_uuid $sr vdi_uuid "$2" \
		device_config "<struct><member><name>${at[3]%%=*}</name><value>${at[3]#*=}</value></member></struct>")")
	[[ $answer != *'<fault>'* ]] || { echo "$answer" >&2; return 1; }
}

# step NAME call|SM-ARGUMENT…
step() {
	local cmd=("${@:2}")

	[ "$2" = call ] || cmd=(sm "${cmd[@]}")
	case ${FEW-}$1 in
	1raw_* | 1cbt_enable | 1cbt_disable | 1rename)
		"${cmd[@]}" >/dev/null
		return
		;;
	esac
	settle
	mark "$1.from"
	"${cmd[@]}" >/dev/null
	mark "$1.done"
	settle
	mark "$1.end"
}

# put DISK [SECTOR BYTE]…: eight sectors of it
put() {
	local disk=$1 dev

	dev=$(sm vdi attach "$disk")
	while shift; [ $# -gt 0 ]; do
		head -c 4096 /dev/zero | tr '\0' "\\$2" | dd of="$dev" bs=512 seek="$1" conv=fsync,notrunc 2>/dev/null
		shift
	done
	sm vdi detach "$disk"
}

# What an earlier record has left there is in no log.
dd if=/dev/zero of="$disk" bs=64k count=17 conv=fsync,notrunc 2>/dev/null
# A path of it, so that nobody takes DISK for a second device with the same bytes.
judge dmsetup --noudevsync create -u mpath-logged logged --table "0 $(blockdev --getsz "$disk") log-writes $disk $log"
case $type in
lvm) at=(--type lvm --dconf device=/dev/mapper/logged) driver=LVMSR ;;
file)
	judge mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /dev/mapper/logged
	mkdir -p /srv/logged
	mount /dev/mapper/logged /srv/logged
	at=(--type file --dconf location=/srv/logged/sr) driver=FileSR
	;;
esac

# in_a_row SEQUENCE: snapshots, clones and growth are of the first disk, what is deleted is the last one.
in_a_row() {
	local verbs disks=("$one") n=0 verb u name

	IFS=, read -ra verbs <<<"$1"
	sm sr create s --uuid $sr "${at[@]}" >/dev/null
	sm vdi create one --sr s --size 4M --format vhd --uuid $one >/dev/null
	put one 0 101 4096 102
	for verb in "${verbs[@]}"; do
		n=$((n + 1)) u=22222222-0000-4000-8000-00000000000$n
		case $verb in
		create) set -- vdi create "d$n" --sr s --size 4M --format vhd --uuid "$u" ;;
		raw) set -- vdi create "d$n" --sr s --size 4M --format raw --uuid "$u" ;;
		snapshot) set -- vdi snapshot "${disks[0]}" "d$n" --uuid "$u" --force ;;
		clone) set -- vdi clone "${disks[0]}" "d$n" --uuid "$u" ;;
		copy) set -- vdi copy "${disks[0]}" "d$n" --uuid "$u" ;;
		resize) set -- vdi resize "${disks[0]}" $((4 + 2 * n))M ;;
		rename) set -- vdi rename "${disks[0]}" "r$n" ;;
		delete) set -- vdi delete "${disks[-1]}" ;;
		gc) set -- gc run s ;;
		esac
		if [ "${MARKS-}" = all ] || [ $n -eq ${#verbs[@]} ]; then
			name=${verbs[*]:0:n}
			step "${name// /,}.${n}_$verb" "$@"
		else
			sm "$@" >/dev/null
		fi
		case $verb in
		create | raw | snapshot | clone | copy) disks+=("$u") ;;
		delete) unset 'disks[-1]' ;;
		esac
	done
	sm sr detach s
	sm sr forget s
	case $type in
	lvm) dd if=/dev/zero of=/dev/mapper/logged bs=64k count=17 conv=fsync,notrunc 2>/dev/null ;;
	file) rm -r /srv/logged/sr ;;
	esac
}

# What a repair mends: the ends of two images; of a file one byte only, and a record of nobody.
damage() {
	local vg=VG_XenStorage-$sr u

	for u in $one $two; do
		case $type in
		lvm)
			judge sh -c "only='--devices /dev/mapper/logged'; lvchange \$only -ay -K $vg/VHD-$u && dd if=/dev/zero of=/dev/$vg/VHD-$u bs=512 count=1 conv=notrunc,fsync \
				seek=\$((\$(blockdev --getsz /dev/$vg/VHD-$u) - 1)) 2>/dev/null && lvchange \$only -an $vg/VHD-$u" ;;
		file) truncate -s $(($(stat -c %s /srv/logged/sr/$u.vhd) - 512)) /srv/logged/sr/$u.vhd ;;
		esac
	done
	[ "$type" = lvm ] || echo 'name=nobody' >/srv/logged/sr/.sm/vdi/33333333-0000-4000-8000-000000000001
}

if [ $# -gt 0 ]; then
	for sequence; do in_a_row "$sequence"; done
	[ "$type" = lvm ] || umount /srv/logged
	judge dmsetup --noudevsync remove logged
	exit
fi
step sr_create sr create s --uuid $sr "${at[@]}"
step vhd_create vdi create one --sr s --size 4M --format vhd --uuid $one
step raw_create vdi create raw --sr s --size 4M --format raw --uuid $raw
put one 0 101 4096 102
step snapshot vdi snapshot one two --uuid $two
[ -n "${FEW-}" ] || put one 0 104
step vhd_resize vdi resize one 6M
step copy vdi copy one three --uuid $three
rm -rf /var/lib/sm/$sr.before-repair*
damage
step repair sr check s --repair
step undo sr check s --undo /var/lib/sm/$sr.before-repair
sm sr check s --repair >/dev/null
[ "$type" = file ] || was=$(sm vg history /dev/mapper/logged --minimal | cut -d, -f1)
step raw_resize vdi resize raw 8M
if [ "$type" = lvm ]; then
	sm sr detach s
	step vg_restore vg restore /dev/mapper/logged --seqno "$was"
	dd if=/dev/zero of=/dev/mapper/logged bs=512 count=9 conv=fsync,notrunc 2>/dev/null
	step vg_anew vg restore /dev/mapper/logged --seqno "$was"
	sm sr attach s >/dev/null
fi
step rename vdi rename raw new
step cbt_enable cbt enable one
step delete vdi delete two
step gc gc run s
step raw_delete vdi delete new
step clone vdi clone one two --uuid $two
sm vdi snapshot one four --uuid $four >/dev/null
put one 0 106
step cbt_data_destroy cbt data-destroy four
sm vdi snapshot one five --uuid $five >/dev/null
put one 0 107
step revert call vdi_revert $five $one
step cbt_disable cbt disable one
step compose call vdi_compose $one $three
echo 10000000000000000000000000000000 >/etc/machine-id
step first_lock vdi lock one --owner somebody
sm vdi unlock one --owner somebody
for disk in $one $two $four $five; do sm vdi delete "$disk"; done
sm gc run s >/dev/null
step sr_destroy sr destroy s
[ "$type" = lvm ] || umount /srv/logged
judge dmsetup --noudevsync remove logged
