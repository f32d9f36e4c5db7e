#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# console.sh [-u] PAGE: run the ```console blocks of a page, in their order, in
# this shell, and compare what comes with what the page says.
#
# "$ " begins a command, "> " continues it, the lines below are its stdout and
# stderr.  In an answer … stands for anything, also for several lines; $? of the
# command before is seen by the next.  -u prints the page with the answers that
# came, for whoever writes one.
set -u

update=
if [ "$1" = -u ]; then
	update=1
	shift
fi
page=$1 number=0 inside='' command='' want='' bad=0 commands=0 status=0

# The text as a pattern that means just it, but for the dots.
pattern() {
	sed 's/[][*?\\]/\\&/g; s/…/*/g' <<<"$1"
}

run() {
	local have where=$number

	[ -n "$command" ] || return 0
	commands=$((commands + 1))
	(exit $status)
	eval "$command" >/tmp/console.out 2>&1 </dev/null
	status=$?
	have=$(cat /tmp/console.out)
	if [ -n "$update" ]; then
		[ -z "$have" ] || printf '%s\n' "$have"
	elif [[ $have != $(pattern "${want%$'\n'}") ]]; then
		bad=1
		printf '%s: before line %s: $ %s\n--- the page says\n%s--- it is\n%s\n' \
			"$page" "$where" "$command" "$want" "$have" >&2
	fi
	command='' want=''
}

while IFS= read -r line <&9; do
	number=$((number + 1))
	case $inside:$line in
	':```console') inside=1 ;;
	1:'```') run; inside='' ;;
	1:'$ '*) run; command=${line#'$ '} ;;
	1:'> '*) command+=$'\n'${line#'> '} ;;
	1:*)
		want+=$line$'\n'
		[ -z "$update" ] || continue
		;;
	esac
	[ -z "$update" ] || printf '%s\n' "$line"
done 9<"$page"

[ -n "$update" ] || echo "$commands commands"
[ $commands -gt 0 ] && [ $bad -eq 0 ]
