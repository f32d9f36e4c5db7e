#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# stress.sh PROCESSES SECONDS: as many processes do random verbs on one SR, each
# with disks of its own and all with three that they share.  Prints what went
# wrong; status 0 when nothing did.

set -u

d=$(mktemp -d /tmp/stress.XXXXXX)
mkdir "$d/loc" "$d/log" "$d/mine"
sr=$(sm sr create stress --type file --dconf location="$d/loc") || exit 1

# may STATUSES VERB…: run it; any other status is written down.
may() {
	local want=$1 said status

	shift
	said=$(sm "$@" 2>&1)
	status=$?
	case " $want " in
	*" $status "*) return $status ;;
	esac
	echo "sm $*: status $status: $said" >>"$d/log/$me"
	return $status
}

shared() {
	local u=ffffffff-0000-4000-8000-00000000000$((RANDOM % 3))

	case $((RANDOM % 4)) in
	0) may "0 1" vdi create shared --sr "$sr" --format raw --size 1M --uuid "$u" ;;
	1) may "0 4" vdi attach "$u" --sr "$sr" ;;
	2) may "0 4" vdi detach "$u" --sr "$sr" ;;
	3) may "0 3 4" vdi delete "$u" --sr "$sr" ;;
	esac
}

worker() {
	local me=$1 until=$((SECONDS + $2)) n=0 u mine=()

	RANDOM=$1
	while [ $SECONDS -lt $until ]; do
		n=$((n + 1))
		case $((RANDOM % 9)) in
		0 | 1)
			printf -v u '%08x-0000-4000-8000-%012d' "$me" "$n"
			may 0 vdi create "w$me-$n" --sr "$sr" --format raw --size 1M --uuid "$u" && mine+=("$u")
			;;
		2) [ ${#mine[@]} -eq 0 ] || may 0 vdi attach "${mine[0]}" --sr "$sr" ;;
		3) [ ${#mine[@]} -eq 0 ] || may 0 vdi detach "${mine[0]}" --sr "$sr" ;;
		4)
			[ ${#mine[@]} -gt 1 ] || continue
			may 0 vdi delete "${mine[-1]}" && unset 'mine[-1]'
			;;
		5) may 0 vdi list ;;
		6) may 0 sr scan "$sr" ;;
		7) [ ${#mine[@]} -eq 0 ] || may 0 vdi rename "${mine[0]}" "name $n" ;;
		8) shared ;;
		esac
	done
	[ ${#mine[@]} -eq 0 ] || printf '%s\n' "${mine[@]}" >"$d/mine/$me"
}

for ((i = 1; i <= $1; i++)); do
	worker "$i" "$2" &
done
wait

me=end
may 0 sr check "$sr"
sm vdi list --sr "$sr" --minimal | tr , '\n' | grep -v ^ffffffff | sort >"$d/log/list"
cat "$d"/mine/* | sort | diff - "$d/log/list" >"$d/log/lost" || true
rm "$d/log/list"
for u in $(sm vdi list --sr "$sr" --minimal | tr , ' '); do
	may 0 vdi detach "$u" --sr "$sr"
	may 0 vdi delete "$u" --sr "$sr"
done
may 0 sr destroy "$sr"
find "$d/loc" -mindepth 1 >>"$d/log/end"
cat "$d"/log/*
[ -z "$(cat "$d"/log/*)" ] && rm -r "$d"
