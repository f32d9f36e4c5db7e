# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the scripts of this folder share.  Each is run as SCRIPT BUILD, measures
# in pairs, ours beside a peer's in the same run, and prints one table:
#
#	. "$(dirname "$0")/common.bash"
#	head_line 'Images' wall
#	measure -n 5 --- sm image info a.vhd --- qemu-img info a.vhd
#	row 'info' 0 1 20		# ours, the peer's; at least 20 times as fast
#	verdict
#
# measure.c says what is measured.  On the host take cpu, which the load of others
# disturbs least; in a guest, where the clock of processes is coarse and nobody
# else is, wall.  `measure_guest` is the same inside of the guest that
# lab_start (helpers/lab.bash) has made.
# SM and whatever else is in BUILD/bin is found first; $tmp is removed at the end.

set -eu -o pipefail
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "${1:?BUILD}" && pwd)
tmp=$(mktemp -d)
at_end=()
trap 'for _cmd in "${at_end[@]}"; do $_cmd; done; rm -rf "$tmp"' EXIT
export SM_ROOT=$tmp/root SM_BUILD=$build PATH=$build/bin:$PATH
mkdir "$SM_ROOT"
clock=wall missed=0
m=()

measure_made() {
	[ "$build/measure" -nt "$bench/measure.c" ] ||
		musl-gcc -static -Os -s -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -o "$build/measure" "$bench/measure.c"
}
measure_made

# measure [-n ROUNDS] [-d DISK]... --- CMD...: the lines go into m[0], m[1] …
measure() {
	local out

	out=$("$build/measure" "$@") || exit
	mapfile -t m <<<"$out"
}

measure_guest() {
	local status=0

	[ -e "$LAB_DIR/a/share/measure" ] || cp "$build/measure" "$LAB_DIR/a/share/"
	LAB_TIMEOUT=${LAB_TIMEOUT:-600} grun /share/measure "$@" >/dev/null || status=$?
	[ "$status" -eq 0 ] || exit
	m=("${lines[@]}")
}

# head_line WHAT CLOCK: wall, the median of which the table shows; least, the least of
# wall, for what waits for a disk that others use as well; or cpu, the least of that:
# whoever else is on this machine can only add to it.
head_line() {
	clock=$2
	printf '\n%-34s %9s %9s %6s %6s  %7s %7s  %s\n' "$1" "ours ms" "peer ms" times wanted \
		"KiB" "peer" "reads/writes/flushes, peer's"
}

# field LINE N: that number of that line of m.
field() {
	local f

	read -ra f <<<"${m[$1]}"
	echo "${f[$2]}"
}

ms() { printf '%d.%02d' $(($1 / 1000)) $(($1 % 1000 / 10)); }

# row WHAT OURS PEER [TIMES [KIB]]: how many times as fast it has to be, and in how much memory.
row() {
	local k=0 ours peer times mark=

	case $clock in least) k=1 ;; cpu) k=3 ;; esac
	ours=$(field "$2" $k) peer=$(field "$3" $k)
	times=$((peer * 10 / (ours > 0 ? ours : 1)))
	if [ $times -lt $((${4:-0} * 10)) ]; then
		mark=' <'
	elif [ -n "${5:-}" ] && [ "$(field "$2" 4)" -gt "$5" ]; then
		mark=" more than $5 KiB"
	fi
	[ -z "$mark" ] || missed=$((missed + 1))
	printf '%-34s %9s %9s %4d.%d %6s  %7d %7d  %s, %s%s\n' "$1" "$(ms "$ours")" "$(ms "$peer")" \
		$((times / 10)) $((times % 10)) "${4:--}" "$(field "$2" 4)" "$(field "$3" 4)" \
		"$(field "$2" 5)/$(field "$2" 6)/$(field "$2" 7)" \
		"$(field "$3" 5)/$(field "$3" 6)/$(field "$3" 7)" "$mark"
}

# The end of a script: 1 when something that was wanted was missed.
verdict() {
	echo
	[ $missed -eq 0 ] || echo "$missed of the figures wanted were missed."
	exit $((missed > 0))
}
