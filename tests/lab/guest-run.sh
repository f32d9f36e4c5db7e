#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guest-run.sh [-b BUILD] [-t SECONDS] [LAB_START-OPTION VALUE]... SCRIPT [ARG...]
#
# Boot a guest, run a bash script in it on a terminal whose output appears here
# as it comes, colours and all, and end with the script's status (124 after
# SECONDS, 600 when not given).  BUILD/bin/smbox is in the guest's PATH.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
limit=600 options=()

while [ $# -gt 0 ]; do
	case $1 in
	-b) export SM_BUILD=$2 ;;
	-t) limit=$2 ;;
	--*) options+=("$1" "$2") ;;
	*) break ;;
	esac
	shift 2
done
[ $# -gt 0 ] || { sed -n '4,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ -r "$1" ] || { echo "guest-run.sh: cannot read $1" >&2; exit 2; }

# shellcheck source=tests/helpers/lab.bash
. "$here/../helpers/lab.bash"

LAB_MUST=1 lab_start "${options[@]}" >&2 || exit 125
trap lab_stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
cp "$1" "$LAB_DIR/a/share/.lab/script"
shift

"$LAB_TOOLS/bin/ask" "$LAB_DIR/a" tty </dev/null &
viewer=$!
# The script waits in the background so that a signal here is heard at once.
read -r rows columns < <(stty size 2>/dev/null || echo 24 80)
# shellcheck disable=SC2016 # expanded in the guest
"$LAB_TOOLS/bin/ask" -t "$limit" -m "$LAB_DIR/a" run \
	env TERM="${TERM:-linux}" ${NO_COLOR:+NO_COLOR="$NO_COLOR"} COLUMNS="$columns" \
	bash -c 'stty -F /dev/ttyS1 raw rows "$1" cols "$2"
		exec bash /share/.lab/script "${@:3}" </dev/null >/dev/ttyS1 2>&1' \
	guest-run "$rows" "$columns" "$@" &
wait $!
status=$?
lab_stop				# the terminal line is emptied first
wait "$viewer"
trap - EXIT
exit "$status"
