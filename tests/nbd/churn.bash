# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Words of churn.bats, in the guest, on top of those of guest.bash: disks of the SR "disks" that
# are written at random (lab/tools/churn.c) while all that may be done to a disk in use is done.
MIB=16

device() { sm vdi show "$1" --json | sed -n 's/.*"device": *"\([^"]*\)".*/\1/p'; }

# alter DISK TIMES: a change every 50 ms.  What was made of it is in /tmp/made.DISK, in that order.
alter() {
	local i size=32 old r

	: >"/tmp/made.$1"
	for ((i = 1; i <= $2; i++)); do
		r=$((RANDOM % 8))
		[ "$(wc -l <"/tmp/made.$1")" -lt 8 ] || r=7
		case $r in
		[0-2]) sm vdi snapshot "$1" "$1-s$i" >/dev/null; echo "$1-s$i" >>"/tmp/made.$1" ;;
		[3-4]) sm vdi clone "$1" "$1-c$i" >/dev/null; echo "$1-c$i" >>"/tmp/made.$1" ;;
		5) sm vdi resize "$1" $((size += 2))M >/dev/null ;;
		*)
			[ "$(wc -l <"/tmp/made.$1")" -gt 2 ] || continue
			old=$(sed "$((RANDOM % 3 + 1))!d" "/tmp/made.$1")
			sm vdi delete "$old"
			sed -i "/^$old\$/d" "/tmp/made.$1"
			;;
		esac
		sleep 0.05
	done
}

# judged DISK SEED N...: each of its copies is one moment of it, and none earlier than the one before.
judged() {
	local disk=$1 seed=$2 copy mode last=(0 0 0 0)

	while read -r copy; do
		[ -n "${copy##*-c*}" ] && mode=--read-only || mode=	# by both ways, table and server
		read -r -a last <<<"$(churn check "$(sm vdi attach "$copy" $mode)" $MIB "$seed" "${last[@]}")"
		[ ${#last[@]} = 4 ]
		sm vdi detach "$copy"
	done <"/tmp/made.$disk"
	churn check "$(sm vdi attach "$disk")" $MIB "$seed" "${@:3}" >/dev/null
	sm vdi detach "$disk"
}

# churned TIMES SEED FORMAT...: a disk of each format, all at once; any that fails fails it.
churned() {
	local times=$1 seed=$2 f d pid=() n

	for f in "${@:3}"; do
		sm vdi create "$f" --sr disks --size 32M --format "$f" >/dev/null
		d=$(sm vdi attach "$f")
		churn write "$d" $MIB "$seed" 1000000000 >"/tmp/n.$f" &
		pid+=($!)
	done
	RANDOM=$seed
	for f in "${@:3}"; do
		alter "$f" "$times"
	done
	for f in "${@:3}"; do
		refused sm vdi detach "$f" >/dev/null
	done
	kill -TERM "${pid[@]}"
	wait "${pid[@]}"
	for f in "${@:3}"; do
		read -r -a n <"/tmp/n.$f"
		echo "$f: $(wc -l <"/tmp/made.$f") copies, operations ${n[*]}"
		churn check "$(device "$f")" $MIB "$seed" "${n[@]}" >/dev/null
		sm vdi detach "$f"
		judged "$f" "$seed" "${n[@]}"
	done
	sm sr check disks
}

# logged SEED TIMES EVERY: a VHD on LVM whose every write is logged, and the power cuts that there might have been.
logged() {
	local v d lv size n

	v=$(sm vdi create logged --sr disks --size 16M --format vhd)
	d=$(sm vdi attach logged)
	lv=$(judge dmsetup info -c --noheadings -o name | grep -- "-VHD--${v//-/--}")
	judge dmsetup create inner --table "$(judge dmsetup table "$lv")"
	size=$(blockdev --getsz /dev/mapper/inner)
	judge dmsetup suspend "$lv"
	cat /dev/mapper/inner >/tmp/base
	judge dmsetup load "$lv" --table "0 $size log-writes /dev/mapper/inner /dev/ubdb"
	judge dmsetup resume "$lv"
	churn write "$d" 8 "$1" "$2" "$lv" >/tmp/n
	sm vdi detach logged
	judge dmsetup remove inner
	churnlog /dev/ubdb /tmp/base 8 "$1" "$3"
	sm sr check disks
	d=$(sm vdi attach logged)
	read -r -a n </tmp/n
	churn check "$d" 8 "$1" "${n[@]}"
	sm vdi detach logged
	rm /tmp/base
}
