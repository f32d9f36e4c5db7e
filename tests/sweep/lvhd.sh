#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# lvhd.sh EVERY FIRST DEVICE [HOW]: disturb verbs on VHD disks of an lvm SR at some of
# their system calls: points.sh.  After each the next verb must find all in order: sr check
# has nothing to say, the disk is there with its old or new size, and when all disks are
# deleted no LV but MGT is left; lvm2 agrees.  Two lines for each verb.
#
# In the lab HOW comes in the environment.  As an argument it says that there is no device-mapper,
# and the data of the disk is compared as well, old or new (LVHD_PY is ../helpers/lvhd.py).
every=$1 first=$2 device=$3 how=${4:-${HOW-}} here=${4-}
# shellcheck source=tests/sweep/points.sh
. "$(dirname "$0")/points.sh"
one=11111111-0000-4000-8000-000000000001
two=11111111-0000-4000-8000-000000000002
sr=$(sm sr create deaths --type lvm --dconf device="$device") || exit 1
vg=VG_XenStorage-$sr kept=${SM_ROOT-}/var/lib/sm/$sr.before-repair
sm gc run deaths >/dev/null || exit 1	# what it tells of itself stays while the SR is there
left "${SM_ROOT:-/}" "$device" >"$held"

# xapi COMMAND VDI ARG: what LVMSR is told for it.
xapi() {
	local member='<member><name>%s</name><value>%s</value></member>'

	# shellcheck disable=SC2059 # a format it is
	printf "<methodCall><methodName>$1</methodName><params><param><value><struct>$member$member$member$member$member</struct></value></param></params></methodCall>" \
		command "$1" args "<array><data><value>$3</value></data></array>" sr_uuid "$sr" vdi_uuid "$2" \
		device_config "<struct><member><name>device</name><value>$device</value></member></struct>"
}

# data put|show VDI…
data() {
	sm vg show --json "$device" | python3 "$LVHD_PY" "$device" "$@"
}

# wipe LV SECTOR COUNT: from the end, if SECTOR is below 0
wipe() {
	if [ -n "$here" ]; then
		data wipe "$@"
		return
	fi
	judge sh -c "lvchange -ay -K $vg/$1 && dd if=/dev/zero of=/dev/$vg/$1 bs=512 count=$3 conv=notrunc,fsync \
		seek=\$((($2 < 0 ? \$(blockdev --getsz /dev/$vg/$1) : 0) + $2)) 2>/dev/null; lvchange -an $vg/$1"
}

# What a repair mends: the ends of an image, the head of MGT, an inner node that can be written to.
damage() {
	local base tool=(lvchange)

	base=$(sm vdi show one --json | tr -d ' \n' | sed 's/.*"parent":"\([^"]*\)".*/\1/')
	if [ -n "$here" ]; then
		tool+=(--devices "$device" --config 'global{activation=0 locking_type=1 locking_dir="'"$scratch"'"}')
	else
		tool=(judge "${tool[@]}")
	fi
	"${tool[@]}" -p rw "$vg/VHD-$base" >/dev/null 2>&1 || return
	[ -n "$here" ] || judge lvchange -an "$vg/VHD-$base" || return
	wipe VHD-$one -1 1 && wipe VHD-$two -1 1 && wipe MGT 0 4 || return
	! sm sr check deaths >/dev/null 2>&1
}

# room: for locks, once, which takes its time
room() {
	[ -n "${has_room-}" ] || { sm vdi lock one --owner x && sm vdi unlock one --owner x; } || exit 1
	has_room=1
}

# put VDI SECTOR BYTE: eight sectors of it
put() {
	[[ -z $here || $verb == *lock* ]] || data put "$1" "$2" 8 "$3"
}

before() {
	local format=vhd

	[ "$verb" != gc ] || format=raw
	sm vdi create one --sr deaths --uuid $one --size 4M --format $format >/dev/null || exit 1
	put $one 0 65
	case $verb in
	gc*) sm vdi snapshot one two --uuid $two --force >/dev/null || exit 1 ;;
	delete | grow* | revert | compose | repair | undo | copy) sm vdi snapshot one two --uuid $two >/dev/null || exit 1 ;;
	esac
	# Twice as large as its table was made for would need a journal: not with ours.
	case $verb in
	deflate) sm vdi resize one 40M >/dev/null || exit 1 ;;
	# A raw base, a node on it, the disk on that; and a base that is empty.
	gc) LVMSR "$(xapi vdi_compose $one $two)" | grep >/dev/null '<fault>' && exit 1 ;;
	gcempty) sm vdi delete two >/dev/null || exit 1 ;;
	compose) sm vdi delete two && sm vdi create two --sr deaths --uuid $two --size 4M >/dev/null || exit 1 ;;
	esac
	put $one 4096 66
	case $verb in
	lock* | unlock) room ;;&
	lock-* | unlock) sm vdi lock one --owner x --lease 600 || exit 1 ;;
	cbt-disable | cbt-snapshot | cbt-data-destroy | cbt-revert)
		sm cbt enable one || exit 1
		[ -z "$here" ] || data mark $one
		;;&
	cbt-data-destroy | cbt-revert)
		sm vdi snapshot one two --uuid $two >/dev/null || exit 1
		put $one 4104 67
		[ -z "$here" ] || data mark $one
		;;
	esac
	rm -rf "$kept"*
	case $verb in
	copy) sm vdi delete two || exit 1 ;;
	repair | undo) damage || exit 1 ;;
	esac
	[ "$verb" != undo ] || sm sr check deaths --repair >/dev/null || exit 1
}

run() {
	case $verb in
	create) set -- vdi create two --sr deaths --uuid $two --size 4M --format vhd ;;
	snapshot | deflate | cbt-snapshot) set -- vdi snapshot one two --uuid $two ;;
	clone) set -- vdi clone one two --uuid $two ;;
	grow) set -- vdi resize one 6M ;;
	delete) set -- vdi delete two ;;
	copy) set -- vdi copy one two --uuid $two ;;
	repair) set -- sr check deaths --repair ;;
	undo) set -- sr check deaths --undo "$kept" ;;
	gc*) set -- gc run deaths ;;
	lock) set -- vdi lock one --owner x --lease 600 ;;
	unlock) set -- vdi unlock one --owner x ;;
	lock-break) set -- lock break one --force ;;
	lock-renew) set -- lock renew one --owner x --lease 700 ;;
	cbt-data-destroy) set -- cbt data-destroy two ;;
	cbt-enable | cbt-disable) set -- cbt "${verb#cbt-}" one ;;
	*revert) set -- "$(xapi vdi_revert $two $one)" ;;
	compose) set -- "$(xapi vdi_compose $one $two)" ;;
	esac
	case $verb in
	*revert | compose) disturb "$(command -v LVMSR)" "$@" >"$said" 2>&1 || return
		! grep -q '<fault>' "$said" ;;
	*) disturb "$(command -v sm)" "$@" >"$said" 2>&1 ;;
	esac
}

# Sectors 0 and 4096 on, old or new: revert takes the second away, compose the first.
look_at_data() {
	local is

	is=$(data show $one 2>&1 | tail -1)
	data_now=$is
	case $verb:$is in
	cbt-data-destroy:'0+8:65 4096+8:66 4104+8:67' | cbt-revert:'0+8:65 4096+8:66 4104+8:67') ;;
	*:'0+8:65 4096+8:66' | revert:'0+8:65' | compose:'4096+8:66') ;;
	*) complain "the data is '$is'" ;;
	esac
	[ "$verb" = copy ] && [[ $(sm vdi list --sr deaths --minimal) == *$two* ]] || return 0
	is=$(data show $two 2>&1 | tail -1)
	[ "$is" = '0+8:65 4096+8:66' ] || complain "the data of the copy is '$is'"
}

# What its log says, old or new, and never less than has changed.
look_at_log() {
	local is

	mapfile -t is < <(data log $one $two 2>&1)
	case $verb:${is[0]} in
	cbt-enable: | 'cbt-enable:1 - - 0' | cbt-disable: | 'cbt-disable:1 - - 81' | 'cbt-snapshot:1 - - 81') ;;
	"cbt-snapshot:1 $two - 0" | "cbt-data-destroy:1 $two - 81" | "cbt-revert:1 $two - ffffffffffffffff") ;;
	"cbt-revert:1 $two - 81") [[ $data_now == *4104* ]] || complain "the disk is the new one, and its log the old" ;;
	*) complain "the log is '${is[0]}'" ;;
	esac
	case $verb:${is[1]} in
	cbt-enable: | cbt-disable: | cbt-snapshot:) ;;
	"cbt-snapshot:1 - $one 81" | "cbt-data-destroy:1 - $one 81" | "cbt-revert:1 - $one 81") ;;
	*) complain "the log of the other is '${is[1]}'" ;;
	esac
}

# Who has it: all comes to what the verb is for when it is given once more.
lock_is() {
	local is

	is=$(sm lock show one --json 2>&1 | tr -d ' \n')
	case $verb:$is in
	*'"lock":null'*) is=free ;;
	*'"owner":"x"'*'"lease":'[67]00*) is=${is#*'"lease":'} is=${is%%,*} ;;
	esac
	case " $1 " in
	*" $is "*) ;;
	*) complain "the lock is $is" ;;
	esac
}

look_at_lock() {
	case $verb in
	lock) lock_is "free 600" && must 0 vdi lock one --owner x --lease 600 && lock_is 600 ;;
	unlock) lock_is "free 600" && must "0 3" vdi unlock one --owner x && lock_is free ;;
	lock-break) lock_is "free 600" && must 0 lock break one --force && lock_is free ;;
	lock-renew) lock_is "600 700" && must 0 lock renew one --owner x --lease 700 && lock_is 700 ;;
	esac
	must 0 sr check deaths
	must 0 lock break one --force
}

# What was kept is all of it, or is in nobody's way; and it can be put back, if the repair has ended.
look_at_kept() {
	local can=6 folder

	case $verb:$((points % 2)) in
	repair:0)
		[ ! -e "$kept/left" ] || can=0
		[ -e "$kept/list" ] || can=4
		must $can sr check deaths --undo "$kept"
		;;
	undo:0) must 0 sr check deaths --undo "$kept" ;;
	esac
	must 0 sr check deaths --repair
	for folder in "$kept"*; do
		[ -e "$folder/list" ] || [ ! -e "$folder" ] || complain "left: $folder without a list"
	done
}

judges() {
	if [ -n "$here" ]; then
		vgck --devices "$device" --config 'activation{udev_sync=0} global{locking_type=1 locking_dir="'"$scratch"'"}' "VG_XenStorage-$sr"
		return
	fi
	# It knows no check of what it has opened: 63.
	judge vgck "VG_XenStorage-$sr" || return
	[ "$verb" != gc ] || return 0		# its disk is raw, or will be
	judge sh -c "lvchange -ay -K VG_XenStorage-$sr/VHD-$one || exit
		qemu-img check -f vpc /dev/VG_XenStorage-$sr/VHD-$one; s=\$?
		lvchange -an VG_XenStorage-$sr/VHD-$one && [ \$s -eq 63 ]"
}

after() {
	local vdi size

	# A node that nobody needs any more may be left to a collector.
	case $verb in
	delete | revert | compose | copy) must 0 sr scan deaths ;;
	repair | undo) look_at_kept ;;
	esac
	must 0 sr check deaths
	if [[ $verb == gc* ]]; then
		must 0 gc run deaths
		vdi=$(sm vdi tree deaths --json | tr -d '\n ')
		[[ $vdi == *'"uuid":"'$one'"'*'"parent":null'*'"hidden":false'* && $vdi != *'"uuid":'*'"uuid":'* ]] || complain "not alone: $vdi"
	fi
	case $verb in
	cbt*)
		must 0 sr scan deaths
		must 0 cbt check deaths
		;;
	*lock*) look_at_lock ;;
	esac
	case $here,$verb in
	,* | *lock*) ;;
	*cbt*) look_at_data && look_at_log ;;
	*) look_at_data ;;
	esac
	! every20 || judges >"$said" 2>&1 || complain "the judges: $(cat "$said")"
	size=$(sm vdi show $one --sr deaths --json | tr -d '\n' | sed 's/.*"virtual_size": \([0-9]*\),.*/\1/')
	case $verb/$size in
	*/4194304 | grow/6291456 | deflate/41943040) ;;
	*) complain "the disk has $size bytes" ;;
	esac
	for vdi in $one $two; do
		must "0 4" vdi delete "$vdi" --sr deaths
	done
	vdi=$(sm vdi tree deaths --json | tr -d '\n ')
	[[ $vdi == *'"vdis":[]'* ]] || complain "left: $vdi"
	vdi=$(sm vg show "$device" --json | grep -o '[^"]*\.cbtlog')
	[ -z "$vdi" ] || complain "left: $vdi"
	must 0 sr check deaths
}

verbs='create snapshot deflate clone grow delete revert compose gc gcempty'
# In a sample a third of these each day, and one in the lab.
[ -n "$here" ] && of=3 || of=9
turns=(lock lock-break lock-renew unlock cbt-enable cbt-disable cbt-snapshot cbt-revert cbt-data-destroy)
for i in "${!turns[@]}"; do
	[ "$every" -gt 1 ] && [ $(((i + first) % of)) -ne 0 ] || verbs+=" ${turns[i]}"
done
[ -n "$here" ] || verbs+=' copy'		# through devices
[ -z "$here" ] && [ "$every" -gt 1 ] || verbs+=' repair undo'
# shellcheck disable=SC2086 # words
sweep lvm vhd_ ${SWEEP_VERBS-$verbs}
sm sr destroy deaths || bad=1
[ $bad -eq 0 ]
