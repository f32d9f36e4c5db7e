#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# nfs.sh EVERY FIRST [VERB...]: disturb verbs on an nfs SR, with the children that mount
# and watch for them, at some of their system calls: points.sh, HOW from the environment.
# The same verb, or the next one, must find all in order, and nothing stays mounted or exported
# full.  Runs in the lab beside nfs/server.sh; two lines for each verb.
every=$1 first=$2 how=${HOW-} family=family:
# shellcheck source=tests/sweep/points.sh
. "$(dirname "$0")/points.sh"
sr=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
one=11111111-0000-4000-8000-000000000001
two=11111111-0000-4000-8000-000000000002
at=(--type nfs --dconf server=10.77.0.2 --dconf serverpath=/pool --dconf nfsversion=4.2)

before() {
	case $verb in
	sr-create) return ;;
	esac
	sm sr create deaths --uuid $sr "${at[@]}" >/dev/null || exit 1
	case $verb in
	sr-attach) sm sr detach deaths || exit 1 ;;
	sr-detach | sr-destroy | vdi-create) ;;
	cbt-*) sm vdi create one --sr deaths --uuid $one --size 4M --format vhd >/dev/null || exit 1 ;;
	*) sm vdi create one --sr deaths --uuid $one --size 4M --format raw >/dev/null || exit 1 ;;
	esac
	case $verb in
	vdi-detach | vdi-resize) sm vdi attach one >/dev/null || exit 1 ;;
	vdi-unlock) sm vdi lock one --owner x || exit 1 ;;
	cbt-disable | cbt-snapshot) sm cbt enable one || exit 1 ;;
	cbt-data-destroy) sm cbt enable one && sm vdi snapshot one two --uuid $two >/dev/null || exit 1 ;;
	esac
}

run() {
	case $verb in
	sr-create) set -- sr create deaths --uuid $sr "${at[@]}" ;;
	sr-*) set -- sr "${verb#sr-}" deaths ;;
	vdi-create) set -- vdi create one --sr deaths --uuid $one --size 8M --format raw ;;
	vdi-resize) set -- vdi resize one 8M ;;
	vdi-*lock) set -- vdi "${verb#vdi-}" one --owner x ;;
	cbt-snapshot) set -- vdi snapshot one two --uuid $two ;;
	cbt-data-destroy) set -- cbt data-destroy two ;;
	cbt-*) set -- cbt "${verb#cbt-}" one ;;
	*) set -- vdi "${verb#vdi-}" one ;;
	esac
	disturb "$(command -v sm)" "$@" >"$said" 2>&1
}

# qemu-img opens what is there; it knows no check of a VHD: 63.
judges() {
	local f status some=

	for f in "/mnt/exp/pool/$sr"/*.vhd; do
		[ -e "$f" ] || continue
		status=0
		judge qemu-img check -f vpc "$f" || status=$?
		[ $status -eq 63 ] || return 1
		some=1
	done
	[[ $verb != cbt-* || -n $some ]] || { echo "there is no VHD"; return 1; }
}

# The same once more, or what it says is to be done.
after() {
	case $verb in
	sr-create | sr-destroy)
		sm sr destroy $sr >/dev/null 2>&1 || sm sr forget $sr >/dev/null 2>&1
		sm sr create deaths --uuid $sr "${at[@]}" >/dev/null 2>&1 || must 0 sr introduce $sr "${at[@]}" --name deaths ;;
	sr-attach) must 0 sr attach deaths ;;
	sr-detach) must 0 sr detach deaths && must 0 sr attach deaths ;;
	vdi-create) must "0 1" vdi create one --sr deaths --uuid $one --size 8M --format raw ;;
	vdi-resize) must 0 vdi resize one 8M ;;
	# Whoever has died wanting it is proven dead; he may also have got it.
	vdi-lock) must "0 3" vdi lock one --owner x && must 0 vdi unlock one --owner x ;;
	vdi-unlock) [ -z "$(sm lock list --minimal)" ] || must 0 vdi unlock one --owner x ;;
	cbt-snapshot) must "0 1" vdi snapshot one two --uuid $two ;;
	cbt-data-destroy) must 0 cbt data-destroy two ;;
	cbt-*) must 0 cbt "${verb#cbt-}" one ;;
	vdi-attach | vdi-detach) must 0 vdi "${verb#*-}" one ;;
	esac
	must 0 sr check $sr
	[[ $verb != cbt-* ]] || must 0 cbt check $sr
	! every20 || judges >"$said" 2>&1 || complain "the judge: $(cat "$said")"
	must "0 4" vdi detach $one --sr $sr
	must "0 4" vdi delete $one --sr $sr
	[[ $verb != cbt-* ]] || { must "0 4" vdi delete $two --sr $sr && must 0 sr scan $sr; }
	must 0 sr destroy $sr
	[ -z "$(find /mnt/exp/pool -mindepth 1)" ] || complain "left: $(ls -A /mnt/exp/pool)"
}

shift 2
[ $# -gt 0 ] || set -- sr-create sr-destroy sr-attach sr-detach vdi-create vdi-resize vdi-attach vdi-detach vdi-delete vdi-lock vdi-unlock \
	cbt-enable cbt-disable cbt-snapshot cbt-data-destroy
sweep nfs '' "$@"
[ $bad -eq 0 ]
