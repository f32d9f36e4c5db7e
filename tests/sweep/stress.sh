#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# stress.sh TYPE PROCESSES SECONDS [DEVICE]: as many processes do random verbs on one SR, each
# with disks of its own and all with three that they share; a collector works when it
# likes to.  Prints what went wrong, and how long the longest verb took; status 0 when
# nothing went wrong and the disks, with their sizes, are what the processes made.
# ATTACH=no where there is no device-mapper; only raw disks are attached, of nbd there are
# few.  Of a lvm SR, DEVICE is the disk.

set -u

type=$1 d=$(mktemp -d "${TMPDIR:-/tmp}/stress.XXXXXX")
mkdir "$d/loc" "$d/log" "$d/mine" "$d/took"
case $type in
file) sr=$(sm sr create stress --type file --dconf location="$d/loc") || exit 1 ;;
lvm) sr=$(sm sr create stress --type lvm --dconf device="$4" --dconf allocation=thin) || exit 1 ;;
esac

# may STATUSES VERB…: run it; any other status is written down.
may() {
	local want=$1 said status from=${EPOCHREALTIME/./} took

	shift
	said=$(sm "$@" 2>&1)
	status=$?
	took=$(((${EPOCHREALTIME/./} - from) / 1000))
	[ "$took" -le "$longest" ] || { longest=$took; echo "$took ms: sm $*" >"$d/took/$me"; }
	case " $want " in
	*" $status "*) return $status ;;
	esac
	echo "sm $*: status $status after $took ms: $said" >>"$d/log/$me"
	return $status
}

shared() {
	local u=ffffffff-0000-4000-8000-00000000000$((RANDOM % 3))

	case $((RANDOM % 5)) in
	0 | 4) may "0 1" vdi create shared --sr "$sr" --format raw --size 4M --uuid "$u" ;;
	1) [ "$attach" = no ] || may "0 4" vdi attach "$u" --sr "$sr" ;;
	2) [ "$attach" = no ] || may "0 4" vdi detach "$u" --sr "$sr" ;;
	3) may "0 3 4" vdi delete "$u" --sr "$sr" ;;
	esac
}

# make [OF]: a disk, or a snapshot of one
make() {
	local format=vhd

	printf -v u '%08x-0000-4000-8000-%012d' "$me" "$n"
	if [ $# -eq 1 ]; then
		may 0 vdi snapshot "$1" "w$me-$n" --uuid "$u" || return
		size[$u]=${size[$1]} kind[$u]=snapshot
	else
		[ $((RANDOM % 2)) -eq 0 ] || format=raw
		may 0 vdi create "w$me-$n" --sr "$sr" --format $format --size 4M --uuid "$u" || return
		size[$u]=4194304 kind[$u]=$format
	fi
	mine+=("$u")
}

worker() {
	local me=$1 until=$((SECONDS + $2)) n=0 u v longest=0 mine=()
	local -A size=() kind=()

	RANDOM=$1
	while [ $SECONDS -lt $until ]; do
		n=$((n + 1))
		v=${mine[0]-}
		case $((RANDOM % 12)) in
		0 | 1) [ ${#mine[@]} -ge "$most" ] || make ;;
		2) [ -z "$v" ] || [ "$attach" = no ] || [ "${kind[$v]}" != raw ] || may 0 vdi attach "$v" --sr "$sr" ;;
		3) [ -z "$v" ] || [ "$attach" = no ] || [ "${kind[$v]}" != raw ] || may 0 vdi detach "$v" --sr "$sr" ;;
		4 | 5)
			[ ${#mine[@]} -gt 1 ] || continue
			may 0 vdi delete "${mine[-1]}" && unset 'mine[-1]'
			;;
		6) may 0 vdi list ;;
		7) may 0 sr scan "$sr" ;;
		8) [ -z "$v" ] || may 0 vdi rename "$v" "name $n" ;;
		9) shared ;;
		10)	# not the first, which may be attached
			[ ${#mine[@]} -gt 1 ] && [ ${#mine[@]} -lt "$most" ] && [ "${kind[${mine[-1]}]}" = vhd ] && make "${mine[-1]}"
			;;
		11)
			[ ${#mine[@]} -gt 1 ] || continue
			v=${mine[-1]}
			if [ "${kind[$v]}" = snapshot ] || [ "${size[$v]}" -ge 12582912 ]; then continue; fi
			may 0 vdi resize "$v" $((size[$v] + 4194304)) --sr "$sr" && size[$v]=$((size[$v] + 4194304))
			;;
		esac
	done
	echo "$n" >"$d/took/$me.n"
	for u in "${mine[@]}"; do echo "$u ${size[$u]}"; done >"$d/mine/$me"
}

attach=${ATTACH-yes} most=${MOST:-4}
for ((i = 1; i <= $2; i++)); do
	worker "$i" "$3" &
done
wait

me=end longest=0
may 0 sr check "$sr"
# jq is not in the lab.
sm vdi list --sr "$sr" --json | tr -d ' \n' | sed 's/{"uuid"/\n&/g' | grep '"hidden":false' |
	sed -n 's/.*{"uuid":"\([^"]*\)".*"virtual_size":\([0-9]*\).*/\1 \2/p' | grep -v ^ffffffff | sort >"$d/list"
cat "$d"/mine/* | sort | diff - "$d/list" >"$d/log/lost"
for u in $(sm vdi list --sr "$sr" --minimal | tr , ' '); do
	may 0 vdi detach "$u" --sr "$sr"
	may "0 4" vdi delete "$u" --sr "$sr"	# 4: it was hidden, and a collector has found it
done
may "0 3" gc run "$sr"	# 3: it has begun by itself
may 0 sr destroy "$sr"
find "$d/loc" -mindepth 1 >>"$d/log/end"
echo "# $(cat "$d"/took/*.n | awk '{ n += $1 } END { print n }') verbs; the longest: $(cat "$d"/took/*[0-9] | sort -n | tail -n 1)"
cat "$d"/log/*
[ -z "$(cat "$d"/log/*)" ] && rm -r "$d"
