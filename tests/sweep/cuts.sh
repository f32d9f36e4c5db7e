#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# cuts.sh go|look SR DEVICE NOTES CYCLE: disks of an lvm SR come, grow and go until the
# power fails; and after that, is everything there that was promised?
#
# NOTES is a file that survives: "begin WORDS" before a verb and "done" behind it,
# so that the last verb alone may have happened or not.  WORDS are "+ UUID BYTES"
# (the disk is there, with this size) or "- UUID".
set -u

how=$1 sr=$2 device=$3 notes=$4 cycle=$5

# What was promised: "UUID BYTES" of each disk; and of the last verb, if it was not answered.
promised() {
	awk '$1 == "begin" { if (open) last = ""; op = $2; u = $3; size = $4; open = 1 }
		$1 == "done" { if (op == "+") at[u] = size; else delete at[u]; open = 0 }
		END { for (x in at) print x, at[x]; if (open) print "maybe", op, u, size }' "$notes"
}

go() {
	local n=0 u parent victim
	local -a mine
	mapfile -t mine < <(promised | grep -v ^maybe | cut -d' ' -f1)

	RANDOM=$cycle
	while :; do
		n=$((n + 1))
		printf -v u 'aaaaaaaa-0000-4000-%04d-%012d' "$cycle" "$n"
		case $((RANDOM % 5)) in
		0 | 1)
			[ ${#mine[@]} -lt 6 ] || continue
			echo "begin + $u 4194304" >>"$notes"
			sm vdi create "d$n" --sr "$sr" --size 4M --format vhd --uuid "$u" >/dev/null || exit 1
			mine+=("$u")
			;;
		2)
			[ ${#mine[@]} -gt 0 ] && [ ${#mine[@]} -lt 6 ] || continue
			parent=${mine[RANDOM % ${#mine[@]}]}
			size=$(promised | awk -v u="$parent" '$1 == u { print $2 }')
			u=bbbb${u#aaaa}		# one to be known again
			echo "begin + $u $size" >>"$notes"
			sm vdi snapshot "$parent" --sr "$sr" --uuid "$u" >/dev/null || exit 1
			mine+=("$u")
			;;
		3)
			[ ${#mine[@]} -gt 0 ] || continue
			victim=$((RANDOM % ${#mine[@]}))
			[[ ${mine[victim]} != bbbb* ]] || continue	# a snapshot does not grow
			echo "begin + ${mine[victim]} 8388608" >>"$notes"
			sm vdi resize "${mine[victim]}" 8M --sr "$sr" >/dev/null || exit 1
			;;
		4)
			[ ${#mine[@]} -gt 3 ] || continue
			victim=$((RANDOM % ${#mine[@]}))
			echo "begin - ${mine[victim]}" >>"$notes"
			sm vdi delete "${mine[victim]}" --sr "$sr" || exit 1
			unset "mine[victim]"
			mine=("${mine[@]}")
			;;
		esac
		echo "done now" >>"$notes"
	done
}

look() {
	local list

	sm sr introduce "$sr" --type lvm --dconf device="$device" --name cuts >/dev/null || return
	sm sr check "$sr" || return
	list=$(sm vdi list --sr "$sr" --json) || return
	# jq is not here: a line for each disk that is not hidden.
	tr -d ' \n' <<<"$list" | sed 's/{"uuid"/\n&/g' | sed -n '/"hidden":false/s/.*"uuid":"\([^"]*\)".*"virtual_size":\([0-9]*\).*/\1 \2/p' |
		sort >/tmp/there
	promised | grep -v ^maybe | sort >/tmp/promised
	promised | grep ^maybe >/tmp/maybe || :
	diff /tmp/promised /tmp/there >/tmp/differ && { settle; return 0; }
	# Only what the last verb was about may differ, and only so.
	read -r _ op u size </tmp/maybe || { cat /tmp/differ; return 1; }
	if [ "$op" = + ]; then
		{ grep -v "^$u " /tmp/promised; echo "$u $size"; } | sort >/tmp/after
	else
		grep -v "^$u " /tmp/promised >/tmp/after || :
	fi
	diff /tmp/after /tmp/there || { cat /tmp/maybe; return 1; }
	settle
}

# From here on what is there is what was promised.
settle() {
	sed 's/\(.*\)/begin + \1\ndone/' /tmp/there >"$notes.new" && mv "$notes.new" "$notes"
}

$how
