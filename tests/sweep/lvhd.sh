#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# lvhd.sh EVERY FIRST DEVICE: kill verbs on VHD disks of an lvm SR before some of
# their system calls, FIRST, FIRST + EVERY and so on, until one runs to its end.
# After each death the next verb must find all in order: sr check has nothing to
# say, the disk is there with its old or new size, and when all disks are deleted
# no LV but MGT is left.  Runs in the lab, with dieat; status 0 and a line for each verb.
set -u

every=$1 first=$2 device=$3
one=11111111-0000-4000-8000-000000000001
two=11111111-0000-4000-8000-000000000002
sr=$(sm sr create deaths --type lvm --dconf device="$device") || exit 1
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
	sm vdi create one --sr deaths --uuid $one --size 4M --format vhd >/dev/null || exit 1
	case $verb in
	delete | grow*) sm vdi snapshot one two --uuid $two >/dev/null || exit 1 ;;
	esac
	# Twice as large as its table was made for would need a journal: not with ours.
	case $verb in
	deflate) sm vdi resize one 40M >/dev/null || exit 1 ;;
	esac
}

run() {
	case $verb in
	create) set -- vdi create two --sr deaths --uuid $two --size 4M --format vhd ;;
	snapshot | deflate) set -- vdi snapshot one two --uuid $two ;;
	clone) set -- vdi clone one two --uuid $two ;;
	grow) set -- vdi resize one 6M ;;
	delete) set -- vdi delete two ;;
	esac
	dieat "$n" "$(command -v sm)" "$@" >/dev/null 2>&1
}

after() {
	local vdi size

	must 0 sr check deaths
	size=$(sm vdi show $one --sr deaths --json | tr -d '\n' | sed 's/.*"virtual_size": \([0-9]*\),.*/\1/')
	case $verb/$size in
	*/4194304 | grow/6291456 | deflate/41943040) ;;
	*) complain "the disk has $size bytes" ;;
	esac
	for vdi in $two $one; do
		must "0 4" vdi delete $vdi --sr deaths
	done
	vdi=$(sm vdi tree deaths --json | tr -d '\n ')
	[[ $vdi == *'"vdis":[]'* ]] || complain "left: $vdi"
	must 0 sr check deaths
}

for verb in create snapshot deflate clone grow delete; do
	for ((n = first; ; n += every)); do
		before
		run
		status=$?
		after
		[ $status -eq 137 ] || break
	done
	[ $status -eq 0 ] || complain "it ended with $status"
	echo "# $verb: $n calls"
done
sm sr destroy deaths || bad=1
[ $bad -eq 0 ]
