#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# nfs.sh EVERY FIRST [VERB...]: kill verbs on an nfs SR, with the children that mount
# and watch for them, before some of their system calls, FIRST, FIRST + EVERY and so
# on, until one runs to its end.  After each death the same verb, or the next one, must
# find all in order, and nothing stays mounted, locked or exported full.  Runs in the
# lab beside nfs/server.sh, with dieall; status 0 and two lines for each verb.
set -u

every=$1 first=$2
sr=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
one=11111111-0000-4000-8000-000000000001
at=(--type nfs --dconf server=10.77.0.2 --dconf serverpath=/pool --dconf nfsversion=4.2)
bad=0

complain() {
	echo "$verb, call $n: $*"
	bad=$((bad + 1))
}

# must STATUSES CMD…
must() {
	local want=$1 said status

	shift
	said=$(sm "$@" 2>&1)
	status=$?
	case " $want " in
	*" $status "*) ;;
	*) complain "sm $*: status $status: $said" ;;
	esac
}

before() {
	case $verb in
	sr-create) return ;;
	esac
	sm sr create deaths --uuid $sr "${at[@]}" >/dev/null || exit 1
	case $verb in
	sr-attach) sm sr detach deaths || exit 1 ;;
	sr-detach | sr-destroy | vdi-create) ;;
	*) sm vdi create one --sr deaths --uuid $one --size 4M --format raw >/dev/null || exit 1 ;;
	esac
	case $verb in
	vdi-detach | vdi-resize) sm vdi attach one >/dev/null || exit 1 ;;
	vdi-unlock) sm vdi lock one --owner x || exit 1 ;;
	esac
}

run() {
	case $verb in
	sr-create) set -- sr create deaths --uuid $sr "${at[@]}" ;;
	sr-*) set -- sr "${verb#sr-}" deaths ;;
	vdi-create) set -- vdi create one --sr deaths --uuid $one --size 8M --format raw ;;
	vdi-resize) set -- vdi resize one 8M ;;
	vdi-*lock) set -- vdi "${verb#vdi-}" one --owner x ;;
	*) set -- vdi "${verb#vdi-}" one ;;
	esac
	dieall "$n" "$(command -v sm)" "$@" >/dev/null 2>&1
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
	vdi-attach | vdi-detach) must 0 vdi "${verb#*-}" one ;;
	esac
	must 0 sr check $sr
	must "0 4" vdi detach $one --sr $sr
	must "0 4" vdi delete $one --sr $sr
	must 0 sr destroy $sr
	[ -z "$(find /run/sr-mount /mnt/exp/pool /dev/mapper -mindepth 1 ! -name control
		ls /sys/block/loop*/loop/backing_file 2>/dev/null; grep sr-mount /proc/mounts)" ] ||
		complain "left: $(ls -A /run/sr-mount /mnt/exp/pool /dev/mapper; grep sr-mount /proc/mounts)"
}

shift 2
[ $# -gt 0 ] || set -- sr-create sr-destroy sr-attach sr-detach vdi-create vdi-resize vdi-attach vdi-detach vdi-delete vdi-lock vdi-unlock
for verb; do
	tried=0 bad_before=$bad
	for ((n = first; ; n += every)); do
		before
		run
		status=$?
		[ $status -ne 137 ] || tried=$((tried + 1))
		after
		[ $status -eq 137 ] || break
		[ $bad -lt 10 ] || break
	done
	[ $status -eq 0 ] || complain "it ended with $status"
	echo "# $verb: $n calls"
	echo "# sweep nfs ${verb//-/_} killed=$tried bad=$((bad - bad_before))"
done
[ $bad -eq 0 ]
