#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# 64 processes on one SR: nothing is lost, nothing is left, nobody fails for another
# reason than the one that its verb may have.  Without devices, so more verbs: host/stress.bats.

setup_file() {
	load helpers/lab
	lab_start --mem 768M --disk a:2G
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

at_random() {
	guest_put "$BATS_TEST_DIRNAME/sweep/stress.sh" /tmp/stress.sh
	guest_ok -t 240 "bash /tmp/stress.sh $1 64 ${STRESS_SECONDS:-8} /dev/ubda"
	nothing_left
}

@test "64 processes at random: the list is what they made, and the SR checks clean" { at_random file; }

@test "64 processes at random on LVM: the same" {
	needs SR_LVM DATAPATH_LV
	at_random lvm
	guest_ok '[ -z "$(judge dmsetup ls | grep -v "No devices")" ]'
}
