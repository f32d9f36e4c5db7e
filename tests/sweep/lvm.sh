#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# lvm.sh EVERY FIRST DEVICE [HOW]: disturb verbs on an lvm SR and its raw disks at some
# of their system calls: points.sh.  lvm2 says of each that all is in order.  Two lines for
# each verb.
#
# In the lab HOW comes in the environment.  As an argument it says that there is no device-mapper,
# and the data of the disk is compared as well (LVHD_PY is ../helpers/lvhd.py).  SWEEP_SECOND is
# a second device, for a VG of two PVs that is restored.
every=$1 first=$2 device=$3 how=${4:-${HOW-}} here=${4-} second=${SWEEP_SECOND-}
# shellcheck source=tests/sweep/points.sh
. "$(dirname "$0")/points.sh"
sr=$(cat /proc/sys/kernel/random/uuid)
one=11111111-0000-4000-8000-000000000001
at=(--type lvm --dconf device="$device") restore=(vg restore "$device" "$second" --from "$scratch/backup")

# data put|show VDI…
data() {
	sm vg show --json "$device" | python3 "$LVHD_PY" "$device" "$@"
}

lvm2() {
	if [ -n "$here" ]; then
		"$@" --devices "$device${second:+,$second}" --config 'activation{udev_sync=0} global{locking_type=1 locking_dir="'"$scratch"'"}'
	else
		judge "$@"
	fi
}

before() {
	case $verb in
	sr-create) return ;;
	vg-*) at[3]=device=$device,$second ;;
	*) at[3]=device=$device ;;
	esac
	sm sr create deaths --uuid $sr "${at[@]}" >/dev/null || exit 1
	case $verb in
	vdi-create | sr-destroy) ;;
	*)
		sm vdi create one --sr deaths --uuid $one --size 4M --format raw >/dev/null || exit 1
		[ -z "$here" ] || data put $one 0 8 65
		;;
	esac
	case $verb in
	sr-attach) sm sr detach deaths || exit 1 ;;
	sr-introduce) sm sr forget deaths || exit 1 ;;
	vdi-detach) sm vdi attach one >/dev/null || exit 1 ;;
	vdi-resize) [ -n "$here" ] || sm vdi attach one >/dev/null || exit 1 ;;
	vg-*)
		sm vg backup "$device" "$second" --to "$scratch/backup.new" && mv "$scratch/backup.new" "$scratch/backup" &&
			sm vdi resize one 8M && sm sr detach deaths || exit 1
		pv=$(sm vg show "$second" --json 2>/dev/null | tr -d ' \n' | sed 's/.*"uuid":"\([^"]*\)","path":"[^"]*".*/\1/')
		;;&
	vg-restore-label) dd if=/dev/zero of="$second" bs=1M count=1 conv=notrunc,fsync 2>/dev/null ;;
	esac
}

run() {
	case $verb in
	sr-create) set -- sr create deaths --uuid $sr "${at[@]}" ;;
	sr-introduce) set -- sr introduce $sr "${at[@]}" --name deaths ;;
	sr-rename) set -- sr rename $sr deaths2 ;;
	sr-*) set -- sr "${verb#sr-}" $sr ;;
	vdi-create) set -- vdi create one --sr deaths --uuid $one --size 8M --format raw ;;
	vdi-resize) set -- vdi resize one 8M ;;
	vdi-rename) set -- vdi rename one other ;;
	vdi-lock) set -- vdi lock one --owner x ;;
	# Back to when the disk was smaller; where the label of a PV is lost, too.
	vg-restore) set -- "${restore[@]}" ;;
	vg-restore-label) set -- "${restore[@]}" --pv "$pv=$second" ;;
	*) set -- vdi "${verb#vdi-}" one ;;
	esac
	disturb "$(command -v sm)" "$@" >"$said" 2>&1
}

# The VG is the old one or the new one, and when it is given once more the new one.
restored() {
	local sizes="4194304 8388608" size

	if [ "$verb" = vg-restore-label ] || [ $((points % 2)) -eq 0 ]; then
		# Its label may be there again.
		sm "${restore[@]}" --pv "$pv=$second" >/dev/null 2>&1 || must 0 "${restore[@]}"
		sizes=4194304
	fi
	must 0 sr attach $sr
	size=$(sm vdi show one --json | tr -d '\n' | sed 's/.*"virtual_size": \([0-9]*\),.*/\1/')
	[[ " $sizes " == *" $size "* ]] || complain "the disk has $size bytes"
}

# The same once more, or what it says is to be done.
after() {
	case $verb in
	sr-create)
		sm sr create deaths --uuid $sr "${at[@]}" >/dev/null 2>&1 ||
			sm sr attach $sr >/dev/null 2>&1 || must 0 sr introduce $sr "${at[@]}" --name deaths ;;
	sr-destroy)
		sm sr destroy $sr >/dev/null 2>&1 || sm sr forget $sr >/dev/null 2>&1
		must 0 sr create deaths --uuid $sr "${at[@]}" ;;
	sr-forget) must "0 4" sr forget $sr && must 0 sr introduce $sr "${at[@]}" --name deaths ;;
	sr-introduce) must 0 sr introduce $sr "${at[@]}" --name deaths ;;
	sr-detach) must 0 sr detach $sr && must 0 sr attach $sr ;;
	sr-attach) must 0 sr attach $sr ;;
	vdi-resize) must 0 vdi resize one 8M ;;
	vdi-rename) must 0 vdi rename $one other --sr $sr ;;
	vdi-attach | vdi-detach) must "0 4" "${verb%-*}" "${verb#*-}" one ;;
	vdi-lock)
		must 0 vdi lock one --owner x
		[[ $(sm lock show one --json) == *'"owner": "x"'* ]] || complain "not locked: $(sm lock show one --json)"
		must 0 vdi unlock one --owner x
		;;
	vg-*) restored ;;
	esac
	must 0 sr check $sr
	! every20 || lvm2 vgck VG_XenStorage-$sr || complain "vgck"
	case $here,$verb in
	,* | *,sr-create | *,sr-destroy | *,vdi-create | *,vdi-delete) ;;
	*) [ "$(data show $one 2>&1 | tail -1)" = 0+8:65 ] || complain "the data is '$(data show $one 2>&1)'" ;;
	esac
	must "0 4" vdi detach $one --sr $sr
	must "0 4" vdi delete $one --sr $sr
	must 0 sr destroy $sr
	! every20 || [ -z "$(lvm2 pvs --noheadings)" ] || complain "left: $(lvm2 pvs --noheadings)"
}

if [ -n "$here" ]; then
	verbs='sr-create sr-destroy sr-attach sr-detach sr-introduce sr-forget sr-rename sr-scan vdi-create vdi-resize vdi-rename vdi-delete'
else
	verbs='sr-create sr-destroy sr-attach vdi-create vdi-resize vdi-attach vdi-detach vdi-delete'
fi
[ -z "$second" ] || verbs+=' vg-restore'
# A sample has few of these: two devices at each point, and the first lock of an SR takes seconds.
[ "$every" -gt 1 ] && [ -z "$here" ] || verbs+=' vg-restore-label'
[ "$every" -gt 1 ] || slow[vdi-lock]=11
[ "$every" -gt 1 ] && { [ -z "$here" ] || [ $((first % 3)) -ne 0 ]; } || verbs+=' vdi-lock'
# shellcheck disable=SC2086 # words
sweep lvm '' ${SWEEP_VERBS-$verbs}
[ $bad -eq 0 ]
