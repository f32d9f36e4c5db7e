#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The ring of texts when it goes round, and who reads it meanwhile.  SECS=N reads longer.

setup_file() {
	load helpers/lab
	load helpers/dm
	lab_start --shared a:64M
	dm_tool vgt
}

teardown_file() {
	load helpers/lab
	lab_stop -n b
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/dm
	needs LVM2
}

@test "1,000 commits in the smallest area: lvm2 finds the last, writes the next, and we go on" {
	guest_ok 'vgt /dev/ubda new vg 131072 32768 && vgt /dev/ubda create first 131072' >/dev/null
	guest_ok -t 120 'vgt /dev/ubda churn 1000' >/dev/null
	guest_ok 'judge vgck vg && judge pvck --dump headers /dev/ubda >/dev/null && judge pvck --dump metadata /dev/ubda' >/dev/null
	[[ $output == *"seqno = 1002"* ]]
	guest_ok 'judge vgs --noheadings -o vg_seqno,lv_count,vg_mda_size --units b --nosuffix vg' >/dev/null
	read -r seqno lvs area <<<"$output"
	[ "$seqno" -eq 1002 ] && [ "$lvs" -eq 1 ]
	# It did go round: a text is larger than a hundredth of the area.
	[ "$area" -lt 130000 ]
	guest_ok 'judge lvchange -qq --addtag theirs vg/first && vgt /dev/ubda churn 101 && judge vgck vg && judge vgs --noheadings -o vg_seqno vg' >/dev/null
	[ "${output// /}" = 1104 ]
	guest_ok 'vgt /dev/ubda show' >/dev/null
	jq -e '.problems == [] and (.vgs[0].lvs[0].tags | index("theirs"))' <<<"$output" >/dev/null
}

@test "two hosts and one disk: one writes without a pause, the other reads and never fails" {
	local secs=${SECS:-6} writer

	# A text of 30 KiB in an area of 124: each place is written again after four commits.
	guest_ok 'vgt /dev/ubda new vg 131072 32768 && vgt /dev/ubda fill lv 131072 100' >/dev/null
	lab_start -n b --shared a:64M
	path=$("$LAB_SRC/tools/build.sh" "$SM_BUILD" vgt)
	guest_put -n b "$path" /sm/bin/vgt
	guest_ok -n b 'chmod 755 /sm/bin/vgt && judge true' >/dev/null
	guest -t 600 "vgt /dev/ubda churn 1000000 & writer=\$!; sleep $((secs + 14)); kill -0 \$writer && kill \$writer" >"$BATS_TEST_TMPDIR/writer" 2>&1 &
	writer=$!
	guest_ok -n b -t $((secs + 30)) "vgt /dev/ubda watch $secs"
	read -r reads _ versions _ <<<"$output"
	[ "$reads" -gt 20 ] && [ "$versions" -gt 20 ]
	# lvm2 reads as well, by its own rules; it may look twice, but it finds the VG.
	guest_ok -n b -t 60 'for i in 1 2 3; do judge lvs --noheadings -o lv_name vg 2>/tmp/err | grep -c lv || { cat /tmp/err; exit 1; }; done' >/dev/null
	[ "$output" = $'100\n100\n100' ]
	wait "$writer"
	guest_ok 'judge vgck vg' >/dev/null
	lab_stop -n b
}
