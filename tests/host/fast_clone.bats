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
		# put VDI MIB LENGTH BYTE: that byte, from there.
		put() {
			sm vdi serve "$1" --socket "$T/s" & pid=$!
			until nbdinfo --size "nbd+unix:///?socket=$T/s" >/dev/null 2>&1; do kill -0 $pid; done
			qemu-io -f raw -c "write -P $4 $2M $3" "nbd+unix:///?socket=$T/s" >/dev/null
			kill $pid
			wait $pid
		}
		# tree FORMAT: disk 4 of that format and size, as where files share nothing: 12 MiB above 8, and a page.
		tree() {
			mkdir "$T/made"
			mount -t tmpfs made "$T/made"
			sm sr create M --type file --dconf location="$T/made" >/dev/null
			sm vdi create disk --sr M --size 64M --format $1 --uuid ${U}4 >/dev/null
			put disk 0 8M 1
			sm vdi snapshot disk gone --uuid ${U}5 >/dev/null
			put disk 4 12M 2
			put disk 40 4k 3
			sm vdi delete gone
			sm sr detach M
			cp "$T/made"/*.* "$T/sr/"
			cp "$T/made"/.sm/vdi/* "$T/sr/.sm/vdi/"
			umount "$T/made"
			sm sr scan S >/dev/null
			sync -f "$T/sr"
		}
		# Bytes that the file system has written to its disk.
		written() { sync -f "$T/sr"; awk '{ print $7 * 512 }' "/sys/block/$(basename "$(losetup -n -O NAME -j "$T/xfs")")/stat"; }
		merged() {
			[ "$(sm vdi tree S --json | jq '.vdis | length')" -eq 3 ]
			is '.vdi | .parent == null and .format == "'$1'"' sm vdi show ${U}4
			sm image convert -O raw ${U}4.$1 "$T/now"
			qemu-io -r -f raw -c "read -P 1 0 4M" -c "read -P 2 4M 12M" -c "read -P 0 16M 24M" -c "read -P 3 40M 4k" \
				-c "read -P 0 41M 23M" "$T/now" >"$T/read"
			[[ $(cat "$T/read") != *failed* ]]
			[ $1 = raw ] || { sm image check ${U}4.vhd; vhdiinfo ${U}4.vhd; } >/dev/null
			is '.problems == []' sm sr check S
		}
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

@test "a merge on XFS: what was the child's is the parent's, and is not copied" {
	for f in vhd raw; do
		ns <<-END
			on 1
			tree $f
			cd "\$T/sr"
			had=\$(used)
			was=\$(written)
			is '.plans[0].steps | length == 1 and .[0].action == "leaf" and .[0].copy > 12000000' sm gc plan S
			sm gc run S
			is=\$(written)
			echo "$f: \$((is - was)) bytes"
			[ \$((is - was)) -lt 3000000 ]
			[ "\$(used)" -lt \$((had - 3500)) ]	# and it has all of them alone
			merged $f
			cd /
			sm sr detach S
			umount "\$T/sr"
			xfs_repair -n "\$T/xfs" >/dev/null 2>&1
		END
		rm -rf "${T:?}"/*/ "$T/xfs"
		setup
	done
}

@test "a merge where XFS cannot share copies" {
	ns <<-'END'
		on 0
		tree vhd
		cd "$T/sr"
		was=$(written)
		sm gc run S
		[ $(($(written) - was)) -gt 12000000 ]
		merged vhd
	END
}
