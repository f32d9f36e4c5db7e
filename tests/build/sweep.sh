#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every option alone off, every option alone on, all off, all on: each builds
# without a warning, and the program starts.  sweep.sh O
#
# Two build folders serve all configurations, one of those with nearly everything and
# one of those with nearly nothing: what decides are lists and IS_ENABLED(), so a
# step compiles the few files that ask, and links.  The options that change compiler
# flags stay as they are in them; "all off" and "all on" have folders of their own and
# turn those too.
. "$(dirname "$0")/../tap.bash"
O=$1
mkdir -p "$O"
flags=(STATIC OPTIMIZE_SPEED OPTIMIZE_SIZE STACK_PROTECTOR)
steady=$'CONFIG_STATIC=y\nCONFIG_STACK_PROTECTOR=y\nCONFIG_OPTIMIZE_SPEED=y'

# build FOLDER [JOBS]: W=1, and -O0 because we look for what does not fit together.
build() {
	make -s -C "$srctree" O="$O/$1" CFLAGS=-O0 W=1 -j"${2:-1}"
}

# configure FOLDER allnoconfig|allyesconfig [LINE...]
configure() {
	local folder=$1 mode=$2

	shift 2
	mkdir -p "$O/$folder"
	printf '%s\n' "$@" >"$O/$folder/wish"
	KCONFIG_ALLCONFIG=$O/$folder/wish "$srctree/configs/kconfig.sh" "$srctree" "$O/$folder" "$mode"
}

# "NAME DEPENDENCY..." of each option that a user can turn on or off.  For a
# dependency without a prompt stands the option that selects it.
options() {
	(cd "$srctree" && awk '
	/^[[:space:]]*(menu|endmenu|choice|endchoice|source)/ { name = "" }
	/^[[:space:]]*config / { name = $2 }
	name && /^[[:space:]]+bool[[:space:]]+"/ { order[++n] = name; visible[name] = 1 }
	name && /^[[:space:]]+select / && visible[name] { by[$2] = by[$2] ? by[$2] : name }
	name && /^[[:space:]]+depends on / { gsub(/[^A-Z0-9_]+/, " "); deps[name] = deps[name] $0 }
	END {
		for (i = 1; i <= n; i++) {
			line = order[i]
			split("", seen)
			add(order[i])
			print line
		}
	}
	function add(of,  d, k, m, need) {	# and what those depend on
		m = split(deps[of], d, " ")
		for (k = 1; k <= m; k++) {
			need = visible[d[k]] ? d[k] : by[d[k]]
			if (need == "" || need in seen)
				continue
			seen[need]
			line = line " " need
			add(need)
		}
	}' Kconfig */Kconfig) | grep -vwFf <(printf '%s\n' "${flags[@]}")
}

alone_off() {
	configure most allyesconfig "$steady" "# CONFIG_$1 is not set" && build most
}

alone_on() {	# alone_on NAME DEPENDENCY...
	configure least allnoconfig "$steady" $(printf 'CONFIG_%s=y ' "$@") && build least
}

all_off() { configure none allnoconfig && build none "$jobs"; }
all_on() { configure every allyesconfig && build every "$jobs"; }

each_off() {
	while read -r name _; do
		ok "$name alone off" alone_off "$name"
	done
}

each_on() {
	while read -r name deps; do
		# shellcheck disable=SC2086 # a list of words
		ok "$name alone on${deps:+, with $deps}" alone_on $name $deps
	done
}

# Side by side, as most of a step is one process.
options >"$O/options"
(tap_n=0 tap_bad=0; each_on <"$O/options"; tap_end) >"$O/on" &
ok "all off" all_off
ok "all on" all_on
each_off <"$O/options"
wait $! || tap_bad=1
cat "$O/on"
tap_end
