#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# One VG, two implementations: a random sequence of changes, each by lvm2 or by
# us, and after each both see the same and what was meant.  SEED=N repeats one,
# STEPS=N makes it longer.

setup_file() {
	load helpers/lab
	load helpers/dm
	lab_start --mem 384M --disk a:512M --disk b:256M --disk c:256M
	dm_tool vgt
	guest_put "$LAB_SRC/guest/turns.sh" /tmp/turns.sh
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_LVM DATAPATH_LV FRONT_CLI
}

# What we said: a line for the VG, each PV and each segment, with the step in front.
ours_as_lines() {
	jq -rs 'to_entries[] | .key as $n | .value as $doc | $doc.vgs[0] as $v |
		def tags: .tags | sort | join(",");
		($v.pvs | map({key: .name, value: .path}) | from_entries) as $path |
		($doc.problems[] | "\($n)|?|\(.path): \(.what)"),
		"\($n)|V|\($v.name)|\($v.uuid)|\($v.seqno)|\($v.extent_size)|\($v.extent_count)|\($v.free_count)|\($v | tags)",
		"\($n)|K|\($v.seqno)",
		($v.pvs[] | "\($n)|P|\(.path)|\(.uuid)|\(.size)|\(.pe_start)|\(.pe_count)|\(.pe_count - .free_count)"),
		($v.lvs[] | . as $l | .segments[] | . as $s |
			"\($n)|L|\($l.name)|\($l.uuid)|\($l.size)|\($l | tags)|\(if $l.status | index("WRITE") then "w" else "r" end)" +
			"|\(.start_extent)|\(.extent_count)|\(.type)|" +
			([.areas[] | "\($path[.pv]):\(.start_extent)-\(.start_extent + $s.extent_count - 1)"] | join(" ")))' "$1"
}

# The same of what lvm2 said, and M for what the model has of each LV.  The reports
# come first, then vgck, which says nothing, then the text.
lvm2_as_lines() {
	awk -F'|' -v OFS='|' '
	function sorted(list,   v, k, i, j, t) {
		k = split(list, v, ",")
		for (i = 2; i <= k; i++)
			for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
		list = v[1]
		for (i = 2; i <= k; i++) list = list "," v[i]
		return list
	}
	/^#[0-9]+$/ { n = substr($0, 2); seen = text = 0; next }
	text { next }
	{ sub(/^ +/, "") }
	/^metadata text at .* # vgname .* seqno [0-9]+$/ { sub(/.* /, ""); print n, "K", $0; text = 1; next }
	NF == 7 && /^\/dev/ { if ($7 != "") print n, "P", $1, $2, $3, $4, $5, $6; next }
	NF == 7 { seen = 1; $7 = sorted($7); print n, "V", $0; next }
	NF == 9 {
		print n, "L", $1, $2, $3, sorted($4), substr($5, 2, 1), $6, $7, $8, $9
		if ($6 == 0 && $1 != "MGT")
			print n, "M", $1, $3 / 4194304, substr($5, 2, 1) substr($5, 5, 1), sorted($4)
		next
	}
	seen { print n, "?", $0 }' "$1"
}

model_as_lines() {
	awk -F'|' -v OFS='|' '{ k = split($6, v, ","); t = ""
		for (c = 0; c < 4; c++) for (i = 1; i <= k; i++) if (v[i] == "tag" c) t = t (t == "" ? "" : ",") v[i]
		$6 = t; print }' "$1"
}

@test "a random sequence of changes by lvm2 and by us: both see the same after each" {
	local seed=${SEED:-$((RANDOM))} steps=${STEPS:-200} status_of=0

	echo "# seed $seed" >&3
	guest_ok 'sm sr create disks --type lvm --dconf device=/dev/ubda,/dev/ubdb' >/dev/null
	guest -t $((steps * 5 + 60)) "bash /tmp/turns.sh $seed $steps ${lines[-1]} /tmp/turns" >/dev/null || status_of=$status
	for f in ours lvm2 model log; do
		guest_get /tmp/turns/$f "$BATS_TEST_TMPDIR/$f"
	done
	cd "$BATS_TEST_TMPDIR"
	{ ours_as_lines ours; model_as_lines model; } | sort >want
	lvm2_as_lines lvm2 | sort >got
	if ! diff want got >differ || [ $status_of -ne 0 ]; then
		# The first step at which they differ, and what led to it.
		first=$(sed -n 's/^[<>] \([0-9]*\)|.*/\1/p' differ | sort -n | head -1)
		echo "seed $seed: with <: ours, with >: lvm2"
		grep -E "^[<>] ${first:-0}\|" differ
		head -n $((${first:-$steps} + 1)) log | tail -n 12
		tail -n 1 log
		return 1
	fi
	[ "$(grep -c '|V|' got)" -eq "$steps" ] && [ "$(grep -c '|K|' got)" -eq "$steps" ]
	# Both had their share.
	[ "$(grep -cE ': (lv|vg|pv)[a-z]+ -qq' log)" -gt $((steps / 4)) ]
	[ "$(grep -cE ': (vgt|sm) ' log)" -gt $((steps / 4)) ]
}
