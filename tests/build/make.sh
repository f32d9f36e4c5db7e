#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the Makefile promises to those who type make.  make.sh O
. "$(dirname "$0")/../tap.bash"
O=$1
rm -rf "$O/m" "$O/fresh" "$O/dest"
mkdir -p "$O"

mk() { make -C "$srctree" --no-print-directory O="$O/m" -j"$jobs" "$@"; }
says() {	# says PATTERN COMMAND...: its output has a line like that
	local out pattern=$1
	shift
	out=$("$@" 2>&1)
	grep -qE -- "$pattern" <<<"$out" || { echo "$out"; return 1; }
}
silent_on() {	# silent_on PATTERN COMMAND...: succeeds without such a line
	local out pattern=$1
	shift
	out=$("$@" 2>&1) && ! grep -E -- "$pattern" <<<"$out" || { echo "$out"; return 1; }
}

configures_first() {
	make -s -C "$srctree" O="$O/fresh" CFLAGS=-O0 -j"$jobs" &&
		grep -qx config_name=full "$O/fresh/auto.conf" && [ -x "$O/fresh/bin/smbox" ]
}
untouched() {	# the tree holds nothing newer than the stamp, but for this folder
	! find "$srctree" -path "$srctree/.git" -prune -o -path "$O" -prune -o -path "$(realpath "$O/..")" -prune -o \
		-type f -newer "$O/stamp" -print | grep .
}
linked() {
	local list

	list=$("$O/m/bin/smbox" --list) || return
	mk install DESTDIR="$O/dest" PREFIX=/usr && cmp "$O/m/bin/smbox.stripped" "$O/dest/usr/bin/smbox" &&
		for a in $list; do
			[ "$(readlink "$O/dest/usr/bin/$a")" = smbox ] && [ "$(readlink "$O/m/bin/$a")" = smbox ] || return
		done
}
refuses_clean() {
	mkdir -p "$O/precious" && touch "$O/precious/file"
	! make -C "$srctree" O="$O/precious" clean && [ -e "$O/precious/file" ]
}
poor() {	# poor TOOL...: a PATH without them
	rm -rf "$O/poor" && mkdir -p "$O/poor"
	find /usr/local/bin /usr/bin /bin -maxdepth 1 ! -type d 2>/dev/null | while read -r f; do
		ln -s "$f" "$O/poor/${f##*/}" 2>/dev/null
	done
	(cd "$O/poor" && rm -f "$@")
}
no_compiler() { PATH=$O/poor mk; }
no_headers() {
	rm -rf "$O/m/uapi" && mk "$O/m/uapi/.made" KERNEL_HEADERS="$O/nowhere"
}

touch "$O/stamp"
ok "plain make configures full first" configures_first
ok "goals that change the configuration go first, one at a time" mk tiny_defconfig all
ok "a second make does nothing" silent_on '^ +(CC|LD)' mk
ok "a change of CFLAGS compiles again" says 'CC +obj/lib/buf.o' mk CFLAGS=-DANOTHER
ok "... and once only" silent_on '^ +CC' mk CFLAGS=-DANOTHER
mk >/dev/null 2>&1
ok "a change of LDFLAGS links again" says '^ +LD' mk LDFLAGS=-Wl,--no-undefined
ok "... and compiles nothing" silent_on '^ +CC' mk LDFLAGS=-Wl,-O1
ok "another compiler compiles again" says 'CC +obj/lib/buf.o' mk CC=gcc
mk dom0_defconfig all >/dev/null 2>&1
ok "a change of configuration compiles only what asks for it" silent_on 'CC +obj/lib/buf.o' mk rescue_defconfig all
ok "the version names the configuration" grep -q 'SMBOX_CONFIG *"rescue"' "$O/m/include/version.h"
asks() {	# the sandbox: probe starts it; decoders and what only includes such a file are not compiled
	sed -i 's/^CONFIG_SECCOMP_SANDBOX=y/# CONFIG_SECCOMP_SANDBOX is not set/' "$O/m/.config" && mk >"$O/asks" &&
		grep 'CC *obj/sm/probe.o' "$O/asks" && ! grep 'CC *obj/\(lib/vhd\|sm/vdi.o\)' "$O/asks"
}
ok "... which are those whose files name it" asks
ok "a lost configuration compiles all" eval "rm '$O/m/include/autoconf.h' '$O/m/auto.conf' && says 'CC +obj/lib/err.o' mk && silent_on '^ +CC' mk"
ok "a changed configuration is called custom" bash -c "
	sed -i 's/^CONFIG_SR_FILE=y/# CONFIG_SR_FILE is not set/' '$O/m/.config' &&
	make -s -C '$srctree' O='$O/m' && grep 'SMBOX_CONFIG *\"custom\"' '$O/m/include/version.h'"
ok "V=1 shows commands" says '^musl-gcc .* -c -o .*buf\.o' mk CFLAGS=-DV V=1
ok "install makes the links that the program lists" linked
ok "unit tests in a configuration without them stop with a sentence" \
	says 'unit tests need CONFIG_UNIT_TESTS' mk unit
ok "AddressSanitizer with musl stops with a sentence" says 'needs glibc' mk SAN=address CC=musl-gcc
poor musl-gcc
ok "a missing compiler stops and names its package" says 'apt-get install musl-tools' no_compiler
ok "missing kernel headers stop and name their package" says 'apt-get install linux-libc-dev' no_headers
ok "help names each goal" bash -c "make -s -C '$srctree' help | grep >/dev/null savedefconfig"
ok "clean removes what was built" bash -c "make -s -C '$srctree' O='$O/m' clean && [ ! -e '$O/m' ]"
ok "clean leaves a folder that is not ours" refuses_clean
ok "the source tree was only read" untouched
tap_end
