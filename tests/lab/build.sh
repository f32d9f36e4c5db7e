#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# build.sh DIR: make the lab in DIR, or bring it up to date (in 10 ms if it is).
#
#   DIR/bin     the lab's programs for the host: keeper, ask, leash, hub; registers.so for linux.uml
#   DIR/root    the guest's root directory: busybox, bash, guestd, judge …
#
# Needs musl-gcc, busybox-static, bash-static, user-mode-linux.

set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -eq 1 ] || { echo "usage: build.sh DIR" >&2; exit 2; }
mkdir -p "$1"
lab=$(cd "$1" && pwd)

# Several test files may start at once.
exec 9>"$lab/.lock"
flock 9

if [ -e "$lab/.made" ] && [ -z "$(find "$here" /usr/bin/linux.uml -newer "$lab/.made" -print -quit)" ]; then
	exit 0
fi

uml=$(command -v linux.uml) || { echo "build.sh: no linux.uml (package user-mode-linux)" >&2; exit 1; }
version=$("$uml" --version)
modules=/usr/lib/uml/modules/$version
busybox=$(command -v busybox)
bash=$(command -v bash-static) || { echo "build.sh: no bash-static" >&2; exit 1; }

cc() {
	musl-gcc -static -Os -s -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -o "$@"
}

# The arguments are paths below the root.
root_dirs() {
	local d

	for d in "$@"; do
		mkdir -p "$root/$d"
	done
}

host_programs() {
	mkdir -p "$lab/bin"
	cc "$lab/bin/keeper" "$here"/{keeper,host}.c
	cc "$lab/bin/ask" "$here"/{ask,host}.c
	cc "$lab/bin/leash" "$here"/{leash,host}.c
	cc "$lab/bin/hub" "$here"/{hub,host}.c
	gcc -shared -fPIC -O2 -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -o "$lab/bin/registers.so" "$here/registers.c"
}

guest_programs() {
	local applet

	cc "$root/init" "$here/init.c"
	cc "$root/bin/guestd" "$here/guestd.c"
	cc "$root/bin/insmods" "$here/insmods.c"
	cc "$root/bin/judge" "$here/judge.c"
	cp "$busybox" "$root/bin/busybox"
	cp "$bash" "$root/bin/bash"
	# busybox's modprobe would look for modules where there are none.
	for applet in $("$busybox" --list); do
		[ -e "$root/bin/$applet" ] || [ "$applet" = modprobe ] ||
			ln -s busybox "$root/bin/$applet"
	done
	cp "$here"/guest/etc/* "$root/lib/lab/etc/"
	cp "$here"/guest/{judge-root,lvmlocal.conf} "$root/lib/lab/"
	chmod +x "$root/lib/lab/judge-root"
}

# modules.dep has "FILE: needed…" with what must be loaded first written last.
module_list() {
	echo "/host$modules"
	awk -F: '{
		name = $1; sub(/.*\//, "", name); sub(/\.ko.*/, "", name)
		n = split($2, need, " "); files = ""
		for (i = n; i > 0; i--) files = files " " need[i]
		print name files " " $1
	}' "$modules/modules.dep"
}

root=$lab/root.new
rm -rf "$root"
root_dirs bin lib/lab/etc lib/modules dev proc sys tmp run etc var root home mnt opt srv \
	host share judge sm usr/lib/uml lab
ln -s bin "$root/sbin"
ln -s ../bin "$root/usr/bin"
ln -s ../bin "$root/usr/sbin"
ln -s "/host$modules" "$root/lib/modules/$version"
host_programs
guest_programs
module_list >"$root/lib/lab/modules"

rm -rf "$lab/root"
mv "$root" "$lab/root"
touch "$lab/.made"
