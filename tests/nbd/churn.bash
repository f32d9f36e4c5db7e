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

# place FS DEVICE: the SR "disks" in files on it; unplace: the device is free again.
place() {
	local d=$2

	case $1 in
	nfs)
		: >/tmp/placed
		judge bash /tmp/server.sh up "$d"
		sm sr create disks --type nfs --dconf server=10.77.0.2 --dconf serverpath=/pool --dconf nfsversion=4.2 >/dev/null
		return
		;;
	4096) d=$(judge losetup -f --show -b 4096 "$d"); judge mkfs.ext4 -qF "$d" ;;
	xfs) judge mkfs.xfs -qf "$d" ;;
	*) judge mkfs.ext4 -qF "$d" ;;
	esac
	mkdir -p /srv/place
	mount "$d" /srv/place
	rm -rf /srv/place/lost+found
	sm sr create disks --type file --dconf location=/srv/place >/dev/null
}
unplace() {
	! sm sr show disks >/dev/null 2>&1 || sm sr destroy disks
	! grep -q " /srv/place " /proc/mounts || umount /srv/place
	[ ! -e /tmp/placed ] || judge bash /tmp/server.sh down
	rm -f /tmp/placed
	judge losetup -D
}

# wiped: no disk is left in the SR.
wiped() {
	local v i

	for ((i = 0; i < 30; i++)); do
		v=$(sm vdi list --sr disks --minimal | tr , ' ')
		[ -n "$v" ] || return 0
		for v in $v; do sm vdi delete "$v" >/dev/null 2>&1 || true; done
	done
	return 1
}

# lived TIMES KIND: a file system of that kind, written to while its disk is changed TIMES times.
# The writer counts what it has flushed; each copy made after that has it.
lived() {
	local d w i n c t

	sm vdi create disk --sr disks --size 320M --format vhd >/dev/null
	d=$(sm vdi attach disk)
	mkdir -p /srv/fs
	judge "mkfs.$2" -q "$d"
	mount "$d" /srv/fs
	echo 0 >/tmp/n.flushed
	while [ ! -e /tmp/n.stop ]; do
		n=$(($(cat /tmp/n.flushed) + 1))
		mkdir "/srv/fs/$n"
		head -c $((n * 7919 % 300000)) /dev/urandom >"/srv/fs/$n/data"
		md5sum <"/srv/fs/$n/data" >"/srv/fs/$n/sum"
		rm -rf "/srv/fs/$((n - 60))"
		sync "/srv/fs/$n/data" "/srv/fs/$n/sum" "/srv/fs/$n" /srv/fs
		echo $n >/tmp/n.next
		mv /tmp/n.next /tmp/n.flushed
	done &
	w=$!
	: >/tmp/made.disk
	for ((i = 1; i <= $1; i++)); do
		t=$(($(cat /tmp/n.flushed) + 2))
		while [ "$(cat /tmp/n.flushed)" -lt $t ]; do kill -0 $w; sleep 0.02; done
		n=$(cat /tmp/n.flushed)
		if [ $((i % 2)) = 0 ]; then sm vdi clone disk c$i; else sm vdi snapshot disk c$i; fi >/dev/null
		echo "c$i $n" >>/tmp/made.disk
		sm vdi resize disk $((320 + i * 8))M >/dev/null
	done
	touch /tmp/n.stop
	wait $w
	umount /srv/fs
	sound "$2" "$d"
	sm vdi detach disk
	while read -r c n; do
		[ $((${c#c} % 2)) = 0 ] || { sm vdi clone "$c" "$c-w" >/dev/null; c=$c-w; }
		d=$(sm vdi attach "$c")
		mount "$d" /srv/fs		# which plays the journal
		for ((i = n > 8 ? n - 7 : 1; i <= n; i++)); do
			[ "$(md5sum <"/srv/fs/$i/data")" = "$(cat "/srv/fs/$i/sum")" ]
		done
		umount /srv/fs
		sound "$2" "$d"
		sm vdi detach "$c"
	done </tmp/made.disk
	echo "$2: $(wc -l </tmp/made.disk) copies, $(cat /tmp/n.flushed) files"
	rm /tmp/n.*
	sm sr check disks
}
sound() { case $1 in ext4) judge e2fsck -fn "$2" ;; xfs) judge xfs_repair -n "$2" ;; esac >/tmp/said 2>&1 || { cat /tmp/said; return 1; }; }

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
