#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the command line refuses, and what it says then.

setup() {
	load cli_helper
	cli_setup
}

@test "an unknown object is named, with the nearest one" {
	usage_error "no such object 'vdx': did you mean vdi?" sm vdx list
	usage_error "no such object 'frobnicate' (try: sm help)" sm frobnicate
}

@test "an unknown verb is named, with the nearest one" {
	usage_error "vdi: no such verb 'creat': did you mean create? (try: sm help vdi)" sm vdi creat
	usage_error "sr: no such verb 'frobnicate' (try: sm help sr)" sm sr frobnicate disks
	usage_error "vdi: no such verb 'creat': did you mean create?" sm vdi-creat
}

@test "an object alone lacks its verb" {
	usage_error "vdi: the verb is missing (try: sm help vdi)" sm vdi
}

@test "an unknown option is named, with the nearest one" {
	usage_error "vdi create: unknown option '--siez': did you mean --size? (try: sm help vdi create)" \
		sm vdi create root --sr disks --siez 1G
	usage_error "unknown option '--xyzzy' (try: sm help sr list)" sm sr list --xyzzy
	usage_error "unknown option '--jsno': did you mean --json?" sm sr list --jsno
	usage_error "unknown option '-x'" sm sr list -x
	usage_error "unknown option '--siez' (try: sm help)" sm --siez
}

@test "an option of another verb is unknown here" {
	usage_error "vdi list: unknown option '--size'" sm vdi list --size 1G
}

@test "what an unknown option was given stays unsaid: it may be a secret" {
	run --separate-stderr sm sr attach disks --pasword=geheim
	[ "$status" -eq 2 ]
	[[ "$stderr" != *geheim* ]]
	run --separate-stderr sm sr attach disks password=geheim
	[ "$status" -eq 2 ]
	[[ "$stderr" == *"'password=…'"* ]]
}

@test "each missing operand and option is named" {
	usage_error "vdi create: NAME is missing (try: sm help vdi create)" sm vdi create
	usage_error "--sr SR is missing" sm vdi create root
	usage_error "--size SIZE is missing" sm vdi create root --sr disks
	usage_error "SIZE is missing" sm vdi resize root
	usage_error "SR is missing" sm sr show
	usage_error "UUID is missing" sm sr introduce --type file
	usage_error "--type TYPE is missing" sm sr create disks
}

@test "an operand too many is refused" {
	usage_error "sr list: one operand too many: 'extra'" sm sr list extra
	usage_error "one operand too many: 'c'" sm sr rename a b c
}

@test "an option without its value is refused" {
	usage_error "--size needs a value" sm vdi create root --sr disks --size
	usage_error "--sr needs a value" sm vdi list --sr --json
	usage_error "--units needs a value" sm sr list --units
}

@test "a switch with a value is refused" {
	usage_error "--repair takes no value" sm sr check disks --repair=yes
	usage_error "--json takes no value" sm sr list --json=1
}

@test "a single option given twice is refused, a switch may be repeated" {
	usage_error "--size is given twice" sm vdi create root --sr disks --size 1G --size 2G
	usage_error "--units is given twice" sm sr list --units b --units h
	run sm sr list --json --json
	[ "$status" -eq 0 ]
}

@test "values of the options of every command are checked" {
	usage_error "--units 'x' is not b|h" sm sr list --units x
	usage_error "--progress 'dots' is not bar|json|none" sm sr list --progress=dots
	for t in 0 -1 1x '' 1.5 99999999999 18446744073709551617; do
		usage_error "--timeout '$t' is not SECONDS" sm sr list "--timeout=$t"
	done
	usage_error "--json and --minimal exclude each other" sm sr list --json --minimal
}

@test "sizes are checked" {
	for s in 0x10 -1 1Q '' ' ' 9223372036854775808 1e3 nan; do
		run --separate-stderr sm vdi create root --sr disks "--size=$s"
		[ "$status" -eq 2 ]
		[ -z "$output" ]
		[[ "$stderr" == "sm: vdi create: --size"* ]]
	done
}

@test "uuids are checked" {
	for u in x 6f0c1a52 "${UUID}0" "${UUID//-/}" '' "${UUID/6/g}"; do
		run --separate-stderr sm sr introduce "$u" --type file --dconf location=/srv/disks
		[ "$status" -eq 2 ]
		[[ "$stderr" == "sm: sr introduce: UUID '"* ]]
	done
}

@test "an operand that is empty names nothing, not even what has no name" {
	smtab_line "$UUID" dummy '\040'
	for verb in show attach detach scan check forget destroy; do
		usage_error "SR is empty" sm sr "$verb" ""
	done
	usage_error "SR is empty" sm sr rename "" new
	usage_error "--sr is empty" sm vdi list --sr=
	usage_error "VDI is empty" sm vdi delete ""
	usage_error "VDI is empty" sm vdi delete "" --sr "$UUID"
	usage_error "--sr is empty" sm vdi create new --size 1M --sr ""
	run sm sr list --minimal
	[ "$output" = "$UUID" ]
}

@test "--dconf wants a pair" {
	for d in location =/srv/disks ''; do
		run --separate-stderr sm sr create disks --type file "--dconf=$d"
		[ "$status" -eq 2 ]
		[[ "$stderr" == *"--dconf"* ]]
	done
}

@test "a name must be UTF-8 without control characters" {
	for name in $'a\xffb' $'\xc3' $'a\nb' $'\033[2Jx' $'a\x7f'; do
		run --separate-stderr sm vdi create "$name" --sr disks --size 1G
		[ "$status" -eq 2 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		[[ "$stderr" != *$'\033'* ]]
	done
}

@test "what an error repeats cannot reach the terminal as it is" {
	run --separate-stderr sm $'\033[2J\xff' list
	[ "$status" -eq 2 ]
	[[ "$stderr" == *'\x1b[2J'* ]]
	[[ "$stderr" != *$'\033'* ]]
}

@test "an argument of 10,000 characters is an error, not an accident" {
	long=$(printf '%010000d' 0)
	for args in "$long" "sr $long" "sr list $long" "sr list --$long" "sr show $long" \
		    "vdi create $long --sr x --size 1" "vdi create x --sr y --size $long" \
		    "sr list --timeout $long" "sr create x --type y --dconf $long" "help $long"; do
		# shellcheck disable=SC2086 # they are words
		run --separate-stderr sm $args
		[ "$status" -eq 2 ] || [ "$status" -eq 4 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		[ "${#stderr}" -lt 1500 ]
	done
}

@test "5,000 arguments are an error, not an accident" {
	run --separate-stderr sm sr list $(seq 5000)
	[ "$status" -eq 2 ]
}

@test "with --json the error is an object too, on a line of its own" {
	for args in "vdi creat --json" "--json vdi creat" "vdi create --json" "sr list --units x --json"; do
		# shellcheck disable=SC2086
		run --separate-stderr sm $args
		[ "$status" -eq 2 ]
		[ -z "$output" ]
		[ "${#stderr_lines[@]}" -eq 2 ]
		jq -e '.error | .code == "EINVAL" and (.smapi | type) == "number" and
			(.message | length) > 0 and (.hint | startswith("sm help")) and
			keys_unsorted == ["code","smapi","message","hint"]' <<<"${stderr_lines[1]}"
	done
}

@test "the error object is JSON whatever was typed" {
	run --separate-stderr sm --json $'"\\\xff\x01' x
	[ "$status" -eq 2 ]
	jq -e .error.message <<<"${stderr_lines[1]}"
}

@test "options may stand anywhere, with a blank or an equals sign" {
	for args in "sr list --units b --json" "--units=b --json sr list" "--json sr --units b list" \
		    "sr-list --json" "--json sr-list"; do
		# shellcheck disable=SC2086
		run sm $args
		[ "$status" -eq 0 ]
		[ "$(jq -c .srs <<<"$output")" = "[]" ]
	done
}

@test "after -- everything is an operand" {
	usage_error "one operand too many: '--help'" sm sr list -- --help
	run --separate-stderr sm sr show -- --json
	[ "$status" -eq 4 ]
}

@test "a value may begin with dashes when an equals sign says so" {
	run --separate-stderr sm vdi list --sr=--json
	[ "$status" -eq 4 ]
}

@test "SM_ROOT must be absolute and without '..'" {
	for root in relative ./x /tmp/../etc /.. /x/..; do
		SM_ROOT=$root run --separate-stderr sm sr list
		[ "$status" -eq 2 ]
		[[ "$stderr" == "sm: SM_ROOT '$root' "* ]]
	done
	SM_ROOT=$SM_ROOT/// run sm sr list
	[ "$status" -eq 0 ]
	mkdir "$SM_ROOT/..x"
	SM_ROOT=$SM_ROOT/..x run sm sr list
	[ "$status" -eq 0 ]
}

@test "SM_ROOT must leave room for what lies below it" {
	local longest

	longest=/$(printf '%099d' 0)
	SM_ROOT=$longest run sm sr list
	[ "$status" -eq 0 ]
	SM_ROOT=${longest}0 run --separate-stderr sm sr list
	[ "$status" -eq 2 ]
	[[ "$stderr" == "sm: SM_ROOT is longer than 100 bytes"* ]]
}

@test "options of an NFS mount: those that are known, one by one, and nothing else" {
	new=(sm sr create n --type nfs --dconf server=127.0.0.1 --dconf serverpath=/x --dconf nfsversion=4.1)
	for bad in bogus=1 timeo=1=2 "hard rw" context=x source=/x timeo= =x "rw,hard " fscontext=a hard=1 \
		   $'hard\nrw' 'nconnect=1;x' ha timeo; do
		run --separate-stderr "${new[@]}" --dconf "options=$bad"
		[ "$status" -eq 2 ]
		[[ "$stderr" == *"options"* ]]
	done
	for bad in nfs-timeout=0 nfs-timeout=9999999999 nfs-retrans=-1 nfs-retrans=1x nfs-timeout=; do
		run --separate-stderr "${new[@]}" --dconf "$bad"
		[ "$status" -eq 2 ]
		[[ "$stderr" == *"dconf ${bad%%=*}: "*" is no number from "* ]]
	done
	# What is good comes as far as to the server, which is not there.
	for good in hard soft,,ro bg,noatime,rsize=65536,nconnect=4,lookupcache=none,sec=krb5:sys; do
		run --separate-stderr "${new[@]}" --dconf "options=$good,port=1" --dconf nfs-timeout=50 --dconf nfs-retrans=0
		[[ "$stderr" == *"nothing listens at port 1 "* ]]
	done
}
