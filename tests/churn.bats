#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks under random I/O and all that may be done to a disk in use, or cut off at any write, against a
# model (lab/tools/churn.h).  CHURN_STEPS: how many changes, CHURN_OPS: how much is written before
# the cuts, CHURN_EVERY: of how many writes one is followed by a cut; CHURN_PLACES: on which file
# systems, CHURN_FS: which ones on a disk, GC_PLACES: where trees are collected (sweep/gcmodel.sh,
# GC_STEPS, GC_DEPTH, GC_LIVE), one each day without; SEED: from where.

setup_file() {
	load helpers/lab
	load helpers/dm
	lab_start --mem 384M --disk a:1G --disk b:1G --mods "$LAB_MODS,nfs,nfsv3,nfsv4,nfsd,veth,ipv6"
	dm_tool churn
	dm_tool churnlog
	guest_put "$BATS_TEST_DIRNAME/nbd/guest.bash" /tmp/nbd.bash
	guest_put "$BATS_TEST_DIRNAME/nbd/churn.bash" /tmp/churn.bash
	guest_put "$BATS_TEST_DIRNAME/nfs/server.sh" /tmp/server.sh
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	needs SR_LVM DATAPATH_NBD SNAPSHOTS FRONT_CLI
	STEPS=${CHURN_STEPS:-4} SEED=${SEED:-$RANDOM}
	echo "SEED=$SEED"
	day=$(date +%-j)
}

in_guest() {
	guest_ok -t $((STEPS * 120 + 600)) "steps=$STEPS seed=$SEED; . /tmp/nbd.bash; . /tmp/churn.bash; $1"
}

teardown() {
	guest 'umount /srv/fs /tmp/m; rmdir /tmp/m; for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; done
		for i in 1 2 3 4 5; do for v in $(sm vdi list --minimal | tr , " "); do sm vdi delete $v; done; done
		for s in $(sm sr list --minimal | tr , " "); do sm sr destroy $s; done
		. /tmp/churn.bash; unplace; rm -rf /etc/smtab /run/sm /dev/sm /tmp/made.* /tmp/n.*' >/dev/null 2>&1 || true
	guest '. /tmp/nbd.bash; nothing_left; ls /dev/mapper'
	[ "$output" = control ]
}

@test "lvm: snapshots, clones, growth and merges under random I/O: each copy is one moment of the disk" {
	in_guest 'sm sr create disks --type lvm --dconf device=/dev/ubdb >/dev/null; churned $steps $seed vhd'
}

@test "the power fails after any write to a VHD: it is sound, and has what was flushed" {
	in_guest 'sm sr create disks --type lvm --dconf device=/dev/ubda >/dev/null; logged $seed '"${CHURN_OPS:-150} ${CHURN_EVERY:-40}"
}

@test "files: the same, on ext4, on XFS, on sectors of 4096 bytes, on NFS" {
	needs SR_FILE SR_NFS
	local all=(file xfs 4096 nfs)
	local places=${CHURN_PLACES:-${all[day % 4]}}

	echo "CHURN_PLACES='$places'"
	in_guest "for p in $places; do place \$p /dev/ubdb; churned \$steps \$seed vhd; wiped; unplace; done"
}

@test "a file system on a disk that grows and is snapshotted: each moment of it is sound, and has what was flushed" {
	needs SR_FILE
	local all=(ext4 xfs)
	local kinds=${CHURN_FS:-${all[day % 2]}}

	echo "CHURN_FS='$kinds'"
	in_guest "place file /dev/ubdb; for k in $kinds; do lived \$steps \$k; wiped; done"
}

@test "random trees under a collector that never rests, and is killed: every disk holds what it should, on LVM, thick and thin, and on NFS" {
	needs SR_NFS GC LVM_THIN_GROW
	local all=(lvm thin nfs)
	local places=${GC_PLACES:-${all[day % 3]}}

	echo "GC_PLACES='$places'"
	guest_put "$BATS_TEST_DIRNAME/sweep/gcmodel.sh" /tmp/gcmodel.sh
	guest_ok -t "${GC_SECONDS:-300}" '. /tmp/nbd.bash; . /tmp/churn.bash
		export T=/tmp/m SM_GC=off LIVE='${GC_LIVE:-3}' MIB=8
		lvm="--type lvm --force --dconf device=/dev/ubdb --dconf allocation"	# whatever lay there before
		judge mkfs.ext4 -qF /dev/ubda
		mkdir /tmp/m
		mount /dev/ubda /tmp/m
		for p in '"$places"'; do
			case $p in
			nfs) place nfs /dev/ubdb; sm sr rename disks S
				# Not what shares blocks from the beginning, but trees, as of those who make them everywhere.
				mkdir -p /run/sm/shares; echo 0 >/run/sm/shares/$(sm sr show S --minimal) ;;
			lvm) sm sr create S $lvm=thick >/dev/null ;;
			thin) sm sr create S $lvm=thin --dconf live_growth=true >/dev/null ;;
			esac
			[ $p != nfs ] || cd /run/sr-mount/*
			bash /tmp/gcmodel.sh $p '"${GC_STEPS:-3} ${GC_DEPTH:-4} $SEED"'
			cd /
			sm vdi delete disk
			[ $p = nfs ] || judge vgck $(judge vgs --noheadings -o vg_name)
			sm sr destroy S
			unplace
			rm -r /tmp/m/*
		done
		umount /tmp/m'
}
