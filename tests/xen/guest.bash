# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Words of block.bats, in the guest.
set -euo pipefail
trap 'echo "failed: $BASH_COMMAND" >&2' ERR

B=/local/domain/0/backend/vbd
# The daemon, on its socket and nothing else: what it opens of Xen's is silent.
start_xenstored() {
	local i

	mkdir -p /dev/xen /run/xenstored /run/xen
	ln -s ../null /dev/xen/privcmd
	ln -s ../ptmx /dev/xen/evtchn
	judge mkdir -p /var/lib/xenstored /var/log/xen
	judge env LD_PRELOAD=/tmp/virq.so /usr/lib/xen-4.17/bin/oxenstored --no-domain-init --no-fork >/tmp/ox.log 2>&1 &
	for ((i = 0; i < 100; i++)); do
		judge xenstore-exists / 2>/dev/null && return
		sleep 0.05
	done
	cat /tmp/ox.log >&2
	return 1
}
# What libxl writes for a guest's disk, all at once: backend DOMAIN TARGET MODE.
backend() { judge xenstore-write "$B/$1/51712/params" "$2" "$B/$1/51712/mode" "$3" "$B/$1/51712/type" phy; }
block() { XENBUS_PATH=$B/$2/51712 XENBUS_BASE_PATH=backend block-sm "$1"; }
get() { judge xenstore-read "$B/$1/51712/$2"; }
# What is left below a backend of ours, or of the script protocol.
left() { judge xenstore-ls "$B/$1/51712" | sed 's/ = .*//' | grep -v -x -e params -e mode -e type | sort | paste -s -d' ' || true; }
# wrong STATUS DOMAIN PATTERN: add fails, and tells everybody why in the same line.
wrong() {
	local rc=0

	block add "$2" 2>/tmp/why || rc=$?
	[ $rc = "$1" ] && [ "$(wc -l </tmp/why)" = 1 ]
	# shellcheck disable=SC2053 # a pattern
	[[ $(cat /tmp/why) == $3 ]] || { cat /tmp/why >&2; return 1; }
	[ "$(get "$2" hotplug-error)" = "$(cat /tmp/why)" ] && [ "$(get "$2" hotplug-status)" = error ]
}
# The device of a disk, or null.
attached() { sm vdi show "$1" --json | sed -n 's/^ *"device": "\(.*\)",*/\1/p; s/^ *"attached": null.*/null/p'; }
