#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# vhd.sh BUILD: images beside qemu-img, in turns on one disk.  Qemu has no VHDs
# with parents, so its snapshots and commits are QCOW2's; it does not flush what it
# writes, so `sync FILE` does that for it.  What is read is in the page cache;
# `cp` of the same bytes shows what the disk can do.
#
# Everything is in a folder of TMPDIR: choose one on the disk that is to be measured.

[ -n "${INSIDE:-}" ] || INSIDE=1 exec unshare -rm "$0" "$@"	# an SR mounts its folder
. "$(dirname "$0")/common.bash"
vhdt=$("$bench/../lab/tools/build.sh" "$build" vhdt)
cd "$tmp" || exit
rounds=${RUNS:-5}

# --- small things -----------------------------------------------------------------

sm image create base.vhd --size 1G
qemu-img create -q -f qcow2 base.qcow2 1G
qemu-img create -q -f vpc base.vpc 1G
head_line 'Verbs on one image' wall
measure -n $((rounds * 4)) \
	--- sh -c 'rm -f new.vhd; exec sm image create new.vhd --size 1G' \
	--- sh -c 'rm -f new.vpc; exec qemu-img create -q -f vpc new.vpc 1G' \
	--- sm image info --json base.vhd --- qemu-img info --output=json base.vpc \
	--- sh -c 'rm -f child.vhd; exec sm image snapshot base.vhd child.vhd' \
	--- sh -c 'rm -f child.qcow2; exec qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 child.qcow2' \
	--- sm image check base.vhd
row 'create 1 GiB' 0 1 1
row 'info' 2 3 1
row 'snapshot' 4 5 1
row 'check (peer: info)' 6 3

# --- a scan -------------------------------------------------------------------------

mkdir sr
sm sr create bench --type file --dconf location="$tmp/sr" >/dev/null
for ((i = 0; i < 1000; i++)); do
	printf -v uuid '00000000-0000-4000-8000-%012d' $i
	sm image create "sr/$uuid.vhd" --size 1G --uuid "$uuid"
done
head_line '1,000 VHDs' wall
measure -n 3 --- sm vdi list --sr bench --json --- sm sr scan bench \
	--- sh -c 'for f in sr/*.vhd; do qemu-img info --output=json $f || exit; done'
row 'list' 0 2 50
row 'scan' 1 2 50
sm sr detach bench >/dev/null

# --- much data ------------------------------------------------------------------------

# made NAME SECTORS STRIDE TIMES: a VHD without and one with a parent, raw, VHD of qemu,
# QCOW2 with a backing file, all with the same bytes.
made() {
	cp base.vhd "$1.vhd"
	"$vhdt" put "$1.vhd" 0 "$2" 7 "$3" "$4"
	sm image convert -O raw "$1.vhd" "$1.raw"
	qemu-img convert -f raw -O vpc -o force_size=on "$1.raw" "$1.vpc"
	sm image snapshot base.vhd "$1-child.vhd"
	"$vhdt" put "$1-child.vhd" 0 "$2" 7 "$3" "$4"
	qemu-img convert -f raw -O qcow2 -B base.qcow2 -F qcow2 "$1.raw" "$1-child.qcow2"
	sync
	cat "$1".* "$1"-child.* >/dev/null
}

# moves NAME
moves() {
	head_line "1 GiB, $1" least
	measure -n "$rounds" \
		--- sh -c "rm -f o.raw; exec sm image convert -f vhd -O raw $1.vhd o.raw" \
		--- sh -c "rm -f q.raw; qemu-img convert -f vpc -O raw $1.vpc q.raw && exec sync q.raw" \
		--- sh -c "rm -f o.vhd; exec sm image convert -f raw -O vhd $1.raw o.vhd" \
		--- sh -c "rm -f q.vpc; qemu-img convert -f raw -O vpc $1.raw q.vpc && exec sync q.vpc" \
		--- sh -c "rm -f c.raw; cp --sparse=auto $1.raw c.raw && exec sync c.raw" \
		--- sh -c "cp base.copy base.vhd && exec sm image coalesce $1-child.vhd --force" \
		--- sh -c "cp base.qcow2.copy base.qcow2 && qemu-img commit -q -d $1-child.qcow2 && exec sync base.qcow2"
	cmp o.raw q.raw
	qemu-img compare -q -f vpc -F raw o.vhd q.raw
	row 'convert VHD to raw' 0 1 1
	row '    beside cp' 0 4
	row 'convert raw to VHD' 2 3 1
	row '    beside cp' 2 4
	row 'coalesce (peer: commit)' 5 6 1
	row '    beside cp' 5 4
	rm -f o.raw q.raw o.vhd q.vpc c.raw "$1".* "$1"-child.*
	cp base.copy base.vhd
	cp base.qcow2.copy base.qcow2
}

cp base.vhd base.copy
cp base.qcow2 base.qcow2.copy
made dense 2097152 1 1
moves dense
made sparse 8 256 8192		# 4 KiB in each 128
moves sparse
verdict
