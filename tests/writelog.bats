#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# A power cut between any two writes: dm-log-writes lies below a whole SR, on LVM or on ext4, while
# verbs change it, and what the disk may hold then is looked at on the host: sweep/record.sh, sweep/replay.sh.
#
# One type a day, some verbs and some states: WRITELOG_EVERY=1 tries all of all, WRITELOG_FIRST=N and
# WRITELOG_TYPES='lvm file' repeat what a failed run printed.

setup_file() {
	load helpers/lab
	local all=(lvm file) day

	day=$(date +%-j) every=${WRITELOG_EVERY:-$((61 * ${PACE:-1}))} types=${all[*]}
	[ "$every" -le 1 ] || types=${all[day % 2]}
	types=${WRITELOG_TYPES:-$types} first=${WRITELOG_FIRST:-$((day * 7 % every))}
	export every types first
	lab_start --disk lvm:128M --disk lvmlog:512M --disk file:128M --disk filelog:512M
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	needs SR_LVM SR_FILE FMT_VHD CBT GC FRONT_CLI
	[ "$(id -u)" -eq 0 ] || skip "not root"
	[ -c /dev/loop-control ] || skip "no loop devices here"
}

@test "wherever the power fails: the SR is sound, and each disk is as before the verb or as after it" {
	local type bad=0 few=1

	[ "$every" -gt 1 ] || few=

	echo "WRITELOG_TYPES='$types' WRITELOG_EVERY=$every WRITELOG_FIRST=$first"
	musl-gcc -static -Os -s -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror \
		-o "$BATS_TEST_TMPDIR/logwrites" "$BATS_TEST_DIRNAME/helpers/logwrites.c"
	export LVHD_PY=$BATS_TEST_DIRNAME/helpers/lvhd.py PATH=$BATS_TEST_TMPDIR:$SM_BUILD/bin:$PATH
	guest_put "$BATS_TEST_DIRNAME/sweep/record.sh" /tmp/record.sh
	for type in $types; do
		guest_ok -t 900 "FEW=$few bash /tmp/record.sh $type /dev/lab/$type /dev/lab/${type}log"
		export T=$BATS_TEST_TMPDIR/$type SM_ROOT=$BATS_TEST_TMPDIR/$type/root
		mkdir -p "$SM_ROOT"
		timeout -k 5 $((every > 1 ? 900 : 86400)) unshare -m bash "$BATS_TEST_DIRNAME/sweep/replay.sh" \
			"$type" "$LAB_DIR/disks/${type}log" 128M "$every" "$first" >"$T/said" 2>&1 || bad=1
		cat "$T/said"
		grep '^# sweep' "$T/said" >&3
	done
	[ $bad -eq 0 ]
}

# All that make sense, of up to three verbs, one in a line.
sequences() {
	local verbs=(create raw snapshot clone copy resize rename delete gc) a b c

	for a in "${verbs[@]}"; do
		echo "$a"
		for b in "${verbs[@]}"; do
			echo "$a,$b"
			for c in "${verbs[@]}"; do
				echo "$a,$b,$c"
			done
		done
	# What works on a disk cannot come when the only one is gone.
	done | awk -F, '{
		n = 1
		for (i = 1; i <= NF; i++) {
			if (!n && $i !~ /create|raw|gc/)
				next
			n += $i ~ /create|raw|snapshot|clone|copy/
			n -= $i == "delete"
		}
		print
	}'
}

# One a day, cut off in each of its verbs; all of them, in the last one each, with WRITELOG_EVERY=1 or SEQUENCES=all.
# SEQUENCES='snapshot,resize,gc …' repeats some; WRITELOG_STRIDE: from one state to the next.
@test "up to three verbs in a row on a fresh SR, of either type, wherever the power fails" {
	local bad=0 marks=last list=() stride=${WRITELOG_STRIDE:-$every} i type
	local which=${SEQUENCES:-$([ "$every" -gt 1 ] || echo all)}

	mapfile -t list < <(sequences)
	[ ${#list[@]} -gt 600 ]
	if [ -z "$which" ]; then
		marks=all
		mapfile -t list < <(printf '%s\n' "${list[@]}" | grep ',.*,')
		list=("${list[$(date +%-j) * 7919 % ${#list[@]}]}")
	elif [ "$which" != all ]; then
		read -ra list <<<"$which"
	fi
	echo "SEQUENCES='${list[*]}' WRITELOG_STRIDE=$stride WRITELOG_FIRST=$first"
	musl-gcc -static -Os -s -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror \
		-o "$BATS_TEST_TMPDIR/logwrites" "$BATS_TEST_DIRNAME/helpers/logwrites.c"
	export LVHD_PY=$BATS_TEST_DIRNAME/helpers/lvhd.py PATH=$BATS_TEST_TMPDIR:$SM_BUILD/bin:$PATH ROW=disk:_three_verbs_in_a_row
	guest_put "$BATS_TEST_DIRNAME/sweep/record.sh" /tmp/record.sh
	for type in lvm file; do
		export T=$BATS_TEST_TMPDIR/row.$type SM_ROOT=$BATS_TEST_TMPDIR/row.$type/root
		mkdir -p "$SM_ROOT"
		# What one log has room for.
		for ((i = 0; i < ${#list[@]}; i += 16)); do
			guest_ok -t 900 "MARKS=$marks bash /tmp/record.sh $type /dev/lab/$type /dev/lab/${type}log ${list[*]:i:16}"
			timeout -k 5 86400 unshare -m bash "$BATS_TEST_DIRNAME/sweep/replay.sh" \
				$type "$LAB_DIR/disks/${type}log" 128M "$stride" "$first" >"$T/said" 2>&1 || bad=1
			cat "$T/said"
			grep '^# sweep' "$T/said" >&3
		done
	done
	[ $bad -eq 0 ]
}
