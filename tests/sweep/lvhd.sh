#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# lvhd.sh EVERY FIRST DEVICE: kill verbs on VHD disks of an lvm SR before some of
# their system calls, FIRST, FIRST + EVERY and so on, until one runs to its end.
# After each death the next verb must find all in order: sr check has nothing to
# say, the disk is there with its old or new size, and when all disks are deleted
# no LV but MGT is left.  Runs in the lab, with dieat; status 0 and two lines for each verb.
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

# xapi COMMAND VDI ARG: what LVMSR is told for it.
xapi() {
	local member='<member><name>%s</name><value>%s</value></member>'

	# shellcheck disable=SC2059 # a format it is
	printf "<methodCall><methodName>$1</methodName><params><param><value><struct>$member$member$member$member$member</struct></value></param></params></methodCall>" \
		command "$1" args "<array><data><value>$3</value></data></array>" sr_uuid "$sr" vdi_uuid "$2" \
		device_config "<struct><member><name>device</name><value>$device</value></member></struct>"
}

before() {
	local format=vhd

	[ $verb != gc ] || format=raw
	sm vdi create one --sr deaths --uuid $one --size 4M --format $format >/dev/null || exit 1
	case $verb in
	gc*) sm vdi snapshot one two --uuid $two --force >/dev/null || exit 1 ;;
	delete | grow* | revert | compose) sm vdi snapshot one two --uuid $two >/dev/null || exit 1 ;;
	esac
	# Twice as large as its table was made for would need a journal: not with ours.
	case $verb in
	deflate) sm vdi resize one 40M >/dev/null || exit 1 ;;
	# A raw base, a node on it, the disk on that; and a base that is empty.
	gc) LVMSR "$(xapi vdi_compose $one $two)" | grep >/dev/null '<fault>' && exit 1 ;;
	gcempty) sm vdi delete two >/dev/null || exit 1 ;;
	compose) sm vdi delete two && sm vdi create two --sr deaths --uuid $two --size 4M >/dev/null || exit 1 ;;
	esac
}

run() {
	case $verb in
	create) set -- vdi create two --sr deaths --uuid $two --size 4M --format vhd ;;
	snapshot | deflate) set -- vdi snapshot one two --uuid $two ;;
	clone) set -- vdi clone one two --uuid $two ;;
	grow) set -- vdi resize one 6M ;;
	delete) set -- vdi delete two ;;
	gc*) set -- gc run deaths ;;
	revert) set -- "$(xapi vdi_revert $two $one)" ;;
	compose) set -- "$(xapi vdi_compose $one $two)" ;;
	esac
	case $verb in
	revert | compose) dieat "$n" "$(command -v LVMSR)" "$@" >/tmp/said 2>&1 || return
		! grep -q '<fault>' /tmp/said ;;
	*) dieat "$n" "$(command -v sm)" "$@" >/dev/null 2>&1 ;;
	esac
}

after() {
	local vdi size

	# Who is stood on is marked behind the write that counts: a person's verb, or its repetition, does that.
	[ $verb != compose ] || must 0 sr check deaths --repair
	must 0 sr check deaths
	if [[ $verb == gc* ]]; then
		must 0 gc run deaths
		vdi=$(sm vdi tree deaths --json | tr -d '\n ')
		[[ $vdi == *'"uuid":"'$one'"'*'"parent":null'*'"hidden":false'* && $vdi != *'"uuid":'*'"uuid":'* ]] || complain "not alone: $vdi"
	fi
	size=$(sm vdi show $one --sr deaths --json | tr -d '\n' | sed 's/.*"virtual_size": \([0-9]*\),.*/\1/')
	case $verb/$size in
	*/4194304 | grow/6291456 | deflate/41943040) ;;
	*) complain "the disk has $size bytes" ;;
	esac
	for vdi in $one $two; do
		must "0 4" vdi delete $vdi --sr deaths
	done
	vdi=$(sm vdi tree deaths --json | tr -d '\n ')
	[[ $vdi == *'"vdis":[]'* ]] || complain "left: $vdi"
	must 0 sr check deaths
}

for verb in create snapshot deflate clone grow delete revert compose gc gcempty; do
	tried=0 bad_before=$bad
	for ((n = first; ; n += every)); do
		before
		run
		status=$?
		[ $status -ne 137 ] || tried=$((tried + 1))
		after
		[ $status -eq 137 ] || break
	done
	[ $status -eq 0 ] || complain "it ended with $status: $(cat /tmp/said 2>/dev/null)"
	echo "# $verb: $n calls"
	echo "# sweep lvm vhd_$verb killed=$tried bad=$((bad - bad_before))"
done
sm sr destroy deaths || bad=1
[ $bad -eq 0 ]
