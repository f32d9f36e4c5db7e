#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Run kconfig-conf and believe it only when it said nothing on stderr.
#
#	kconfig.sh SRCTREE O defconfig FILE	.config from FILE
#	kconfig.sh SRCTREE O olddefconfig	.config brought up to date
#	kconfig.sh SRCTREE O savedefconfig	O/defconfig: what differs from the defaults
#	kconfig.sh SRCTREE O menuconfig		edit .config
#	kconfig.sh SRCTREE O allnoconfig | allyesconfig	(KCONFIG_ALLCONFIG=FILE as in Linux)
#	kconfig.sh SRCTREE O sync		.config -> auto.conf, include/autoconf.h
#
# Version 4.11 of the tool exits 0 on a syntax error and leaves an old .config
# where it was, so each run writes a new file, which replaces .config only
# when all is well.
set -eu
srctree=$1 O=$2 mode=$3
export srctree KCONFIG_CONFIG="$O/.config.new"
mkdir -p "$O/include"
trap 'rm -f "$O/.config.new" "$O/.config.new.old" "$O/.kconfig.err"' EXIT

die() {
	printf 'kconfig: %s\n' "$*" >&2
	exit 1
}

# conf OPTION...: the new configuration is in $KCONFIG_CONFIG, or we stop.
conf() {
	command -v kconfig-conf >/dev/null ||
		die "kconfig-conf is missing: apt-get install kconfig-frontends-nox (or: make deps-install)"
	status=0
	(cd "$O" && kconfig-conf "$@" "$srctree/Kconfig" </dev/null >/dev/null 2>.kconfig.err) || status=$?
	if [ $status -ne 0 ] || [ -s "$O/.kconfig.err" ]; then
		sed "s|^$srctree/||; s|^|  |" "$O/.kconfig.err" >&2
		die "mend the Kconfig or configuration file named above; .config was left as it is"
	fi
}

# A line that had no effect names a symbol that is gone, or one whose
# dependencies or choice are not met.
granted() {
	lost=$(grep -E '^(CONFIG_|# CONFIG_)' "$1" | grep -vxFf "$KCONFIG_CONFIG") || return 0
	die "$1 asks for $(echo $lost) and does not get it:" \
		"no such symbol, or a dependency or choice is not met"
}

# The defconfig that .config equals, without prose, or "custom".
name() {
	for f in "$srctree"/configs/full_defconfig "$srctree"/configs/*_defconfig; do
		if grep -E '^(CONFIG_|# CONFIG_)' "$f" | cmp -s - "$O/.defconfig"; then
			basename "$f" _defconfig
			return
		fi
	done
	echo custom
}

keep() { cmp -s "$1" "$2" || cp "$1" "$2"; }

# stamp NEW: in include/config a file for each option there is, newer than what was compiled
# before the option got the value it has in NEW.  What asks for an option depends on its
# file (asks.awk), and on .symbols, as a name may become an option.
stamp() {
	mkdir -p "$O/include/config"
	sed -n 's/^config \([A-Z0-9_]*\)$/CONFIG_\1/p' "$srctree/Kconfig" "$srctree"/*/Kconfig | sort -u >"$O/include/config/.new"
	(cd "$O/include/config"
	{
		while read -r option; do [ -e "$option" ] || echo "$option"; done <.new
		if [ -e ../autoconf.h ]; then
			diff ../autoconf.h "$1" | sed -n 's/^[<>] #define \(CONFIG_[A-Z0-9_]*\) .*/\1/p'
		else
			cat .new
		fi
	} | xargs -r touch
	keep .new .symbols && rm .new)
}

case $mode in
defconfig)
	[ -f "$4" ] || die "there is no $4; known: $(cd "$srctree/configs" && echo ./*_defconfig | sed 's|\./||g')"
	conf --defconfig="$4"
	granted "$4"
	mv "$KCONFIG_CONFIG" "$O/.config" ;;
allnoconfig | allyesconfig)
	conf --$mode
	[ -z "${KCONFIG_ALLCONFIG:-}" ] || granted "$KCONFIG_ALLCONFIG"
	mv "$KCONFIG_CONFIG" "$O/.config" ;;
olddefconfig | sync)
	cp "$O/.config" "$KCONFIG_CONFIG"
	conf --olddefconfig
	keep "$KCONFIG_CONFIG" "$O/.config"
	[ $mode = sync ] || exit 0
	conf --savedefconfig=.defconfig
	{ sed -n '/^CONFIG_/p' "$O/.config"; echo "config_name=$(name)"; } >"$O/auto.conf.new"
	sed -n 's/^\(CONFIG_[^=]*\)=y$/#define \1 1/p; t
		s/^\(CONFIG_[^=]*\)=\(.*\)$/#define \1 \2/p' "$O/.config" >"$KCONFIG_CONFIG"
	stamp "$KCONFIG_CONFIG"
	keep "$KCONFIG_CONFIG" "$O/include/autoconf.h"
	mv "$O/auto.conf.new" "$O/auto.conf" ;;
savedefconfig)
	cp "$O/.config" "$KCONFIG_CONFIG"
	conf --savedefconfig=defconfig ;;
menuconfig)
	command -v kconfig-mconf >/dev/null ||
		die "kconfig-mconf is missing: apt-get install kconfig-frontends-nox (or: make deps-install)"
	cd "$O" && KCONFIG_CONFIG=.config kconfig-mconf "$srctree/Kconfig" ;;
*)
	die "no such mode: $mode" ;;
esac
