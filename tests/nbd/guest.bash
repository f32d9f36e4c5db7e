# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Words of nbd.bats, in the guest: V is the disk, D its device.
set -euo pipefail
trap 'echo "failed: $BASH_COMMAND" >&2' ERR

refused() {
	if "$@" >/tmp/out 2>&1; then
		echo "not refused: $*" >&2
		return 1
	fi
	cat /tmp/out
}
# The one that has the note, and its child.
keeper() { head -n 1 "/run/sm/server/$V"; }
worker() { cat "/proc/$(keeper)/task/$(keeper)/children" | tr -d ' '; }
# wait_worker OLD: until there is another one.
wait_worker() {
	local i

	for ((i = 0; i < 100; i++)); do
		[ "$(worker)" = "$1" ] || [ -z "$(worker)" ] || return 0
		sleep 0.1
	done
	return 1
}
# pattern BYTE MIB COUNT: written past the page cache and not flushed; check: it is there.
bytes() { head -c $(($2 << 20)) /dev/zero | tr '\0' "\\$(printf %o "$1")"; }
pattern() { bytes "$1" "$3" | dd of="$D" bs=1M seek="$2" iflag=fullblock oflag=direct conv=notrunc status=none; }
check() {
	[ "$(dd if="$D" bs=1M skip="$2" count="$3" iflag=direct status=none | md5sum)" = "$(bytes "$1" "$3" | md5sum)" ] || {
		echo "not all $1 from $2 MiB on, $3 MiB" >&2
		return 1
	}
}
# gave_up STATUS: the pause was refused in its time, by a machine that is slow, which is no fault (at most 20 times).
times_up=0
gave_up() { [ "$1" != 0 ] && grep "its requests do not end" /tmp/said && [ $((++times_up)) -le 20 ]; }
zeroes() { check 0 "$1" "$2"; }
fio() {
	judge fio --name=x --filename="$D" --direct=1 --ioengine=libaio --verify=crc32c --verify_fatal=1 \
		--verify_state_save=0 --randseed=7 --allrandrepeat=1 "$@" >/tmp/fio.out 2>&1 || {
		cat /tmp/fio.out >&2
		return 1
	}
}
# The keeper lets go of its lock, and ends a moment later.
nothing_left() {
	local left i

	for ((i = 0; i < 20; i++)); do
		left=$(ls /sys/block/nbd*/pid /run/sm/server/* /dev/mapper/sm-* 2>/dev/null || true; pidof sm || true)
		[ -n "$left" ] || return 0
		sleep 0.05
	done
	echo "left: $left" >&2
	return 1
}
image_is_sound() { sm image check "/srv/d/$V.vhd"; }
