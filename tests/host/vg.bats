#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sm vg on files, without root and without a kernel device: images that lvm2 made, and hostile ones.

setup() {
	load cli_helper
	cli_setup
	needs_vg
	VECTORS=$BATS_TEST_DIRNAME/../vectors/lvm
	cd "$BATS_TEST_TMPDIR" || return
}

needs_vg() {
	sm help vg show >/dev/null 2>&1 || skip "without CONFIG_CLI_VG"
}

# unpack SCENARIO: its PVs as pv0, pv1 … here, of their full size; their names in $pvs.
unpack() {
	local x n bytes

	rm -f pv?
	pvs=()
	for x in "$VECTORS/$1"/pv*.img.xz; do
		n=$(basename "$x" .img.xz)
		xz -dc "$x" >"$n"
		bytes=$(sed -n "s/^pv ${n#pv} bytes //p" "$VECTORS/$1/facts")
		truncate -s "$bytes" "$n"
		pvs+=("$n")
	done
}

# The document as the lines of a vector's "report", less what the document does not hold.
as_report() {
	# shellcheck disable=SC2016 # jq's own variables
	jq -r '
	def has_word(w): .status | index(w) != null;
	def tags: .tags | sort | join(",");
	.vgs[] | . as $vg | ([.pvs[] | {(.name): (.path // "-")}] | add) as $path |
	([.lvs[].segments[] | select(.type == "snapshot") | .cow_store // .merging_store]) as $cow |
	"vg \(.name) \(.uuid) seqno \(.seqno) extent_size \(.extent_size) extents \(.extent_count) free \(.free_count) system \(.system_id // "") tags \(tags)",
	(.pvs[] | "pv \(.uuid) at \(.path // "-") attr \(if has_word("ALLOCATABLE") then "a" else "u" end)\(if has_word("EXPORTED") then "x" else "-" end)\(if .missing then "m" else "-" end) size \(.size) free \(.free_count * $vg.extent_size) pe_start \(.pe_start) extents \(.pe_count) used \(.pe_count - .free_count) tags \(tags)"),
	(.lvs[] | . as $lv | .segments[] | select(.type != "snapshot") |
	 "seg \($lv.name) \($lv.uuid) size \($lv.size) \(if ($lv | has_word("VISIBLE")) or ($cow | index($lv.name)) then "visible" else "hidden" end) tags \($lv | tags) type \(.type) start \(.start_extent) count \(.extent_count) stripe \(if .type == "linear" then "0 on " + (.areas | map($path[.pv] + ":\(.start_extent)") | join(",")) elif .type == "striped" then "\(.stripe_size) on " + (.areas | map($path[.pv] + ":\(.start_extent)") | join(",")) else "-" end)")' | sort
}

# What lvm2 said; it counts a PV of two devices once, and cannot see a PV whose label is damaged.
the_report() {
	sed -E 's/ attr [a-z-]{6} (seqno)/ \1/; s/ max [0-9]+ [0-9]+//; s/ time [0-9]+//' "$VECTORS/$1/report" | sort
}

@test "vg show --json is what lvm2 said, for every image" {
	local s want

	for s in "$VECTORS"/*/; do
		s=$(basename "$s")
		unpack "$s"
		case $s in
		11* | 12* | 18*) want=6 ;;
		*) want=0 ;;
		esac
		run --separate-stderr sm vg show --json "${pvs[@]}"
		[ "$status" -eq $want ] || { echo "$s: status $status: $stderr"; return 1; }
		[ -z "$stderr" ]
		# Of an exported VG it shows no LVs.
		diff <(as_report <<<"$output" | if [ "$s" = 10-exported ]; then grep -v ^seg; else cat; fi) <(the_report "$s") || { echo "in $s"; return 1; }
		[ "$(jq '.problems | map(select(.severity == "error")) | length > 0' <<<"$output")" = "$( [ $want = 6 ] && echo true || echo false)" ]
	done
}

@test "vg show for people: tables, --units, --minimal; several VGs at once" {
	unpack 09-striped
	run sm vg show pv0 pv1 pv2
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "VG   UUID                                    SEQNO  EXTENT     SIZE     FREE  PVS  LVS  STATE  TAGS" ]
	[ "${lines[1]}" = "vg9  FNwjdG-a9Ty-zDEK-rRJd-azXI-jsBj-4qqETE      5   4 MiB  180 MiB  124 MiB    3    3  ok     -" ]
	[[ $output == *"vg9  pv1  nLTTAl-7cJQ-WDbS-CmBI-5oGB-vD2Y-DTwBsw  pv1   60 MiB  40 MiB    1 MiB       15  -"* ]]
	[[ $output == *"vg9  s2           -  -     striped  4-5      pv0:6-6,pv1:4-4          -"* ]]
	run sm vg show --units b pv0 pv1 pv2
	[[ $output == *" 188743680  130023424 "* ]]
	mkdir two && mv pv? two
	unpack 02-linear-tags
	run sm vg show --minimal pv0 two/pv?
	[ "$status" -eq 0 ]
	[ "$output" = "l5Slxw-zjS8-dp4l-ncKj-EYvu-0aAA-FD2Cz9,FNwjdG-a9Ty-zDEK-rRJd-azXI-jsBj-4qqETE" ]
}

@test "vg show: PVs without a VG, nothing at all, paths that are none" {
	unpack 01-fresh-pv
	run sm vg show "${pvs[@]}"
	[ "$status" -eq 0 ]
	[[ "${lines[1]}" == "-   -   eqRKrp-2dHG-6e6A-bIzM-WV29-tT2b-0PF3Nt  pv0 "* ]]
	[ "$(sm vg show --json "${pvs[@]}" | jq '.orphans | length')" -eq 5 ]
	truncate -s 4M nothing
	run sm vg show nothing
	[ "$status" -eq 4 ]
	[ "$output" = "sm: vg show: no LVM physical volume is on nothing" ]
	run sm vg check nothing
	[ "$status" -eq 4 ]
	run sm vg history nothing
	[ "$status" -eq 4 ]
	run sm vg backup nothing
	[ "$status" -eq 4 ]
	: >empty
	run sm vg show empty
	[ "$status" -eq 4 ]
	run sm vg show nowhere
	[ "$status" -eq 4 ]
	[ "$output" = "sm: vg show: nowhere: No such file or directory" ]
	mkfifo fifo
	for path in . fifo /dev/null; do
		run sm vg show "$path"
		[ "$status" -eq 2 ]
		[[ $output == *"$path is neither a block device nor a file"* ]]
	done
	usage_error "are the same device" sm vg show pv0 ./pv0
	usage_error "PATH is missing" sm vg show
	usage_error "--seqno '5x' is not a number" sm vg history pv0 --seqno 5x
	# Some of several: what there is is shown, and the status tells.
	run --separate-stderr sm vg show --minimal pv0 nowhere
	[ "$status" -eq 7 ]
	[[ $stderr == *"nowhere: No such file or directory"* ]]
	run sm vg show nowhere neither
	[ "$status" -eq 4 ]
}

@test "vg show of several VGs, one of them damaged: 7" {
	unpack 12d-all-bad
	mv pv0 bad
	unpack 12a-bad-text
	run --separate-stderr sm vg show pv0 pv1
	[ "$status" -eq 6 ]
	[ "$stderr" = "sm: warning: pv0: metadata area at 4096: the checksum of the LVM metadata is wrong (try: sm vg restore pv0 pv1 --seqno 3)" ]
	mkdir two && mv pv? two
	unpack 09-striped
	run --separate-stderr sm vg show pv? two/pv?
	[ "$status" -eq 7 ]
	run --separate-stderr sm vg check pv? two/pv? bad
	[ "$status" -eq 7 ]
	[ "${lines[0]}" = "error: two/pv0: metadata area at 4096: the checksum of the LVM metadata is wrong (try: sm vg history …)" ] ||
		[[ ${lines[0]} == "error: two/pv0: "*"sm vg history pv0 pv1 pv2 two/pv0 two/pv1 bad)" ]]
}

@test "vg check finds what is wrong, says how bad it is and what mends it" {
	local s

	for s in 02-linear-tags 05-two-mdas 06-thin 08-mirror-raid1 13-xenserver 17-cache-writecache; do
		unpack $s
		run sm vg check "${pvs[@]}"
		[ "$status" -eq 0 ]
		[ "$output" = ok ]
	done
	unpack 14a-stale-copy
	run sm vg check pv0 pv1
	[ "$status" -eq 0 ]
	[ "$output" = "warning: pv1: VG vgq: an old text, seqno 2 of 3 (try: the next change of the VG)" ]
	unpack 14b-precommit-only
	run sm vg check pv0 pv1
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "note: pv0: a change was announced and never committed (try: the next change of the VG)" ]
	unpack 12b-bad-header
	run --separate-stderr sm vg check --json pv0 pv1
	[ "$status" -eq 6 ]
	jq -e '.object == "pv0 pv1" and (.ok | not) and .problems[0] == {"object": "pv0",
		"what": "metadata area at 4096: the header of the metadata area is damaged",
		"severity": "error", "repair": "sm vg restore pv0 pv1 --seqno 2"}' <<<"$output"
	unpack 12d-all-bad
	run sm vg check pv0
	[ "$status" -eq 6 ]
	[[ ${lines[0]} == *"(try: sm vg restore pv0 --seqno 1)" ]]
	unpack 18-duplicate-pv
	run sm vg check pv0 pv1
	[ "$status" -eq 6 ]
	[[ $output == *"is on pv0 too (try: take one of the devices away)"* ]]
}

@test "vg history: every text that is left, where and by whom; --seqno prints one" {
	unpack 12a-bad-text
	run sm vg history --json pv0 pv1
	[ "$status" -eq 0 ]
	jq -e '[.versions[] | [.seqno, .state, .valid, (.copies | length)]] ==
		[[3, "damaged", false, 1], [3, "committed", true, 1], [2, "old", true, 2], [1, "old", true, 2]]' <<<"$output"
	jq -e '.versions[1] | .vg == "vgc" and .host == "vechost" and .copies[0] == {"path": "pv1", "offset": 7168} and
		.description == "Write from lvcreate -y -an -Wn -Zn -l 2 -n b vgc."' <<<"$output"
	[ "$(sm vg history --minimal pv0 pv1)" = 3,3,2,1 ]
	diff <(sm vg history pv0 pv1 --seqno 3) <(head -c -1 "$VECTORS/12a-bad-text/pv1.mda0.txt"; echo)
	run sm vg history pv0 pv1 --seqno 9
	[ "$status" -eq 4 ]
	[ "$output" = "sm: vg history: VG vgc: no text with seqno 9 is left (try: sm vg history pv0 pv1)" ]
	# Label and header of its only PV are gone: the texts are not.
	dd if=/dev/zero of=pv0 bs=4608 count=1 conv=notrunc status=none
	run sm vg show pv0
	[ "$status" -eq 4 ]
	[[ $output == *"(try: sm vg history pv0: there is metadata without a label)" ]]
	[ "$(sm vg history --minimal pv0)" = 3,2,1 ]
	# A text of which the end is gone is named, and not offered.
	unpack 02-linear-tags
	dd if=/dev/zero of=pv0 bs=1 seek=$((14848 + 1024)) count=512 conv=notrunc status=none
	run sm vg history --json pv0
	jq -e '.versions[0] | .seqno == 8 and .state == "damaged" and (.what | length > 0)' <<<"$output"
	run sm vg history pv0 --seqno 8
	[ "$status" -eq 6 ]
	# One VG must be meant.
	mkdir two && mv pv0 two
	unpack 09-striped
	run sm vg history pv0 two/pv0 --seqno 5
	[ "$status" -eq 2 ]
	[[ $output == *"there are several VGs on pv0 two/pv0 (try: --vg"* ]]
	sm vg history pv0 two/pv0 --seqno 5 --vg vg0 | grep -q '^vg0 {'
	[ "$(sm vg history pv0 two/pv0 --minimal --vg FNwjdG-a9Ty-zDEK-rRJd-azXI-jsBj-4qqETE)" = 5,4,3,2,1 ]
}

@test "vg backup is what vgcfgbackup writes: the text with tabs, behind who saved it" {
	local s

	for s in 06-thin 09-striped 16-fields; do
		unpack $s
		sm vg backup "${pvs[@]}" >backup
		[ "$(sed -n '3,4p' backup)" = $'contents = "Text Format Volume Group"\nversion = 1' ]
		# Without tabs it is the text of the disk.
		diff <(sed '1,/^creation_time/d; s/^\t*//' backup | sed 1d) <(sed '/^# Generated/,$d' "$VECTORS/$s/pv0.mda0.txt")
		[ -z "$(sed '1,/^creation_time/d' backup | grep -v '^	*[]a-z0-9"_}]\|^$' | grep -v '^}')" ]
		sm vg backup "${pvs[@]}" --to saved
		diff <(grep -v 'creation_time\|^# Gen' backup) <(grep -v 'creation_time\|^# Gen' saved)
		[ "$(stat -c %a saved)" = 600 ]
		rm saved
	done
	run sm vg backup "${pvs[@]}" --to saved --dry-run
	[ "$status" -eq 0 ]
	[[ $output == "write "*" bytes to saved"* ]]
	[ ! -e saved ]
	sm vg backup "${pvs[@]}" --seqno 5 | grep -q '^	seqno = 5$'
	# Never a file in the place of a device or a link.
	ln -s elsewhere link
	for to in link /dev/null . ..; do
		run sm vg backup "${pvs[@]}" --to "$to"
		[ "$status" -eq 2 ]
	done
	[ -c /dev/null ]
	unpack 12d-all-bad
	run sm vg backup pv0
	[ "$status" -eq 6 ]
	[[ $output == *"the checksum of the LVM metadata is wrong (try: sm vg history pv0: older metadata)" ]]
	sm vg backup pv0 --seqno 1 | grep -q '^vgc {'
}

@test "looking writes nothing: not with the verbs that look, not as an ordinary user" {
	local s verb

	for s in 06-thin 12a-bad-text 12c-bad-label; do
		unpack $s
		chmod 400 "${pvs[@]}"
		sum=$(cat "${pvs[@]}" | md5sum)
		for verb in show check history backup; do
			run sm vg $verb "${pvs[@]}"
		done
		[ "$(cat "${pvs[@]}" | md5sum)" = "$sum" ]
		[ -z "$(ls -A "$SM_ROOT")" ]
	done
}
