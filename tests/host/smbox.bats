#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# One binary under many names.

setup() {
	load cli_helper
	cli_setup
	DIR=$BATS_TEST_TMPDIR/links
	mkdir "$DIR"
	cp "$BIN/smbox" "$BATS_TEST_TMPDIR/smbox"
	SMBOX=$BATS_TEST_TMPDIR/smbox
}

@test "--list names the applets, sorted, one a line" {
	run --separate-stderr smbox --list
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[ "$output" = "$(LC_ALL=C sort -u <<<"$output")" ]
	[[ $'\n'"$output"$'\n' == *$'\nsm\n'* ]]
	[[ "$output" != *smbox* ]]
}

@test "smbox APPLET is the same as the applet" {
	[ "$(smbox sm sr list --json)" = "$(sm sr list --json)" ]
	[ "$(smbox smbox sm --version)" = "$(sm --version)" ]
	run smbox sm vdi frobnicate
	[ "$status" -eq 2 ]
}

@test "started by an unknown name it says what it knows" {
	ln -s "$SMBOX" "$DIR/frobnicate"
	for cmd in "$DIR/frobnicate" "$DIR/frobnicate sr list" "smbox frobnicate"; do
		run --separate-stderr $cmd
		[ "$status" -eq 2 ]
		[ -z "$output" ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		[[ "$stderr" == "smbox: no applet 'frobnicate'; there are: "*"sm"* ]]
	done
}

@test "usage errors of smbox" {
	for args in --frobnicate "--list x" "--version --list" --install "--install -x $DIR" \
		    "--install $DIR $DIR"; do
		run --separate-stderr smbox $args
		[ "$status" -eq 2 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
	done
}

@test "smbox alone explains itself" {
	run --separate-stderr smbox
	[ "$status" -eq 0 ]
	[[ "$output" == "smbox "*"--install"* ]]
	[ "$(smbox --help)" = "$output" ]
}

@test "--install makes hard links, and may be repeated" {
	for _ in 1 2; do
		run "$SMBOX" --install "$DIR"
		[ "$status" -eq 0 ]
		[ -z "$output" ]
	done
	[ "$(ls "$DIR")" = "$("$SMBOX" --list)" ]
	[ "$DIR/sm" -ef "$SMBOX" ]
	[ ! -L "$DIR/sm" ]
	[ "$("$DIR/sm" --version)" = "$(smbox --version)" ]
}

@test "--install -s makes symbolic links, bare ones beside the binary" {
	for _ in 1 2; do
		run "$SMBOX" --install -s "$DIR"
		[ "$status" -eq 0 ]
	done
	[ "$(readlink "$DIR/sm")" = "$SMBOX" ]
	run "$SMBOX" --install "$BATS_TEST_TMPDIR" -s
	[ "$status" -eq 0 ]
	[ "$(readlink "$BATS_TEST_TMPDIR/sm")" = smbox ]
}

@test "--install leaves what is foreign, and then does nothing at all" {
	for foreign in file folder link; do
		rm -rf "$DIR"; mkdir "$DIR"
		case $foreign in
		file)	echo precious >"$DIR/sm" ;;
		folder)	mkdir "$DIR/sm" ;;
		link)	ln -s /nowhere "$DIR/sm" ;;
		esac
		before=$(ls -l "$DIR")
		for s in "" -s; do
			run --separate-stderr "$SMBOX" --install $s "$DIR"
			[ "$status" -eq 1 ]
			[[ "$stderr" == *"sm is there already and is not smbox"* ]]
			[ "$(ls -l "$DIR")" = "$before" ]
		done
	done
}

@test "--install into what is no folder is refused" {
	run --separate-stderr "$SMBOX" --install "$DIR/missing"
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"open $DIR/missing: No such file"* ]]
	run "$SMBOX" --install "$SMBOX"
	[ "$status" -eq 1 ]
}

@test "a driver's name is the same command line, with the type given" {
	smbox --list | grep >/dev/null -x FileSR || skip "no machine front end"
	[ "$(smbox FileSR sr list --json)" = "$(sm sr list --json)" ]
	run --separate-stderr smbox FileSR sr create disks
	[[ "$stderr" != *"--type"* ]]
}
