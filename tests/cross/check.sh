#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The aarch64 build, and its unit tests under qemu-user.  check.sh O
. "$(dirname "$0")/../tap.bash"
O=$1
"$srctree/tests/deps.sh" install build cross || exit
mkdir -p "$O"
arch=aarch64
mk() { make -s -C "$srctree" O="$O" CROSS_COMPILE=$arch-linux-gnu- -j"$jobs" "$@"; }

static() { file "$O/bin/smbox" | grep >/dev/null 'ARM aarch64.*statically linked'; }

same_applets() {
	[ "$(qemu-$arch-static "$O/bin/smbox" --list)" = "$(cat "$O/applets")" ] &&
		[ "$(find "$O/dest/usr/local/bin" -type l -printf '%f\n' | sort)" = "$(sort "$O/applets")" ]
}

ok "full builds for $arch" mk W=1 full_defconfig all
ok "the program is static, for $arch" static
ok "install finds the applets without running the program" mk install DESTDIR="$O/dest"
ok "... and they are those it lists" same_applets
ok "the unit tests build" mk W=1 "$O/bin/unit"
"qemu-$arch-static" "$O/bin/unit" >"$O/unit.tap"
unit=$?
sed -n 's/^ok [0-9]* /ok /p; s/^not ok [0-9]* /not ok /p; /^#/p' "$O/unit.tap"
tap_n=$((tap_n + $(grep -cE '^(not )?ok' "$O/unit.tap")))
tap_end $unit
