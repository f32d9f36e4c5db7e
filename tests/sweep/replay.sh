#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# replay.sh lvm|file LOG SIZE EVERY FIRST [STEP…]: what record.sh recorded, cut off at the states that
# logwrites makes of it, FIRST, FIRST + EVERY and so on of each step.  On each the
# SR is attached, with no step by hand; it is sound, and its disks, their names, sizes
# and data are those from before the verb or from after it: from after it when the verb
# had answered.  Runs on a host, in a mount namespace of its own, with SM_ROOT; $T is a
# folder for files, LVHD_PY is ../helpers/lvhd.py.  A line for table.sh for each step, or for all of them, which ROW names.
set -u

type=$1 log=$2 size=$3 every=$4 first=$5
shift 5
sr=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e18
bad=0 looks=0 in_all=0
export SM_GC=off
mkdir -p "$T/mnt" "$SM_ROOT/etc"
echo 20000000000000000000000000000000 >"$SM_ROOT/etc/machine-id"
python=$(PATH=/usr/bin:$PATH command -v python3)	# not a wrapper of it

# data UUID FORMAT
data() {
	case $type in
	lvm) sm vg show --json "$loop" | "$python" "$LVHD_PY" "$loop" show "$1" ;;
	file) sm image convert -O raw "$T/mnt/sr/$1.$2" "$T/flat" && md5sum <"$T/flat" ;;
	esac 2>&1
}

judges() {
	local f status

	if [ "$type" = file ]; then
		for f in "$T"/mnt/sr/*.vhd; do
			[ -e "$f" ] || continue
			sm image check "$f" || return
			qemu-img check -f vpc "$f"
			status=$?
			[ $status -eq 63 ] || { echo "qemu-img: $status"; return 1; }	# it knows no check of what it has opened
		done
		return
	fi
	vgck --devices "$loop" --config 'activation{udev_sync=0} global{locking_type=1 locking_dir="'"$T"'/lock"}' VG_XenStorage-$sr
}

# What CBT knows of a disk, where a step is about that.
tracked() {
	[[ $step != cbt_* ]] || sm cbt show "$1" --sr s --json | jq -c .cbt
}

# A lock that was not taken is there to be taken, with what a death left of the place for it; one that was taken is kept.
locks() {
	local status=0

	sm lock list s --json | jq -r '.locks[]|"locked \(.vdi) \(.owner) \(.state)"' | tee "$T/locks" >>"$1"
	# Where the place was under way this waits for that one to be dead.
	[ "$every" -eq 1 ] || return 0
	sm vdi lock one --owner other || status=$?
	[ $status -eq "$([ -s "$T/locks" ] && echo 3 || echo 0)" ] || return
	[ $status -ne 0 ] || sm vdi unlock one --owner other
}

# The label that somebody wiped: what was done about it is done once more.
anew() {
	echo "no label" >"$1"
	sm vg restore "$loop" --seqno "$newest" 2>&1 && sm sr introduce $sr "${at[@]}" --name s 2>&1
}

# Of what a repair mends as much is there as it was not yet at.
mends() {
	[[ $step == repair || $step == undo ]] || return 0
	rm -rf "$SM_ROOT/var/lib/sm"
	sm sr check s --repair 2>&1
}

# look DISK TO: attach what is there, and write down what it is.
look() {
	local loop uuid format rest said status=0

	loop=$(losetup -f --show "$1") || return
	case $type in
	lvm) at=(--type lvm --dconf device="$loop") ;;
	file)
		at=(--type file --dconf location="$T/mnt/sr")
		mount "$loop" "$T/mnt" || { losetup -d "$loop"; return 1; }
		;;
	esac
	: >"$2"
	# One that came to nothing, or went, is made again; one that is there is an SR to be introduced.
	if [[ $step == sr_* ]] && said=$(sm sr create s --uuid $sr "${at[@]}" 2>&1); then
		said=$(sm sr detach s 2>&1 && sm sr forget s 2>&1) || { echo "sr forget: $said"; status=1; }
		[ "$step" = sr_create ] || echo "gone" >"$2"
	fi
	[ "$step" != vg_anew ] || newest=${newest:-$(sm vg history "$loop" --minimal | cut -d, -f1)}
	if said=$(sm sr introduce $sr "${at[@]}" --name s 2>&1) || { [ "$step" = vg_anew ] && said=$(anew "$2"); }; then
		# What a collector was at is left to the next one.
		said=$(mends && sm sr scan s 2>&1 && { [[ $step != *gc ]] || sm gc run s 2>&1; } && sm sr check s --json 2>&1)
		[[ $said == *'"problems": []'* ]] || { echo "sr check: $said"; status=1; }
		sm sr show s --json | jq -r '.sr|"\(.uuid) \(.name)"' >>"$2"
		sm vdi list --sr s --json | jq -r '.vdis[]|select(.hidden|not)|"\(.uuid) \(.format) \(.name) \(.virtual_size)"' |
			sort >"$T/list"
		while read -r uuid format rest; do
			echo "$uuid $format $rest $([ "$format" = cbtlog ] || data "$uuid" "$format") $(tracked "$uuid")"
		done <"$T/list" >>"$2"
		[[ $step != cbt_* ]] || said=$(sm cbt check s 2>&1) || { echo "cbt check: $said"; status=1; }
		[ "$type" = lvm ] || said=$(find "$T/mnt/sr" -maxdepth 1 -name '*.vhd' -exec "$python" "${LVHD_PY%/*}/vhd_names.py" {} + 2>&1) ||
			{ echo "$said"; status=1; }
		[[ $step != *lock ]] || said=$(locks "$2" 2>&1) || { echo "vdi lock: $said"; status=1; }
		[ $((looks++ % 20)) -ne 0 ] || said=$(judges 2>&1) || { echo "the judge: $said"; status=1; }
		said=$(sm sr detach s 2>&1) || { echo "sr detach: $said"; status=1; }
		said=$(sm sr forget s 2>&1) || { echo "sr forget: $said"; status=1; }
	else
		echo "sr introduce: $said"
		status=1
	fi
	[ "$type" = lvm ] || umount "$T/mnt" || status=1
	losetup -d "$loop" || status=1
	return $status
}

# state N: of those up to the answer, and then of those behind it.
state() {
	cp --sparse=always "$T/base" "$T/disk"
	if [ "$1" -lt "$upto" ]; then
		logwrites "$log" state "$step.from" "$step.done" 6 "$1" "$T/disk"
	else
		logwrites "$log" replay "$step.done" "$T/disk"
		logwrites "$log" state "$step.done" "$step.end" 6 $(($1 - upto)) "$T/disk"
	fi
}

[ $# -gt 0 ] || mapfile -t names < <(logwrites "$log" list | sed -n 's/.* \(.*\)\.from$/\1/p')
for step in "${@-${names[@]}}"; do
	tried=0 bad_before=$bad
	rm -f "$T/base" "$T/disk"
	truncate -s "$size" "$T/base"
	logwrites "$log" replay "$step.from" "$T/base" || exit
	newest=
	cp --sparse=always "$T/base" "$T/disk"
	look "$T/disk" "$T/before" || { echo "$step: before it"; bad=$((bad + 1)); }
	rm "$T/disk"
	truncate -s "$size" "$T/disk"
	logwrites "$log" replay "$step.end" "$T/disk" || exit
	look "$T/disk" "$T/after" || { echo "$step: after it"; bad=$((bad + 1)); }
	case $step in
	*.* | sr_create | gc | repair | undo) ;;	# done in any case by now, or it may do nothing
	*) ! cmp -s "$T/before" "$T/after" || { echo "$step: it shows in nothing"; bad=$((bad + 1)); } ;;
	esac
	upto=$(logwrites "$log" states "$step.from" "$step.done") all=$((upto + $(logwrites "$log" states "$step.done" "$step.end")))
	for ((n = first % all; n < all; n += every)); do
		is=$(state "$n")
		tried=$((tried + 1))
		said=$(look "$T/disk" "$T/now") && { cmp -s "$T/now" "$T/after" ||
			{ [ "$n" -lt $((upto - 1)) ] && cmp -s "$T/now" "$T/before"; }; } && continue
		bad=$((bad + 1))
		[ $((bad - bad_before)) -lt 4 ] || continue
		echo "$step, $n of $upto and $((all - upto)), $is: $said"
		diff "$T/before" "$T/now"
		echo "but after it"
		diff "$T/after" "$T/now"
	done
	echo "# $step: $tried of $all states"
	in_all=$((in_all + tried))
	[ -n "${ROW-}" ] || echo "# sweep $type disk:_$step cuts=$tried bad=$((bad - bad_before))"
done
[ -z "${ROW-}" ] || echo "# sweep $type $ROW cuts=$in_all bad=$bad"
[ $bad -eq 0 ]
