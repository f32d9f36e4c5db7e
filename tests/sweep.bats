#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Death at the system calls of every verb on a file SR: sweep/sweep.c, as in
# host/sweep.bats, which is faster and fails them too.
#
# A run tries some calls of two verbs, others each day; SWEEP_EVERY=1 tries all of
# them, and SWEEP_FIRST=N repeats what a failed run printed.

setup_file() {
	load helpers/lab
	lab_start
	every=${SWEEP_EVERY:-$((61 * ${PACE:-1}))}
	export every first=${SWEEP_FIRST:-$(($(date +%-j) * 7 % every + 1))}
	"$BATS_TEST_DIRNAME/sweep/build.sh" "$BATS_FILE_TMPDIR" sweep
	guest_put "$BATS_FILE_TMPDIR/sweep" /tmp/sweep
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	needs SR_FILE DATAPATH_LOOP FRONT_CLI
	echo "SWEEP_FIRST=$first SWEEP_EVERY=$every"
}

@test "killed before any system call: the next verb finishes or undoes it" {
	local verbs=("vdi create" "vdi attach")

	[ "$every" -gt 1 ] || verbs=("")
	for verb in "${verbs[@]}"; do
		guest_ok -t $((every > 1 ? 3600 : 86400)) "chmod +x /tmp/sweep; mkdir -p /srv/sweep
			export SWEEP_JUDGE='judge qemu-img' SWEEP_TWICE=0
			/tmp/sweep \$(command -v sm) /srv/sweep kill $every $first ${verb:+'$verb'}"
		grep '^# sweep' <<<"$output" >&3
	done
}
