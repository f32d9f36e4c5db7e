#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The Kconfig files keep the rules of the house.  kconfig.sh O
. "$(dirname "$0")/../tap.bash"
O=$1
mkdir -p "$O"
cd "$srctree" || exit
kconfigs=(Kconfig */Kconfig)

# Every symbol as "NAME visible|hidden help|- file:line selected,selected".
symbols() {
	awk '
	function flush() {
		if (name) print name, prompt ? "visible" : "hidden", help ? "help" : "-", at, selects
		name = ""
	}
	/^[[:space:]]*(menu|config|choice)[[:space:]]/ || /^[[:space:]]*(endmenu|choice|endchoice|source)/ { flush() }
	/^[[:space:]]*config / {
		name = $2; prompt = help = 0; selects = ""; at = FILENAME ":" FNR; next
	}
	name && /^[[:space:]]+(bool|string|int|hex|tristate|prompt)[[:space:]]+"/ { prompt = 1 }
	name && /^[[:space:]]+help/ { help = 1; next }
	name && !help && /^[[:space:]]+select / { selects = selects "," $2 }
	END { flush() }' "${kconfigs[@]}"
}

help_for_each() {
	! symbols | grep ' visible - ' || { echo "these have a prompt and no help"; return 1; }
}

selects_hidden_only() {
	local visible bad=0

	visible=$(symbols | awk '$2 == "visible" { print $1 }')
	while read -r name _ _ at selects; do
		for s in ${selects//,/ }; do
			if grep -qx "$s" <<<"$visible"; then
				echo "$at: $name selects $s, which a user can name: use depends on"; bad=1
			elif ! symbols | grep >/dev/null "^$s hidden"; then
				echo "$at: $name selects $s, which does not exist"; bad=1
			fi
		done
	done < <(symbols)
	return $bad
}

menus_in_order() {
	# shellcheck disable=SC2046 # names of files, without blanks
	diff <(sed -n 's/^menu "\(.*\)"/\1/p' Kconfig $(sed -n 's/^source "\(.*\)"/\1/p' Kconfig)) \
		<(printf '%s\n' "Front ends" "Storage repositories" "Image formats" Datapaths Build Testing |
			grep -xFf <(sed -n 's/^menu "\(.*\)"/\1/p' "${kconfigs[@]}"))
}

# Lists and C name only symbols that exist; C asks by IS_ENABLED().
uses_known() {
	local known bad=0

	known=$(symbols | sed 's/ .*//; s/^/CONFIG_/')
	for s in $(grep -rhoP --include=Makefile --include='*.[ch]' --include='*.bats' \
		'(?<![A-Z_])CONFIG_[A-Z0-9_]+' Makefile arch lib drivers sm tests | sort -u); do
		case $s in CONFIG_TEST_* | CONFIG_X | CONFIG_FMT_VHD | CONFIG_FMT_QCOW2) continue ;; esac	# examples
		grep -qx "$s" <<<"$known" || { echo "$s is in no Kconfig file"; bad=1; }
	done
	grep -rnE --include='*.[ch]' '(ifn?def|defined[ (]+)[[:space:]]*CONFIG_' arch lib drivers sm &&
		{ echo "use IS_ENABLED() of lib/kconfig.h"; bad=1; }
	return $bad
}

loads() {
	"$srctree/configs/kconfig.sh" "$srctree" "$O/k" defconfig "$srctree/configs/$1"
}

round_trip() {
	loads "$1" && "$srctree/configs/kconfig.sh" "$srctree" "$O/k" savedefconfig &&
		diff <(grep -E '^(# )?CONFIG_' "configs/$1") "$O/k/defconfig"
}

named() {
	loads "$1_defconfig" && "$srctree/configs/kconfig.sh" "$srctree" "$O/k" sync &&
		grep -qx "config_name=$1" "$O/k/auto.conf"
}

# stops SENTENCE COMMAND...: it fails, says so, and leaves .config as it was.
stops() {
	local sentence=$1 out before

	shift
	before=$(cksum <"$O/k/.config")
	if out=$("$@" 2>&1); then
		echo "no failure: $out"
		return 1
	fi
	grep -qF -- "$sentence" <<<"$out" || { echo "said: $out"; return 1; }
	[ "$before" = "$(cksum <"$O/k/.config")" ]
}

# broken EDIT: a copy of the Kconfig files with one mistake.
broken() {
	rm -rf "$O/t"
	mkdir -p "$O/t"
	for f in "${kconfigs[@]}" configs/kconfig.sh configs/*_defconfig; do
		install -D "$f" "$O/t/$f"
	done
	printf '%s\n' "$1" >>"$O/t/${2:-lib/Kconfig}"
}
conf_t() { "$O/t/configs/kconfig.sh" "$O/t" "$O/k" "$@"; }

without_tool() {
	mkdir -p "$O/nopath"
	for t in sh sed grep cp cmp mkdir rm mv cat; do ln -sf "$(command -v $t)" "$O/nopath/$t"; done
	PATH=$O/nopath "$srctree/configs/kconfig.sh" "$srctree" "$O/k" olddefconfig
}

ok "every symbol with a prompt has help" help_for_each
ok "only symbols without a prompt are selected" selects_hidden_only
ok "the menus come in the order of the house" menus_in_order
ok "lists and sources name symbols that exist" uses_known
for f in configs/*_defconfig; do
	f=${f#configs/}
	ok "$f loads without a warning, and each of its lines counts" loads "$f"
	ok "$f is what savedefconfig writes" round_trip "$f"
done
for c in full dom0 rescue tiny; do
	ok "$c is known by its name" named $c
done
broken 'config OOPS
	boool "no such type"'
ok "a syntax error stops with the file and a sentence" stops "lib/Kconfig" conf_t sync
ok "... which says what to mend" stops "mend the Kconfig" conf_t sync
broken 'config NEVER
	bool "never"
	depends on !FRONT_CLI
	help
	  For the test.'
echo CONFIG_NEVER=y >>"$O/t/configs/full_defconfig"
ok "a dependency that is not met stops" stops "asks for CONFIG_NEVER=y" \
	conf_t defconfig "$O/t/configs/full_defconfig"
broken 'CONFIG_OPTIMIZE_SIZE=y
CONFIG_OPTIMIZE_SPEED=y' configs/full_defconfig
ok "a choice that is not met stops" stops "configs/full_defconfig" \
	conf_t defconfig "$O/t/configs/full_defconfig"
broken 'config FORCED
	bool
	depends on NOWHERE
config FORCES
	bool "forces"
	default y
	select FORCED
	help
	  For the test.'
ok "a select against a dependency stops" stops "unmet direct dependencies" conf_t sync
ok "an unknown defconfig stops and names the known ones" stops "known: dom0_defconfig" loads none_defconfig
ok "a missing kconfig-conf stops and names its package" stops "kconfig-frontends-nox" without_tool
tap_end
