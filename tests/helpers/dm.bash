# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The product's device-mapper functions in the guest, as the command dmt
# (tests/lab/tools/dmt.c); load it after helpers/lab.

# dm_tool [-n NAME] [TOOL]: after lab_start dmt, or another of the lab's tools, becomes a command of the guest.
dm_tool() {
	local on=a tool path

	[ "${1-}" != -n ] || { on=$2; shift 2; }
	tool=${1:-dmt}
	path=$("$LAB_SRC/tools/build.sh" "$SM_BUILD" "$tool") || return
	guest_put -n "$on" "$path" "/sm/bin/$tool"
	guest_ok -n "$on" "chmod 755 /sm/bin/$tool"
}

# refused ERROR CMD…: the command fails with this word on stderr.
refused() {
	local want=$1

	shift
	grun "$@" >/dev/null 2>&1 || true
	[ "$status" -ne 0 ] && [ "$stderr" = "$want" ] || {
		echo "status $status, '$stderr', not $want, of: $*" >&2
		return 1
	}
}

# prints COMMAND WANTED: what a command of the guest prints.
prints() {
	guest "$1" >/dev/null || true
	[ "$output" = "$2" ] || {
		printf '%s printed\n%s\nnot\n%s\n' "$1" "$output" "$2" >&2
		return 1
	}
}

# no_dm: no device-mapper device, no node or link of one, no semaphore is left.
no_dm() {
	prints 'judge dmsetup ls; ls -A /dev/mapper | grep -v ^control; ls -d /dev/vg* 2>/dev/null; tail -n +2 /proc/sysvipc/sem' \
		'No devices found'
}
