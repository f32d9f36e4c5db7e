#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Tables, JSON, ids, and where they go.

setup() {
	load cli_helper
	cli_setup
}

two_srs() {
	smtab_line "$UUID" file disks location=/srv/disks
	smtab_line 7f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11 file 'päßw\040日本' location=/srv/other
}

# on_tty COMMAND: run it with a terminal for standard output.
on_tty() {
	TERM=xterm script -qec "$*" /dev/null </dev/null
}

@test "no SR: an empty table, document and list" {
	run --separate-stderr sm sr list
	[ "$status" -eq 0 ]
	[[ "$output" == UUID*NAME*TYPE*ATTACHED*SIZE*USED*VDIS*HEALTH ]]
	[ "${#lines[@]}" -eq 1 ]
	[ -z "$stderr" ]
	run sm sr list --json
	[ "$(jq -c . <<<"$output")" = '{"schema":1,"srs":[],"problems":[]}' ]
	run sm sr list --minimal
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	run sm vdi list --json
	[ "$(jq -c . <<<"$output")" = '{"schema":1,"vdis":[],"problems":[]}' ]
}

@test "sr list: the columns stand below each other, also with wide letters" {
	two_srs
	run sm sr list
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 3 ]
	[[ "${lines[1]}" == "$UUID  disks      file  no "* ]]
	[[ "${lines[2]}" == *"  päßw 日本  file  no "* ]]
}

@test "sr list --json: the record of the contract, keys in order" {
	two_srs
	run sm sr list --json
	[ "$status" -eq 0 ]
	jq -e 'keys_unsorted == ["schema","srs","problems"] and .schema == 1' <<<"$output"
	jq -e '.srs | length == 2 and all(keys_unsorted == ["uuid","name","type","attached","path",
		"dconf","size","used","allocated","vdis","fast_clone","server_copy","health"])' <<<"$output"
	jq -e --arg u "$UUID" '.srs[0] | .uuid == $u and .name == "disks" and .type == "file" and
		.attached == false and .path == null and .dconf == {"location":"/srv/disks"} and
		.size == 0 and .vdis == 0 and .health == "detached"' <<<"$output"
}

@test "sr list --minimal: the uuids with commas" {
	two_srs
	run sm sr list --minimal
	[ "$output" = "$UUID,7f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11" ]
}

@test "sr show: by uuid, by prefix and by name, as a block and as JSON" {
	two_srs
	by_uuid=$(sm sr show "$UUID")
	[[ "$by_uuid" == *"name:           disks"* ]]
	[ "$(sm sr show 6f0c1a52)" = "$by_uuid" ]
	[ "$(sm sr show disks)" = "$by_uuid" ]
	run sm sr show disks --json
	jq -e --arg u "$UUID" 'keys_unsorted == ["schema","sr"] and .sr.uuid == $u' <<<"$output"
	run sm sr show disks --minimal
	[ "$output" = "$UUID" ]
}

@test "what is not there is exit 4, with the sentence and the object" {
	run --separate-stderr sm sr show nowhere --json
	[ "$status" -eq 4 ]
	[[ "${stderr_lines[0]}" == "sm: sr show: "*nowhere* ]]
	jq -e '.error.code == "ENOENT" and .error.smapi == 47' <<<"${stderr_lines[1]}"
}

@test "the header is bold on a terminal only, and not with NO_COLOR" {
	command -v script >/dev/null || skip "no script(1)"
	two_srs
	run on_tty sm sr list
	[[ "${lines[0]}" == $'\033[1m'* ]]
	NO_COLOR=1 run on_tty sm sr list
	[[ "$output" != *$'\033'* ]]
	run sm sr list
	[[ "$output" != *$'\033'* ]]
}

@test "a narrow terminal cuts names; a pipe never does" {
	command -v script >/dev/null || skip "no script(1)"
	smtab_line "$UUID" file a-name-that-is-much-longer-than-it-should-be location=/srv/disks
	run on_tty "stty cols 90; sm sr list"
	[[ "$output" == *…* ]]
	[[ "$output" != *should-be* ]]
	run sm sr list
	[[ "$output" == *should-be* ]]
}

@test "an answer that cannot be written is an error" {
	for args in "sr list" "sr list --json" help --version; do
		run --separate-stderr sh -c "sm $args >/dev/full"
		[ "$status" -eq 1 ]
		[[ "${stderr_lines[0]}" == "sm: "*"write the answer: No space left on device" ]]
		run --separate-stderr sh -c "sm $args >&-"
		[ "$status" -eq 1 ]
		[[ "${stderr_lines[0]}" == "sm: "*"write the answer: "* ]]
	done
	run --separate-stderr sh -c "smbox --list >/dev/full"
	[ "$status" -eq 1 ]
	[[ "$stderr" == "smbox: write the answer: "* ]]
}

@test "a reader that went away is an error, not a death by SIGPIPE" {
	run --separate-stderr bash -c '{ sleep 0.3; sm help; } | true; exit "${PIPESTATUS[0]}"'
	[ "$status" -eq 1 ]
	[[ "$stderr" == "sm: write the answer: Broken pipe" ]]
}

@test "a limit on the size of files is an error, not a death by SIGXFSZ" {
	# By a pipe, for the limit holds for where bats keeps the output, too.
	run bash -c "(ulimit -f 0; sm help >'$BATS_TEST_TMPDIR/help') 2>&1 | cat; exit \${PIPESTATUS[0]}"
	[ "$status" -eq 1 ]
	[ "$output" = "sm: write the answer: File too large" ]
}

@test "closed standard descriptors do not disturb" {
	run sh -c 'sm sr list --json <&- 2>&-'
	[ "$status" -eq 0 ]
	run sh -c 'sm vdi frobnicate 2>&-'
	[ "$status" -eq 2 ]
}

@test "a dry run of what would be refused is refused" {
	run --separate-stderr sm sr destroy nowhere --dry-run
	[ "$status" -eq 4 ]
}

@test "one SR that cannot be read: the others are listed, exit 7, a warning" {
	smtab_line 8f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11 nosuchtype broken location=/srv/x
	two_srs
	run --separate-stderr sm sr list
	[ "$status" -eq 7 ]
	[ "${#lines[@]}" -eq 4 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ "$stderr" == "sm: warning: 8f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11: "*nosuchtype* ]]
	run --separate-stderr sm sr list -q
	[ "$status" -eq 7 ]
	[ -z "$stderr" ]
	run --separate-stderr sm sr list --json
	[ "$status" -eq 7 ]
	[ -z "$stderr" ]
	jq -e '(.srs | length == 3) and (.problems | length == 1) and (.problems[0] | .severity == "error" and
		keys_unsorted == ["object","what","severity","repair"])' <<<"$output"
}

@test "a secret may come through a pipe, which is waited for" {
	run bash -c 'sm sr introduce "$0" --type dummy --name d --dconf-file <(sleep 0.3; echo SRmaster=true)' "$UUID"
	[ "$status" -eq 0 ]
	run bash -c 'sm sr introduce "$0" --type dummy --name d --dconf SRmaster=@<(sleep 0.3; echo false)' "$UUID"
	[ "$status" -eq 0 ]
	grep -qx "$UUID dummy d SRmaster=false" "$SM_ROOT/etc/smtab"
}

@test "smtab does not grow beyond what can be read again" {
	local long i

	long=$(head -c 4000 /dev/zero | tr '\0' a)
	for ((i = 0; i < 258; i++)); do
		printf '%08x-3b7e-4d0a-9a51-0d2c4b8f7e11 dummy d SRmaster=%s\n' "$i" "$long"
	done >"$BATS_TEST_TMPDIR/smtab"
	install -D "$BATS_TEST_TMPDIR/smtab" "$SM_ROOT/etc/smtab"
	run --separate-stderr sm sr introduce "$UUID" --type dummy --dconf "SRmaster=$long"
	[ "$status" -eq 2 ]
	[[ "$stderr" == *"smtab would be longer than 1 MiB"* ]]
	cmp "$BATS_TEST_TMPDIR/smtab" "$SM_ROOT/etc/smtab"
	run sm sr forget 00000007
	[ "$status" -eq 0 ]
}

@test "locks are not kept where somebody else made the folder" {
	mkdir -p "$SM_ROOT/var/lock/sm"
	chmod 1777 "$SM_ROOT/var/lock/sm"
	run --separate-stderr sm sr introduce "$UUID" --type dummy
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"/var/lock/sm belongs to somebody else"* ]]
	[ -z "$(ls -A "$SM_ROOT/var/lock/sm")" ]
	chmod 755 "$SM_ROOT/var/lock/sm"
	run sm sr introduce "$UUID" --type dummy
	[ "$status" -eq 0 ]
	# Who can open a lock file for reading can keep others from locking it.
	[ -z "$(find "$SM_ROOT/var/lock" -type f -perm /077)" ]
}
