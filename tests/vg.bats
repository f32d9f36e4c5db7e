#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sm vg on block devices, with lvm2 as the peer and as the judge.

setup_file() {
	load helpers/lab
	load helpers/sm
	lab_start --disk a:96M --disk b:96M --disk c:96M
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs CLI_VG
	PVS='/dev/ubda /dev/ubdb /dev/ubdc'
}

teardown() {
	guest 'judge dmsetup remove_all -f; judge losetup -D; for d in a b c; do dd if=/dev/zero of=/dev/ubd$d bs=1M count=2; done
		rm -rf /dev/vg /run/lock/lvm /run/lvm /tmp/pv? /tmp/*.backup; umount /mnt/x' >/dev/null 2>&1 || true
}

# A VG of three PVs that lvm2 made, in several steps: seqno 1 to 5.
make_vg() {
	guest_ok 'judge vgcreate vg /dev/ubda /dev/ubdb /dev/ubdc &&
		judge lvcreate -y -Wn -Zn -an -l 20 -n root vg /dev/ubda &&
		judge lvcreate -y -Wn -Zn -an -i 3 -I 64k -l 9 -n fast --addtag some/tag vg &&
		judge lvcreate -y -Wn -Zn -an -l 4 -n late vg &&
		judge lvextend -l +6 vg/root' >/dev/null 2>&1
	guest_ok 'judge lvchange -ay vg/root vg/fast && dd if=/dev/urandom of=/dev/vg/root bs=1M 2>/dev/null
		dd if=/dev/urandom of=/dev/vg/fast bs=1M 2>/dev/null; sync; md5sum </dev/vg/root; md5sum </dev/vg/fast; judge lvchange -an vg/root vg/fast' >/dev/null
	sums=("${lines[@]}")
}

# lvm2 finds nothing wrong, and the data is where it was.
judged() {
	guest_ok "judge vgck vg && judge lvs -o all vg >/dev/null && for d in $PVS; do judge pvck --dump metadata \$d >/dev/null || exit 1; done
		judge lvchange -ay vg/root vg/fast && md5sum </dev/vg/root; md5sum </dev/vg/fast; judge lvchange -an vg/root vg/fast" >/dev/null
	[ "${lines[0]}" = "${sums[0]}" ] && [ "${lines[1]}" = "${sums[1]}" ]
}

@test "vg backup and vgcfgbackup say the same, and vgcfgrestore takes ours" {
	make_vg
	guest_ok 'sm vg backup /dev/ubda /dev/ubdb /dev/ubdc --to /tmp/our.backup && judge vgcfgbackup -f /tmp/lvm2.backup vg >/dev/null &&
		sed "1,/^creation_time/d" /tmp/our.backup >/tmp/ours && sed "1,/^creation_time/d; s/[ 	]*#.*//" /tmp/lvm2.backup | diff - /tmp/ours'
	guest_ok 'judge lvremove -y vg/late vg/fast >/dev/null 2>&1 && judge vgcfgrestore -f /tmp/our.backup vg' >/dev/null
	guest_ok 'judge lvs --noheadings -o lv_name,lv_tags vg' >/dev/null
	[[ $output == *fast*some/tag*late*root* ]]
	judged
	# And the reverse: a backup of lvm2, with its comments.
	guest_ok "judge lvremove -y vg/late >/dev/null 2>&1 && sm vg restore $PVS --from /tmp/lvm2.backup" >/dev/null
	[[ $output == *"LV late comes back: 16 MiB"* ]]
	judged
	guest_ok "judge vgcfgbackup -f /tmp/again.backup vg >/dev/null && sed '1,/^creation_time/d; s/seqno = .*//' /tmp/lvm2.backup >/tmp/one &&
		sed '1,/^creation_time/d; s/seqno = .*//' /tmp/again.backup | diff /tmp/one -"
}

@test "an older version comes back: lvm2 agrees, and goes on from there" {
	make_vg
	guest_ok "sm vg restore $PVS --seqno 4 --dry-run && sm vg show --json $PVS" >/dev/null
	[[ $output == "write VG vg as it was with seqno 4, "*", with seqno 6"*"LV root has 80 MiB again, not 104 MiB"* ]]
	[[ $output == *'"seqno": 5,'* ]]
	guest_ok "sm vg restore $PVS --seqno 3" >/dev/null
	[[ $output == *"LV late is gone: 16 MiB"* ]]
	guest_ok 'judge vgck vg && judge lvs --noheadings -o lv_name,seg_pe_ranges vg && judge vgs --noheadings -o vg_seqno vg' >/dev/null
	[[ $output == *fast*root*6* && $output != *late* ]]
	guest_ok "judge lvcreate -y -Wn -Zn -an -l 1 -n more vg >/dev/null 2>&1 && sm vg show --json $PVS" >/dev/null
	[ "$(jq -c '.vgs[0] | [.seqno, ([.lvs[].name] | sort)]' <<<"$output")" = '[7,["fast","more","root"]]' ]
	guest_ok "sm vg restore $PVS --seqno 5" >/dev/null
	judged
}

@test "damaged in every way: history, restore, and lvm2 finds the VG and its data" {
	local how

	make_vg
	guest_ok "sm vg backup $PVS --to /tmp/vg.backup"
	for how in \
		'for d in a b c; do dd if=/dev/zero of=/dev/ubd$d bs=512 seek=8 count=1; done' \
		'for d in a b c; do dd if=/dev/zero of=/dev/ubd$d bs=512 count=9; done' \
		'for d in a b c; do o=$(judge pvck --dump headers /dev/ubd$d | sed -n "s/.*raw_locn\[0\] at .*//; s/^  mda_header_1.raw_locn\[0\].offset //p"); dd if=/dev/urandom of=/dev/ubd$d bs=1 seek=$((4096 + o + 100)) count=20; done' \
		'dd if=/dev/urandom of=/dev/ubdb bs=512 count=4'; do
		guest "( $how ) 2>/dev/null"
		guest "judge vgck vg" || true
		[ "$status" -ne 0 ]
		guest_ok "sm vg history $PVS --json" >/dev/null
		n=$(jq '[.versions[] | select(.valid)][0].seqno' <<<"$output")
		[[ $how == *"count=20"* || $n -ge 5 ]]
		# All labels at once: which is which only a person knows.
		if [[ $how == *"count=9"* ]]; then
			fails 1 '*nothing tells whether it is the PV*--pv *' sm vg restore $PVS --seqno "$n"
			guest_ok 'sed -n "s/^\t\t\tid = \"\(.*\)\"/\1/p" /tmp/vg.backup | head -n 3' >/dev/null
			guest_ok "sm vg restore $PVS --seqno $n --pv ${lines[0]}=/dev/ubda --pv ${lines[1]}=/dev/ubdb --pv ${lines[2]}=/dev/ubdc" >/dev/null
		elif [[ $how == *"count=20"* ]]; then
			guest_ok "sm vg restore $PVS --from /tmp/vg.backup" >/dev/null
		else
			guest_ok "sm vg restore $PVS --seqno $n" >/dev/null
		fi
		guest_ok "sm vg check $PVS" >/dev/null
		judged || { echo "after: $how" >&2; return 1; }
	done
}

@test "what is in use is left alone: active volumes, mounts, loop devices, lvm2's locks" {
	make_vg
	guest_ok 'judge lvchange -ay vg/root'
	fails 3 '*VG vg: vg-root is active (try: *' sm vg restore $PVS --seqno 4
	guest_ok "sm vg restore $PVS --seqno 5 --force" >/dev/null
	guest_ok "md5sum </dev/vg/root; judge lvchange -an vg/root" >/dev/null
	[ "${lines[0]}" = "${sums[0]}" ]
	judged
	# Somebody has one of lvm2's locks; a dry run wants none.
	guest_ok 'mkdir -p /run/lock/lvm; judge flock /run/lock/lvm/V_vg sleep 60 >/dev/null 2>&1 & until [ -e /run/lock/lvm/V_vg ]; do sleep 0.1; done; sleep 0.3; echo $!' >/dev/null
	fails 3 "*lvm2's lock /run/lock/lvm/V_vg*" sm vg restore $PVS --seqno 5 --timeout 1
	guest_ok "sm vg restore $PVS --seqno 5 --dry-run >/dev/null; judge pkill -f 'sleep 60'" || true
	guest_ok "sm vg restore $PVS --seqno 5 && ! ls /run/lock/lvm/* 2>/dev/null" >/dev/null
	# A file that is a loop device now.
	guest_ok 'cp /dev/ubdc /tmp/pv0 && dd if=/dev/zero of=/tmp/pv1 bs=1M count=8 2>/dev/null && dd if=/dev/zero of=/dev/ubdc bs=1M count=1 2>/dev/null && losetup /dev/loop3 /tmp/pv0' >/dev/null
	fails 3 '*/tmp/pv0 is /dev/loop3 (try: give that instead*' sm vg restore /dev/ubda /dev/ubdb /tmp/pv0 --seqno 5
	guest_ok "sm vg restore /dev/ubda /dev/ubdb /dev/loop3 --seqno 5" >/dev/null
	guest_ok 'judge vgck vg; losetup -d /dev/loop3'
	# A mounted disk where a PV should be.
	guest_ok 'judge mkfs.ext4 -qF /dev/ubdc && mkdir -p /mnt/x && mount /dev/ubdc /mnt/x'
	guest_ok "sm vg backup /dev/ubda /dev/ubdb --to /tmp/vg.backup && sed -n 's/^\t\t\tid = \"\(.*\)\"/\1/p' /tmp/vg.backup | sed -n 3p" >/dev/null
	id=${lines[-1]}
	fails 3 '*/dev/ubdc has no label and holds an ext4 file system (try: --force)*' sm vg restore $PVS --from /tmp/vg.backup --pv "$id=/dev/ubdc"
	fails 3 '*/dev/ubdc is mounted at /mnt/x*' sm vg restore $PVS --from /tmp/vg.backup --pv "$id=/dev/ubdc" --force
	guest_ok 'ls -d /mnt/x/lost+found && umount /mnt/x && judge e2fsck -fn /dev/ubdc >/dev/null 2>&1'
	# Taken all the same, it is nothing but a PV for whoever looks.
	guest_ok "sm vg restore $PVS --from /tmp/vg.backup --pv '$id=/dev/ubdc' --force >/dev/null; judge vgck vg; judge wipefs -n --noheadings -O TYPE /dev/ubdc; judge blkid -p -o value -s TYPE /dev/ubdc" >/dev/null
	[ "$output" = $'LVM2_member\nLVM2_member' ]
}

@test "what lvm2 made of every kind is the same to it after a restore" {
	local s i n img bytes devs

	guest_ok 'mkdir -p /tmp/v'
	for s in 06-thin 07-cow-snapshot 08-mirror-raid1 13-xenserver 17-cache-writecache; do
		i=4 devs=
		for img in "$BATS_TEST_DIRNAME/vectors/lvm/$s"/pv*.img.xz; do
			n=$(basename "$img" .img.xz)
			bytes=$(sed -n "s/^pv ${n#pv} bytes //p" "$BATS_TEST_DIRNAME/vectors/lvm/$s/facts")
			xz -dc "$img" | dd of="$LAB_DIR/a/share/$n" conv=sparse bs=64k status=none
			guest_ok "judge cp --sparse=always /share/$n /tmp/v/$n && truncate -s $bytes /tmp/v/$n && losetup /dev/loop$i /tmp/v/$n"
			devs+=" /dev/loop$i" i=$((i + 1))
		done
		guest_ok "v=\$(sm vg show --json $devs | sed -n 's/^      \"name\": \"\(.*\)\",/\1/p'); judge vgcfgbackup -f /tmp/v/before \$v >/dev/null && sm vg backup $devs --to /tmp/v/ours &&
			for f in '--seqno '\$(sm vg history $devs --minimal | cut -d, -f1) '--from /tmp/v/ours'; do
				sm vg restore $devs \$f && judge vgck \$v && judge lvs -a -o all \$v >/dev/null && judge vgcfgbackup -f /tmp/v/after \$v >/dev/null || exit 1
				for x in before after; do sed '1,/^creation_time/d; s/seqno = .*//' /tmp/v/\$x >/tmp/v/\$x.text; done
				diff /tmp/v/before.text /tmp/v/after.text || exit 1
			done; judge losetup -D; rm -f /tmp/v/*" || { echo "in $s" >&2; return 1; }
	done
}
