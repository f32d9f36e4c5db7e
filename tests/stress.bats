#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Many processes on one file SR: nothing is lost, nothing is left, nobody fails
# for another reason than the one that its verb may have.  More of them, without devices: host/stress.bats.

setup_file() {
	load helpers/lab
	lab_start --mem 384M
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_FILE DATAPATH_LOOP FRONT_CLI
}

@test "16 processes at random: the list is what they made, and the SR checks clean" {
	guest_put "$BATS_TEST_DIRNAME/sweep/stress.sh" /tmp/stress.sh
	guest_ok -t 120 "bash /tmp/stress.sh file 16 ${STRESS_SECONDS:-8}"
	nothing_left
}
