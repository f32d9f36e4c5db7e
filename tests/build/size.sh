#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every product configuration builds without a warning and keeps below its
# limit, in bytes of the stripped program.  size.sh O
. "$(dirname "$0")/../tap.bash"
O=$1

build() {
	make -s -C "$srctree" O="$O/$1" "$1_defconfig" &&
		make -s -C "$srctree" O="$O/$1" W=1 -j"$jobs" all "$O/$1/bin/smbox.stripped"
}

below() {
	local bytes

	bytes=$(stat -c %s "$O/$1/bin/smbox.stripped") || return
	[ "$bytes" -lt "$2" ] || { echo "$bytes bytes"; return 1; }
}

for limit in full:921600 dom0:614400 rescue:921600 tiny:131072; do
	c=${limit%:*} max=${limit#*:}
	ok "$c builds" build "$c"
	ok "$c is below $max bytes" below "$c" "$max"
	printf '# %-8s %8d bytes of %d\n' "$c" "$(stat -c %s "$O/$c/bin/smbox.stripped")" "$max"
done
ok "fault builds" build fault
tap_end
