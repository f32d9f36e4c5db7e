#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The whole machine goes at random moments, with an lvm SR on its disk: what a verb
# had answered is there, the one that was at work has happened or has not, and the
# SR is sound without a step by hand.  CUTS=N cuts the power so often.

setup_file() {
	load helpers/lab
	lab_start --disk a:256M
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	needs SR_LVM FMT_VHD FRONT_CLI
}

@test "the power is cut at random moments: what was promised is there, and nothing else" {
	local cuts=${CUTS:-60} seed=${SEED:-$RANDOM} share="$LAB_DIR/a/share" cycle verbs=0 amid=0

	echo "SEED=$seed"
	cp "$BATS_TEST_DIRNAME/sweep/cuts.sh" "$share/"
	: >"$share/notes"
	guest_ok 'sm sr create cuts --type lvm --dconf device=/dev/ubda' >/dev/null
	sr=${lines[-1]}
	# How long does a verb take, here and now?
	took=$(date +%s%N)
	guest_ok 'sm vdi create x --sr cuts --size 4M --format vhd --uuid aaaaaaaa-0000-4000-8000-000000000000 && sm vdi delete x' >/dev/null
	took=$((($(date +%s%N) - took) / 1000000))
	RANDOM=$seed
	for ((cycle = 1; cycle <= cuts; cycle++)); do
		moment=$((RANDOM % (took * 2)))
		at=$(stat -c %s "$share/notes")
		guest -t 60 "bash /share/cuts.sh go $sr /dev/ubda /share/notes $cycle" >"$BATS_TEST_TMPDIR/said" 2>&1 &
		until [ "$(stat -c %s "$share/notes")" -gt "$at" ]; do kill -0 $!; done	# it has begun
		sleep "$(printf '%d.%03d' $((moment / 1000)) $((moment % 1000)))"	# the moment is what is random
		lab_kill
		wait $! || true
		grep "sm: " "$BATS_TEST_TMPDIR/said" && { echo "cycle $cycle: a verb failed before the cut"; false; }
		verbs=$((verbs + $(grep "^done now" "$share/notes" | wc -l)))
		[[ $(tail -n 1 "$share/notes") != begin* ]] || amid=$((amid + 1))
		lab_restart
		guest_ok -t 60 "bash /share/cuts.sh look $sr /dev/ubda /share/notes $cycle" || { echo "cycle $cycle, SEED=$seed"; false; }
		[ $((cycle % 20)) -ne 0 ] || guest_ok "judge vgck VG_XenStorage-$sr"
	done
	# It was not for nothing.
	echo "# $cuts cuts, $amid of them amid a verb; $verbs verbs" >&3
	[ $verbs -gt $((cuts / 2)) ] && [ $amid -gt $((cuts / 3)) ]
	echo "# sweep lvm any_verb,_power_cut killed=$cuts bad=0" >&3
	guest_ok "judge vgck VG_XenStorage-$sr"
}
