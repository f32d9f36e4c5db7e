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

# commit FILE TEXT [AT [SIZE]]: make the text the committed one of the area at 4096, checksums right; at
# another place of the area, or of another size, than it is.
commit() {
	perl -e '
	my ($file, $text, $at, $size) = @ARGV;
	sub crc {
		my $c = 0xf597a6cf;
		for my $b (unpack "C*", $_[0]) {
			$c ^= $b;
			$c = $c & 1 ? $c >> 1 ^ 0xedb88320 : $c >> 1 for 1 .. 8;
		}
		return $c;
	}
	open my $t, "<", $text or die; local $/; my $body = <$t> . "\0";
	open my $f, "+<", $file or die; binmode $f;
	seek $f, 4096, 0; read $f, my $h, 512;
	my $old = unpack "Q<", substr $h, 40, 8;
	seek $f, 4096 + $old, 0; print $f $body;
	substr $h, 40, 24, pack "Q<Q<L<L<", $at // $old, $size // length $body, crc($body), 0;
	substr $h, 0, 4, pack "L<", crc(substr $h, 4);
	seek $f, 4096, 0; print $f $h;' "$@"
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
	# A device gets a next step, whoever looks for it.
	for verb in "vg show" "image info" "sr probe"; do
		# shellcheck disable=SC2086 # two words
		run sm $verb /dev/nowhere
		[ "$status" -eq 4 ]
		[ "$output" = "sm: $verb: /dev/nowhere: no such device (try: is the disk connected? ls -l /dev/nowhere)" ]
	done
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
	run --separate-stderr sm vg show --json pv0 nowhere
	[ "$status" -eq 7 ]
	jq -e '.problems == [{"path": "nowhere", "what": "No such file or directory", "severity": "error"}]' <<<"$output"
	run --separate-stderr sm vg check pv0 nowhere
	[ "$status" -eq 7 ]
	[[ $output == *"error: nowhere: No such file or directory"* ]]
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
	sm vg history pv0 two/pv0 --seqno 5 --vg vg0 | grep >/dev/null '^vg0 {'
	[ "$(sm vg history pv0 two/pv0 --minimal --vg FNwjdG-a9Ty-zDEK-rRJd-azXI-jsBj-4qqETE)" = 5,4,3,2,1 ]
}

@test "vg history: one text in every sector of 32 MiB takes no longer than reading them" {
	perl -e '
	sub crc {
		my $c = 0xf597a6cf;
		for my $b (unpack "C*", $_[0]) {
			$c ^= $b;
			$c = $c & 1 ? $c >> 1 ^ 0xedb88320 : $c >> 1 for 1 .. 8;
		}
		return $c;
	}
	my $size = 32 << 20;
	my $h = " LVM2 x[5A%r0N*>" . pack("L<Q<Q<", 1, 4096, $size) . "\0" x 472;
	my $t = "vg {\nid = \"abcdef-abcd-abcd-abcd-abcd-abcd-abcdef\"\nseqno = 1\n}\n";
	open my $f, ">", "pv0" or die; binmode $f;
	seek $f, 4096, 0; print $f pack("L<", crc($h)), $h;
	print $f $t . "\0" x (512 - length $t) for 2 .. $size / 512;'
	run timeout 10 sm vg history --json pv0
	[ "$status" -eq 0 ]
	[ "$(jq -c '[.versions[] | .seqno, (.copies | length)]' <<<"$output")" = '[1,65535]' ]
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
	sm vg backup "${pvs[@]}" --seqno 5 | grep >/dev/null '^	seqno = 5$'
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
	sm vg backup pv0 --seqno 1 | grep >/dev/null '^vgc {'
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

# --- restoring --------------------------------------------------------------------

# What follows the metadata of a PV, where the data is.
data_sum() {
	local p

	for p in "${pvs[@]}"; do
		tail -c +1048577 "$p" | md5sum
	done
}

@test "what vg check proposes brings every damaged VG back, and leaves the data alone" {
	local s sum how

	for s in 12a-bad-text 12b-bad-header 12c-bad-label 12d-all-bad 14a-stale-copy; do
		unpack $s
		sum=$(data_sum)
		if [ $s != 14a-stale-copy ]; then
			how=$(sm vg check --json "${pvs[@]}" 2>/dev/null | jq -r '.problems[0].repair') || true
			[[ $how == "sm vg restore ${pvs[*]} --seqno "[123] ]]
		else
			how="sm vg restore pv0 pv1 --seqno 3"
		fi
		# First only said, then done.
		copy=$(cat "${pvs[@]}" | md5sum)
		run $how --dry-run
		[ "$status" -eq 0 ]
		[ "$(cat "${pvs[@]}" | md5sum)" = "$copy" ]
		[ -z "$(ls -A "$SM_ROOT")" ]
		dry=$(grep -v '^space' <<<"$output")
		run $how
		[ "$status" -eq 0 ]
		[ "$output" = "$dry" ]
		[ "$(sm vg check "${pvs[@]}")" = ok ]
		[ "$(data_sum)" = "$sum" ]
		if [ $s = 12d-all-bad ]; then continue; fi	# lvm2 saw nothing, and neither does its report
		diff <(sm vg show --json "${pvs[@]}" | as_report | sed 's/ seqno [0-9]*//; s/ a.m size/ a-- size/') \
			<(the_report $s | sed 's/ seqno [0-9]*//; s/ a.m size/ a-- size/; s/ at - / at pv0 /; s/on -:/on pv0:/')
	done
}

@test "vg restore: an older version, the newer one again, and a backup" {
	unpack 02-linear-tags
	sm vg backup pv0 --to backup
	run sm vg restore pv0 --seqno 5
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "write VG vg0 as it was with seqno 5, 2026-11-23T02:12:13Z, with seqno 9" ]
	[ "${lines[1]}" = "LV alpha has 8 MiB again, not 16 MiB" ]
	[ "${lines[2]}" = "LV gamma is gone: 4 MiB" ]
	[ "$(sm vg show --json pv0 | jq -c '[.vgs[0] | .seqno, [.lvs[].name]]')" = '[9,["alpha","beta"]]' ]
	run sm vg restore pv0 --from backup --json
	[ "$status" -eq 0 ]
	jq -e '.done[0] == "write VG vg0 as the file has it, with seqno 10" and (.done | length) == 3' <<<"$output"
	# Tabs and comments stay in the file.
	diff <(sm vg history pv0 --seqno 10 | sed '/^# Generated/,$d; s/^seqno = 10$/seqno = 8/') \
		<(sed '/^# Generated/,$d' "$VECTORS/02-linear-tags/pv0.mda0.txt")
	sed 's/seqno = 8$/&\t\t# a comment/; s/extent_count = 3/extent_count = 3\t# 12 Megabytes/' backup >edited
	sm vg restore pv0 --from edited
	sm vg history pv0 --seqno 11 | grep >/dev/null '^extent_count = 3$'
}

@test "vg restore: a label that is gone, with and without texts that tell whose it was" {
	unpack 09-striped
	sm vg backup pv0 pv1 pv2 --to backup
	dd if=/dev/zero of=pv1 bs=4608 count=1 conv=notrunc status=none
	run sm vg restore pv0 pv1 pv2 --seqno 5
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "pv1: make its label anew: PV nLTTAl-7cJQ-WDbS-CmBI-5oGB-vD2Y-DTwBsw" ]
	[ "${lines[1]}" = "pv1: make the header of its metadata area at 4096 anew" ]
	[ "$(sm vg check pv0 pv1 pv2)" = ok ]
	# The first MiB is gone, and nothing tells.
	dd if=/dev/zero of=pv1 bs=1M count=1 conv=notrunc status=none
	run sm vg restore pv0 pv1 pv2 --from backup
	[ "$status" -eq 1 ]
	[[ $output == *"the PV nLTTAl-7cJQ-WDbS-CmBI-5oGB-vD2Y-DTwBsw is on none of the devices (last seen as /dev/loop1) (try: its path too; --pv nLTTAl-7cJQ-WDbS-CmBI-5oGB-vD2Y-DTwBsw=PATH if its label is lost; --force without it)" ]]
	run sm vg restore pv0 pv1 pv2 --from backup --pv nLTTAl-7cJQ-WDbS-CmBI-5oGB-vD2Y-DTwBsw=pv0
	[ "$status" -eq 3 ]
	run sm vg restore pv0 pv1 pv2 --from backup --pv xyz=pv1
	[ "$status" -eq 2 ]
	run sm vg restore pv0 pv1 pv2 --from backup --pv nLTTAl-7cJQ-WDbS-CmBI-5oGB-vD2Y-DTwBsw=pv1
	[ "$status" -eq 0 ]
	[ "$(sm vg check pv0 pv1 pv2)" = ok ]
	# Without it, when that is wanted.
	run sm vg restore pv0 pv2 --seqno 7
	[ "$status" -eq 1 ]
	run sm vg restore pv0 pv2 --seqno 7 --force
	[ "$status" -eq 0 ]
	[ "$(sm vg show --json pv0 pv2 | jq -c '[.vgs[0].pvs[].missing]')" = '[false,true,false]' ]
}

@test "vg restore refuses what would harm, in one line, and writes nothing" {
	local sum

	refused() {	# refused STATUS PATTERN ARGUMENT…
		local want=$1 pattern=$2

		shift 2
		sum=$(cat pv? | md5sum)
		run sm vg restore "$@"
		# shellcheck disable=SC2053 # the right side is a pattern
		[ "$status" -eq "$want" ] && [ "${#lines[@]}" -eq 1 ] && [[ $output == $pattern ]] &&
			[ "$(cat pv? | md5sum)" = "$sum" ] || { echo "status $status: $output"; return 1; }
	}

	unpack 02-linear-tags
	sm vg backup pv0 --to backup
	refused 2 "*what to restore: --from or --seqno*" pv0
	refused 2 "*what to restore: --from or --seqno*" pv0 --from backup --seqno 3
	refused 4 "*no text with seqno 99 is left*" pv0 --seqno 99
	refused 4 "*nowhere: No such file*" pv0 --from nowhere
	refused 4 "*nowhere: No such file*" pv0 nowhere --seqno 8 --force
	refused 4 "*no metadata of a VG other is on pv0*" pv0 --seqno 8 --vg other
	head -c 700 backup >half
	refused 2 "*half: the text is no good: *" pv0 --from half
	sed 's/"pv0", 2$/"pv0", 1/' backup >overlap
	refused 6 "*overlap: the text is no good: LVs * overlap on pv0 at extent 1" pv0 --from overlap
	sed 's/pe_count = 15/pe_count = 1500/' backup >large
	refused 2 "*large: pv0 has 67108864 bytes, and the text needs *" pv0 --from large
	truncate -s 40M huge
	refused 1 "*huge: File too large*" pv0 --from huge
	sed 's/status = \["RESIZEABLE"/status = ["EXPORTED", "RESIZEABLE"/' backup >exported
	refused 1 "*exported: the text of VG vg0: the VG is exported" pv0 --from exported
	unpack 10-exported
	refused 1 "*the VG is exported" pv0 --seqno 2
	unpack 16-fields
	refused 1 "*the VG belongs to another host" pv0 pv1 --seqno 13
	unpack 06-thin
	refused 6 "*the thin pool pool has changed since, in its own metadata too (try: --force*" pv0 pv1 --seqno 10
	run sm vg restore pv0 pv1 --seqno 10 --force --dry-run
	[ "$status" -eq 0 ]
	unpack 18-duplicate-pv
	refused 1 "*pv0 and pv1 are both the PV *" pv0 pv1 --seqno 2
	unpack 11a-partial
	refused 1 "*is on none of the devices (last seen as /dev/loop1)*" pv0 --seqno 4
	# A PV that the text does not know keeps a text of the VG, where nobody names it.
	unpack 04-two-pvs
	sm vg backup pv0 pv1 --seqno 1 | sed '/^\t\tpv1 {/,/^\t\t}/d' >alone
	refused 1 "*alone: the PV ucjvzk-*, in the VG now, is on none of the devices*" pv0 --from alone
	run sm vg restore pv0 pv1 --from alone --dry-run
	[ "$status" -eq 0 ] && [[ $output == *"pv1: the PV ucjvzk-"*" leaves the VG"* ]]
	run sm vg restore pv0 --from alone --force --dry-run
	[ "$status" -eq 0 ]
	unpack 09-striped
	refused 1 "*is on none of the devices*" pv0 pv1 --seqno 5
	# The wrong VG's backup; and nothing of it is here.
	refused 1 "*backup: the PV * is on none of the devices*" pv0 pv1 pv2 --from backup
	if [ "$(id -u)" -ne 0 ]; then
		chmod 400 pv0
		refused 1 "*pv0: Permission denied*" pv0 --seqno 5
	fi
}

@test "hostile metadata with good checksums: one line, nothing written, and a way back" {
	local case good sum

	hostile() {
		case $1 in
		truncated)	head -c 1500 good ;;
		overlap)	sed 's/^"pv0", 2$/"pv0", 1/' good ;;
		beyond)		sed 's/^"pv0", 6$/"pv0", 14/' good ;;
		missing)	sed 's/^"pv0", 2$/"nosuch", 0/' good ;;
		circle)		sed 's/^"pv0", 2$/"gamma", 0/; s/^"pv0", 5$/"beta", 0/; s/^extent_count = 3/extent_count = 1/' good ;;
		itself)		sed 's/^"pv0", 5$/"gamma", 0/' good ;;
		twice)		sed 's/^gamma {/beta {/' good ;;
		far)		sed 's/^pe_start = .*/pe_start = 99999999999999999/' good ;;
		deep)		sed 's/^seqno = 8/&\n'"$(printf 'a {\\n%.0s' {1..40})"'/' good ;;
		*)		cat good ;;
		esac
	}

	unpack 02-linear-tags
	sm vg history pv0 --seqno 8 >good
	cp pv0 image
	for case in truncated overlap beyond missing circle itself twice far deep outside large; do
		cp image pv0
		hostile $case >text
		case $case in
		outside)	commit pv0 text 1044480 ;;
		large)		commit pv0 text 14336 104857600 ;;
		*)		commit pv0 text ;;
		esac
		sum=$(md5sum <pv0)
		run --separate-stderr sm vg show pv0
		[ "$status" -eq 6 ] || { echo "$case: $status: $output$stderr"; return 1; }
		[ "${#stderr_lines[@]}" -eq 1 ] || { echo "$case: $stderr"; return 1; }
		# Where the text itself is good, and only the header is not, it is the one to go back to.
		case $case in outside | large) good=8 ;; *) good=7 ;; esac
		[[ $stderr == "sm: warning: pv0: "*" (try: sm vg restore pv0 --seqno $good)" ]] || { echo "$case: $stderr"; return 1; }
		run --separate-stderr sm vg backup pv0
		[ "$status" -ne 0 ] && [ -z "$output" ] && [ "${#stderr_lines[@]}" -eq 1 ]
		run sm vg check pv0
		[ "$status" -eq 6 ]
		[ "$(md5sum <pv0)" = "$sum" ]
		run sm vg restore pv0 --seqno $good
		[ "$status" -eq 0 ] || { echo "$case: $status: $output"; return 1; }
		[ "$(sm vg check pv0)" = ok ]
		[ "$(sm vg show --json pv0 | jq '.vgs[0].lvs | length')" -eq 3 ]
	done
	# An area of 300 MiB with a text of 100 MiB: it is not read, and not searched.
	truncate -s 512M big
	dd if=image of=big bs=1M count=1 conv=notrunc status=none
	perl -e 'open my $f, "+<", "big"; seek $f, 4096 + 32, 0; print $f pack "Q<", 300 << 20'
	commit big good 512 104857600
	run --separate-stderr sm vg show big
	[ "$status" -eq 6 ]
	[[ ${stderr_lines[0]} == *"metadata area at 4096: the text is too large (try: sm vg restore big --from BACKUP)" ]]
	[[ ${stderr_lines[1]} == *"metadata area at 4096: too large to be searched" ]]
	cp image pv0
	sm vg backup pv0 --to backup
	run sm vg restore big --from backup
	[ "$status" -eq 0 ]
	[ "$(sm vg check big)" = "note: big: the device has grown by 448 MiB (try: resize the PV)" ]
}
