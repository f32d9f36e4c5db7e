#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Help, completion and version: all from the tables, so all of it must be there.

setup() {
	load cli_helper
	cli_setup
}

# Every "object verb" that help knows.
commands() {
	sm help | sed -n 's/^  \(sr\|vdi\) \([a-z]*\) .*/\1 \2/p'
}

@test "help is on stdout with exit 0, however one asks for it" {
	overview=$(sm)
	[[ "$overview" == "usage: sm OBJECT VERB"* ]]
	for args in help --help -h; do
		run --separate-stderr sm $args
		[ "$status" -eq 0 ]
		[ "$output" = "$overview" ]
		[ -z "$stderr" ]
	done
}

@test "every verb has help with its usage, its arguments and an example" {
	n=0
	while read -r object verb; do
		run --separate-stderr sm help "$object" "$verb"
		[ "$status" -eq 0 ]
		[[ "$output" == *"usage: sm $object $verb"* ]]
		[[ "$output" == *"example:"$'\n'"  sm $object $verb"* ]]
		text=$output
		for ask in "sm $object $verb --help" "sm $object $verb some thing -h" \
			   "sm $object-$verb --help" "sm help $object-$verb"; do
			run --separate-stderr $ask
			[ "$status" -eq 0 ]
			[ "$output" = "$text" ]
		done
		n=$((n + 1))
	done < <(commands)
	[ "$n" -ge 20 ]
}

@test "no explanation is missing: every argument of every verb has one" {
	while read -r object verb; do
		run sm help "$object" "$verb"
		for word in $(sed -n '/^usage/,/^$/p' <<<"$output" | grep -o -e '--[a-z-]*'); do
			grep -q -E -e "^  $word( [A-Z=]+)?( {2,}[^ ]|\$)" <<<"$output"
		done
	done < <(commands)
}

@test "the example of every verb is one that the parser takes" {
	while read -r object verb; do
		example=$(sm help "$object" "$verb" | sed -n '/^example:/{n;s/^  //;p}')
		# An SR that is not there, or a missing privilege, is not the grammar's fault.
		run --separate-stderr ${example/ / --dry-run }
		[ "$status" -ne 2 ]
	done < <(commands)
}

@test "help on an object lists its verbs" {
	for ask in "sm help vdi" "sm vdi --help"; do
		run $ask
		[ "$status" -eq 0 ]
		[[ "$output" == *"vdi create"* ]]
		[[ "$output" != *"sr create"* ]]
	done
}

@test "help types shows each SR type with its keys" {
	run sm help types
	[ "$status" -eq 0 ]
	[[ "$output" == *"file (FileSR)"* ]]
	[[ "$output" == *"--dconf location="* ]]
}

@test "help on what does not exist is a usage error" {
	usage_error "help: no such command 'frobnicate'" sm help frobnicate
	usage_error "help: no such command 'vdi frobnicate'" sm help vdi frobnicate
	usage_error "no such command" sm vdi frobnicate --help
}

@test "help is text that fits a page of 100 columns" {
	while read -r object verb; do
		sm help "$object" "$verb"
	done < <(commands) >"$BATS_TEST_TMPDIR/all"
	sm help >>"$BATS_TEST_TMPDIR/all"
	run grep -E '^.{101}' "$BATS_TEST_TMPDIR/all"
	[ "$status" -eq 1 ]
}

@test "completion for bash: objects, verbs, options" {
	run sm completion bash
	[ "$status" -eq 0 ]
	eval "$output"
	complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _sm; }
	complete_words sm vd
	[ "${COMPREPLY[*]}" = vdi ]
	complete_words sm vdi cre
	[ "${COMPREPLY[*]}" = create ]
	complete_words sm vdi create --si
	[ "${COMPREPLY[*]}" = --size ]
	complete_words sm sr list --js
	[ "${COMPREPLY[*]}" = --json ]
	usage_error "the only shell is bash" sm completion fish
}

@test "--version names version, configuration and commit" {
	run sm --version
	[ "$status" -eq 0 ]
	[[ "$output" =~ ^smbox\ [0-9]+\.[0-9]+\.[0-9]+\ \([a-z]+,\ [0-9a-z-]+\)$ ]]
	[ "$(smbox --version)" = "$output" ]
}
