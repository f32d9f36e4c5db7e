#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# An SR of files on XFS, where files can share their blocks, and on one where they
# cannot.  By way of a server: ../nfs.bats.

bats_require_minimum_version 1.5.0
load ns_helper

setup() {
	ns_setup
	[ -c /dev/loop-control ] || skip "no loop devices here"
	ns_words <<-'END'
		# on REFLINK: an SR on a new XFS, with a raw and a VHD disk of 8 MiB of noise
		on() {
			truncate -s 320M "$T/xfs"
			mkfs.xfs -q -f -m reflink=$1 "$T/xfs"
			mount -o loop "$T/xfs" "$T/sr"
			sm sr create S --type file --dconf location="$T/sr" >/dev/null
			head -c 8M /dev/urandom >"$T/noise"
			for f in raw vhd; do
				sm image convert -f raw -O $f "$T/noise" "$T/sr/$(uuid $f).$f"
			done
			sm sr scan S >/dev/null
			before=$(used)
		}
		uuid() { case $1 in raw) echo ${U}1 ;; *) echo ${U}2 ;; esac; }
		used() { sync -f "$T/sr"; df -k --output=used "$T/sr" | tail -n 1; }
		same() { sm image convert -f $2 -O raw "$(file $1)" "$T/back"; cmp "$T/back" "$T/noise"; }
		file() { echo "$T/sr/$(sm vdi show $1 --minimal)".*; }
	END
}

@test "raw and VHD clones, copies and snapshots on XFS share blocks, and are disks of their own" {
	ns <<-'END'
		on 1
		is '.sr.fast_clone == null' sm sr show S
		for f in raw vhd; do
			sm vdi clone $(uuid $f) $f-clone >/dev/null
			sm vdi copy $(uuid $f) $f-copy --sr S >/dev/null
			sm vdi snapshot $(uuid $f) $f-snap >/dev/null
		done
		is '.sr.fast_clone == true' sm sr show S
		sm sr show S | grep >/dev/null 'fast clone: *yes'
		[ $(($(used) - before)) -lt 2048 ]		# and not 48 MiB more
		is '[.vdis[] | select(.hidden)] == [] and (.vdis | length) == 8' sm vdi list --sr S
		for f in raw vhd; do for v in clone copy snap; do same $f-$v $f; done; done
		# What is written to one is not in the other.
		printf x | dd of="$(file raw-clone)" bs=1 seek=4096 conv=notrunc status=none
		same raw-copy raw
		same $(uuid raw) raw
	END
}

@test "where XFS cannot share, a clone stands on what it was made of, and a copy is one" {
	ns <<-'END'
		on 0
		for f in raw vhd; do
			sm vdi copy $(uuid $f) $f-copy --sr S >/dev/null
			sm vdi clone $(uuid $f) $f-clone >/dev/null
		done
		is '.sr.fast_clone == false' sm sr show S
		is '[.vdis[] | select(.hidden)] | length == 2' sm vdi list --sr S
		for f in raw vhd; do same $f-copy $f; done
		[ $(($(used) - before)) -gt 15000 ]
	END
}
