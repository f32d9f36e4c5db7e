#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# lvm.sh EVERY FIRST DEVICE: kill verbs on an lvm SR and its raw disks before some
# of their system calls, FIRST, FIRST + EVERY and so on, until one runs to its end.
# After each death the same verb, or the next one, must find all in order; lvm2
# says so too.  Runs in the lab, with dieat; status 0 and two lines for each verb.
set -u

every=$1 first=$2 device=$3
sr=6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
one=11111111-0000-4000-8000-000000000001
at=(--type lvm --dconf device="$device")
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
	vdi-create | sr-destroy) ;;
	*) sm vdi create one --sr deaths --uuid $one --size 4M --format raw >/dev/null || exit 1 ;;
	esac
	case $verb in
	vdi-detach | vdi-resize) sm vdi attach one >/dev/null || exit 1 ;;
	esac
}

run() {
	case $verb in
	sr-create) set -- sr create deaths --uuid $sr "${at[@]}" ;;
	sr-attach | sr-destroy) set -- sr "${verb#sr-}" deaths ;;
	vdi-create) set -- vdi create one --sr deaths --uuid $one --size 8M --format raw ;;
	vdi-resize) set -- vdi resize one 8M ;;
	*) set -- vdi "${verb#vdi-}" one ;;
	esac
	dieat "$n" "$(command -v sm)" "$@" >/dev/null 2>&1
}

# The same once more, or what it says is to be done.
after() {
	case $verb in
	sr-create)
		sm sr create deaths --uuid $sr "${at[@]}" >/dev/null 2>&1 ||
			sm sr attach $sr >/dev/null 2>&1 || must 0 sr introduce $sr "${at[@]}" --name deaths ;;
	sr-destroy)
		sm sr destroy $sr >/dev/null 2>&1 || sm sr forget $sr >/dev/null 2>&1
		must 0 sr create deaths --uuid $sr "${at[@]}" ;;
	sr-attach) must 0 sr attach deaths ;;
	vdi-resize) must 0 vdi resize one 8M ;;
	vdi-attach | vdi-detach) must "0 4" "${verb%-*}" "${verb#*-}" one ;;
	esac
	must 0 sr check $sr
	judge vgck VG_XenStorage-$sr || complain "vgck"
	must "0 4" vdi detach $one --sr $sr
	must "0 4" vdi delete $one --sr $sr
	must 0 sr destroy $sr
	[ -z "$(judge pvs --noheadings; find /dev/mapper -mindepth 1 ! -name control; ls -d /dev/VG_* 2>/dev/null)" ] ||
		complain "left: $(judge pvs --noheadings; ls /dev/mapper)"
}

for verb in ${4:-sr-create sr-destroy sr-attach vdi-create vdi-resize vdi-attach vdi-detach vdi-delete}; do
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
	echo "# sweep lvm ${verb//-/_} killed=$tried bad=$((bad - bad_before))"
done
[ $bad -eq 0 ]
