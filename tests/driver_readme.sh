#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Follow drivers/README.md to the letter, in a copy of the tree, and see
# whether the driver is there and passes the compliance suite.
#
#	driver_readme.sh O
#
# Each numbered step of the page names one file and has one block of code:
# ```c is the file, ```make is added to its end, ``` goes into the menu that
# the step names.  ```sh blocks are run as they stand.
# shellcheck source=tests/tap.bash
. "$(dirname "$0")/tap.bash"
page=$srctree/drivers/README.md
O=$1
mkdir -p "$O"
O=$(cd "$O" && pwd)
tree=$O/tree
build=$tree/build

# steps: "FILE<tab>LANGUAGE<tab>TEXT OF THE STEP" a line, the code in $O/block.N.
steps() {
	awk -v out="$O/block." '
	/^\*\*[0-9]+\.\*\*/ { text = $0; step = 1; next }
	/^```/ && !code	{ code = 1; lang = substr($0, 4); if (step) file = out (n += 1); next }
	/^```/		{ code = 0
			  if (step) { match(text, /`[^`]*`/)
				print substr(text, RSTART + 1, RLENGTH - 2) "\t" (lang ? lang : "-") "\t" text }
			  step = 0; file = ""; next }
	code && file	{ print >file }
	!code && step	{ text = text " " $0 }' "$page"
}

copy_tree() {
	rm -rf "$tree" && mkdir -p "$tree" &&
		tar -C "$srctree" -c --exclude ./build --exclude ./.git . | tar -C "$tree" -x
}

# Into the menu of that name, before its end.
into_menu() {
	awk -v title="menu \"$1\"" -v block="$2" '
	$0 == title { inside = 1 }
	inside && $0 == "endmenu" { while ((getline line <block) > 0) print line; print ""; inside = 0; done = 1 }
	{ print }
	END { exit !done }' "$3" >"$3.new" && mv "$3.new" "$3"
}

apply() {
	local n=0 file lang text menu

	while IFS=$'\t' read -r file lang text; do
		n=$((n + 1))
		case $lang in
		c) [ ! -e "$tree/$file" ] && cp "$O/block.$n" "$tree/$file" ;;
		make) cat "$O/block.$n" >>"$tree/$file" ;;
		-) menu=${text#*\"} && into_menu "${menu%%\"*}" "$O/block.$n" "$tree/$file" ;;
		*) false ;;
		esac || { echo "step $n: $file ($lang)"; return 1; }
	done <"$O/steps"
	[ "$n" -eq 3 ]
}

# The commands of the page, a ```sh block a file.
shell_blocks() {
	awk -v out="$O/sh." '/^```sh$/ { file = out (n += 1); next } /^```/ { file = "" } file { print >file }' "$page"
}

build_and_look() {
	local want

	(cd "$tree" && MAKEFLAGS=-j"$jobs" bash -x "$O/sh.1" >"$O/look" 2>&1) || true	# the last call is no call
	cat "$O/look"
	want=$(sed -n 's/.*\.desc *= "\(.*\)",/\1/p' "$O/block.1")
	grep -qxF "scratch (ScratchSR): $want" "$O/look" && grep -q '^ScratchSR: vdi_create: missing the dconf' "$O/look"
}

# As the page says it, but for the door that is fastest, and that must not be skipped.
suite() {
	grep -q '^LAB_SR_TYPE=scratch ' "$O/sh.2" || return 1
	(cd "$tree" && CI=true LAB_DOORS=people bash -e "$O/sh.2")
}

has_line() { grep -qx "$@"; }
listed() { "$build/bin/smbox" --list | has_line ScratchSR; }
default_type() { grep -qx 'CONFIG_SR_SCRATCH=y' "$build/.config"; }
unchanged() {	# the steps touch three files, and no other
	diff -rq --exclude build --exclude .git "$srctree" "$tree" |
		awk '{ print ($1 == "Only") ? $NF : $2 }' | sed 's|.*/||' | sort | tr '\n' ' ' |
		has_line 'Kconfig Makefile scratch.c '
}

rm -f "$O"/block.* "$O"/sh.*
steps >"$O/steps"
shell_blocks
ok "the tree can be copied" copy_tree
ok "three steps, each with its file and its code" apply
ok "they change three files" unchanged
ok "the build and what it shows" build_and_look
ok "the type is in the configuration" default_type
ok "ScratchSR is an applet" listed
if command -v bats >/dev/null && command -v linux.uml >/dev/null; then
	ok "the compliance suite passes" suite
elif [ "${CI-}" = true ]; then
	ok "the compliance suite passes: bats and user-mode-linux are here" false
else
	skip "the compliance suite passes" "no bats or user-mode-linux (make deps-install)"
fi
[ "$tap_bad" -ne 0 ] || rm -rf "$tree"
tap_end
