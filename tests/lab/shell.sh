#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# shell.sh [-b BUILD] [LAB_START-OPTION VALUE]...: a prompt in a guest.
#
# For example: shell.sh --disk a:1G --mem 512M.  The guest goes when the shell
# ends; LAB_DIR/a/share, whose name is printed first, is /share in there.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "${1-}" = -b ]; then
	export SM_BUILD=$2
	shift 2
fi

# shellcheck source=tests/helpers/lab.bash
. "$here/../helpers/lab.bash"

LAB_MUST=1 lab_start "$@" >&2 || exit 125
trap lab_stop EXIT
echo "$LAB_DIR/a/share is /share in the guest; exit or Ctrl-D ends it" >&2
read -r rows columns < <(stty size 2>/dev/null || echo 24 80)

{
	# shellcheck disable=SC2016 # expanded in the guest
	"$LAB_TOOLS/bin/ask" -t 1000000 -m "$LAB_DIR/a" run env TERM="${TERM:-linux}" bash -c \
		'stty -F /dev/ttyS1 sane rows "$1" cols "$2"
			PS1="guest:\w\$ " exec bash --norc -i </dev/ttyS1 >/dev/ttyS1 2>&1' shell "$rows" "$columns"
	"$LAB_TOOLS/bin/ask" "$LAB_DIR/a" stop
} </dev/null &
"$LAB_TOOLS/bin/ask" "$LAB_DIR/a" tty
