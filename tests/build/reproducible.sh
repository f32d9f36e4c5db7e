#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The same sources give the same program: in another folder, from a tree at
# another path, at another time, in another zone and language.
# reproducible.sh O [BUILT]: BUILT is a folder where full is built already.
. "$(dirname "$0")/../tap.bash"
O=$1
here=${2:-$O/here}
there=$O/there/a/longer/path

first() {
	make -s -C "$srctree" O="$here" full_defconfig &&
		make -s -C "$srctree" O="$here" -j"$jobs" all "$here/bin/smbox.stripped"
}

second() {
	local commit

	commit=$(sed -n 's/.*SMBOX_COMMIT *"\(.*\)"/\1/p' "$here/include/version.h")
	rm -rf "$O/there" && mkdir -p "$there/src" &&
		tar -C "$srctree" -c Makefile Kconfig configs arch lib drivers sm | tar -C "$there/src" -xm &&
		cd "$there/src" && umask 077 &&
		LC_ALL=C.UTF-8 TZ=Asia/Tokyo make -s O=../out -j"$jobs" COMMIT="$commit" \
			all "$(realpath -m ../out)/bin/smbox.stripped"
}

ok "full builds" first
ok "full builds elsewhere" second
ok "both programs are the same" cmp "$here/bin/smbox.stripped" "$there/out/bin/smbox.stripped"
ok "... and so is their debug information" cmp "$here/bin/smbox" "$there/out/bin/smbox"
ok "no path of this machine is inside" bash -c "! strings -a '$here/bin/smbox' | grep -F '$srctree'"
tap_end
