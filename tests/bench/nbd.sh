#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# nbd.sh BUILD: a VHD with all its blocks, served by us and by qemu-nbd, and the raw
# disk as the limit; fio, whose requests are in the same order for each.  RUNS times in
# turns, to and fro, for SECS seconds; shown are medians.  What counts is the median of
# the ratios of neighbours: on a machine that others use as well each pair has the same of it.
#
# First behind the kernel's nbd in a guest, where a system call costs a hundred times
# what it does on a processor of its own: only the pairs count.  Then on a socket of
# this host, with fio's own client, where there is no raw disk.  At last what goes without
# the server: a VHD of full blocks, and one that is only read, beside a raw disk of the
# same SR; there 0.95 is wanted.  PARTS chooses.

. "$(dirname "$0")/common.bash"
# shellcheck source=tests/helpers/lab.bash
. "$bench/../helpers/lab.bash"
rounds=${RUNS:-7} secs=${SECS:-1} mib=${MIB:-256}

# Patterns: what of fio's, how many requests at once, how many times as fast as qemu-nbd.
patterns='read 128k 1 1
read 128k 32 1
write 128k 1 1
write 128k 32 1
randread 4k 1 1
randread 4k 32 1
randwrite 4k 1 1.5
randwrite 4k 32 1.5'

fio_args() { echo "--name=x --minimal --rw=$1 --bs=$2 --iodepth=$3 --size=${mib}M --runtime=$secs --time_based --randrepeat=1 --norandommap"; }
# KiB/s of one run, in the seventh field for reads, in the 48th for writes.
speed() { awk -F';' '/^3;fio/ { print $7 + $48 }'; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
x() { awk "BEGIN { printf \"%.2f\", $1 / ($2 > 0 ? $2 : 1) }"; }

# ratios OURS THEIRS: line by line.
ratios() { paste "$1" "$2" | awk '{ printf "%.3f\n", $1 / ($2 > 0 ? $2 : 1) }'; }

# table WHERE RUN NAME…: RUN NAME RW BS DEPTH prints KiB/s; the first is ours, the second qemu's.
table() {
	local run=$2 rw bs depth want name i mark order

	printf '\n%-34s' "$1, MiB/s"
	printf ' %9s' "${@:3}" times; printf ' %6s\n' wanted
	while read -r rw bs depth want <&3; do
		for ((i = 0; i < rounds; i++)); do
			order=$(printf '%s\n' "${@:3}")
			[ $((i % 2)) -eq 0 ] || order=$(tac <<<"$order")
			for name in $order; do
				"$run" "$name" "$rw" "$bs" "$depth" >>"$tmp/speed.$name"
			done
		done
		printf '%-34s' "$rw $bs, depth $depth"
		for name in "${@:3}"; do
			printf ' %9s' "$(x "$(median <"$tmp/speed.$name")" 1024)"
		done
		i=$(ratios "$tmp/speed.$3" "$tmp/speed.$4" | median) mark=
		rm "$tmp"/speed.*
		awk "BEGIN { exit !($i < $want) }" && mark=' <' missed=$((missed + 1))
		printf ' %9.2f %6s%s\n' "$i" "$want" "$mark"
	done 3<<<"$patterns"
}

# --- behind the kernel ---------------------------------------------------------------

# shellcheck disable=SC2317 # by name
in_guest() {
	guest_ok -t 120 "judge fio $(fio_args "$2" "$3" "$4") --filename=/dev/$1 --direct=1 --ioengine=libaio" >/dev/null
	speed <<<"$output"
}

behind_kernel() {
	lab_start --mem 512M --disk a:$((mib * 3 + 256))M --disk b:${mib}M >/dev/null
	guest_ok -t 300 "set -e; judge mkfs.ext4 -qF /dev/ubda; mount /dev/ubda /srv; mkdir /srv/d
		sm sr create disks --type file --dconf location=/srv/d >/dev/null
		sm vdi create v --sr disks --size ${mib}M --format vhd >/dev/null
		mount --bind /srv /mnt
		judge qemu-img create -q -f vpc -o force_size=on /mnt/q.vpc ${mib}M
		judge qemu-nbd -c /dev/nbd3 -f vpc --cache=none --aio=native --discard=unmap /mnt/q.vpc
		d=\$(sm vdi attach v); ln -s \$d /dev/ours; ln -s nbd3 /dev/qemu; ln -s ubdb /dev/raw
		for d in ours qemu raw; do dd if=/dev/urandom of=/dev/\$d bs=1M count=$mib oflag=direct status=none; done" >/dev/null
	table 'Behind the kernel, in a guest' in_guest ours qemu raw
	lab_stop
}

# --- without a server -----------------------------------------------------------------

# as_fast PATTERN: those lines, for 0.95 times the speed.
as_fast() { sed -n "/^$1/s/[^ ]*\$/0.95/p" <<<"$patterns"; }

past_server() {
	local all=$patterns

	lab_start --mem 512M --disk a:$((mib * 2 + 256))M >/dev/null
	guest_ok -t 300 "set -e; sm sr create disks --type lvm --dconf device=/dev/ubda >/dev/null
		for f in vhd raw; do
			sm vdi create \$f --sr disks --size ${mib}M --format \$f >/dev/null; d=\$(sm vdi attach \$f); ln -s \$d /dev/\$f
			dd if=/dev/urandom of=\$d bs=1M count=$mib oflag=direct conv=fsync status=none
		done
		until judge dmsetup table \$(readlink /dev/vhd)-full | awk 'END { exit NR < $mib / 2 }'; do sleep 0.2; done" >/dev/null
	patterns=$(as_fast ''); table 'Full blocks, in a guest' in_guest vhd raw
	patterns=$all
	guest_ok 'sm vdi detach vhd; sm vdi attach vhd --read-only' >/dev/null
	patterns=$(as_fast '[a-z]*read'); table 'Only read, in a guest' in_guest vhd raw
	patterns=$all
	lab_stop
}

# --- on a socket ------------------------------------------------------------------------

# shellcheck disable=SC2317 # by name
on_socket() { fio $(fio_args "$2" "$3" "$4") --ioengine=nbd --uri="nbd+unix:///?socket=$tmp/$1" | speed; }

from_socket() {
	unshare -m bash -c '
		cd "$1"; mkdir store
		sm sr create disks --type file --dconf location="$1/store" >/dev/null
		sm vdi create v --sr disks --size "$2M" --format vhd >/dev/null
		exec sm vdi serve v --socket "$1/ours"' serve "$tmp" "$mib" &
	at_end+=("kill $!")
	qemu-img create -q -f vpc -o force_size=on "$tmp/q.vpc" "${mib}M"
	qemu-nbd --persistent --shared=8 -f vpc --discard=unmap -k "$tmp/qemu" "$tmp/q.vpc" &
	at_end+=("kill $!" wait)
	for name in ours qemu; do
		until [ -S "$tmp/$name" ]; do sleep 0.1; done
		head -c "${mib}M" /dev/urandom | nbdcopy -- - "nbd+unix:///?socket=$tmp/$name"
	done
	table 'On a socket of this host' on_socket ours qemu
}

for part in ${PARTS:-behind_kernel from_socket past_server}; do
	$part
done
verdict
