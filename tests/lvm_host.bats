#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# An lvm SR as the host around it changes: other names and sizes of its disks,
# disks that are missing or there twice, marks of other hosts, lvm2 at work.

setup_file() {
	load helpers/lab
	load helpers/sm
	lab_start --mem 384M --disk a:256M --disk b:64M --disk c:64M
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	load helpers/doors
	needs SR_LVM DATAPATH_LV FRONT_CLI
}

teardown() {
	guest 'for i in 1 2 3; do judge dmsetup remove_all -f; done; judge losetup -D; rmmod scsi_debug
		for i in a b c; do dd if=/dev/zero of=/dev/ubd$i bs=1M count=12; done
		rm -rf /tmp/disk* /etc/smtab /run/sm /dev/sm /dev/VG_* /dev/mapper/VG_* /run/lock/lvm /run/lvm' >/dev/null 2>&1 || true
}

# sr DEVICES: an SR called disks on them; $SR, $VG.
sr() {
	guest_ok "sm sr create disks --type lvm --dconf device=$1" >/dev/null
	SR=$output VG=VG_XenStorage-$output
}

# disk N SIZE: a disk whose name can be changed, as /dev/loopN.
disk() { guest_ok "truncate -s $2 /tmp/disk$1 && losetup /dev/loop$1 /tmp/disk$1"; }

# same DEVICE…: no byte of them has changed since the first call.
same() {
	local now

	guest_ok "sync; cat $* | md5sum" >/dev/null
	now=$output
	[ "${sums-$now}" = "$now" ] || {
		echo "$* changed" >&2
		return 1
	}
	sums=$now
}

# hold_lock NAME: a process with that lock of lvm2's, its number in $pid.
hold_lock() {
	guest_ok "judge flock -o /run/lock/lvm/$1 sleep 60 >/dev/null 2>&1 & until grep -q FLOCK /proc/locks; do sleep 0.01; done; echo \$!" >/dev/null
	pid=$output
}

@test "disks that have other names now are found by what is on them" {
	disk 1 64M
	disk 2 64M
	disk 3 64M
	sr /dev/loop1,/dev/loop2
	guest_ok 'sm vdi create v --sr disks --format raw --size 80M >/dev/null && sm vdi attach v' >/dev/null
	guest_ok "dd if=/dev/urandom of=$output bs=1M count=80 conv=fsync 2>/dev/null; md5sum <$output; sm vdi detach v" >/dev/null
	sum=${lines[0]}
	# 1 is gone, its disk is 4 now; 2 and 3 have changed places.
	guest_ok 'sm sr detach disks && judge losetup -D && losetup /dev/loop4 /tmp/disk1 && losetup /dev/loop3 /tmp/disk2 && losetup /dev/loop2 /tmp/disk3 && judge mkfs.ext4 -qF /dev/loop2 && md5sum </dev/loop2' >/dev/null
	other=$output
	guest_ok 'sm sr attach disks' >/dev/null
	jsonof sm sr show disks
	is '.sr.health == "ok" and (.sr.dconf.device | split(",") | sort) == ["/dev/loop3", "/dev/loop4"]'
	guest_ok "md5sum <\$(sm vdi attach v); md5sum </dev/loop2; judge vgck $VG" >/dev/null
	[ "${lines[0]}" = "$sum" ]
	[ "${lines[1]}" = "$other" ]
	guest_ok 'sm vdi detach v && sm vdi resize v 84M && sm vdi delete v && sm sr detach disks && judge losetup -D'
	# A machine gives the dconf of old each time.
	guest_ok "losetup /dev/loop1 /tmp/disk3 && losetup /dev/loop5 /tmp/disk1 && losetup /dev/loop6 /tmp/disk2 && md5sum </dev/loop1" >/dev/null
	other=$output
	guest_ok "set -e; d='-t lvm -d /dev/loop1,/dev/loop2'; v=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21; sm sr_attach \$d $SR; sm vdi_create \$d $SR \$v 8; dev=\$(sm vdi_attach \$d $SR \$v); [ -b \$dev ]; sm vdi_detach \$d $SR \$v; sm vdi_delete \$d $SR \$v; sm sr_detach \$d $SR; sm sr_delete \$d $SR; md5sum </dev/loop1" >/dev/null
	[ "${lines[-1]}" = "$other" ]
	guest_ok '[ -z "$(judge pvs --noheadings)" ]'
}

@test "by-id names work where no udev has made them" {
	lab_mod sd_mod scsi_debug:dev_size_mb=64
	guest_ok 'for i in /sys/block/sd*; do cat $i/device/wwid; done' >/dev/null
	[[ $output == naa.* ]]
	sr "/dev/disk/by-id/wwn-0x${output#naa.}"
	guest_ok 'sm vdi create v --sr disks --format raw --size 8M && sm vdi delete v && sm sr detach disks && sm sr attach disks' >/dev/null
	jsonof sm sr show disks
	is '.sr.dconf.device | startswith("/dev/disk/by-id/wwn-0x")'
	guest_ok 'sm sr destroy disks'
}

@test "a disk that has grown gives its room, also to a volume that is in use" {
	disk 1 64M
	sr /dev/loop1
	guest_ok 'sm vdi create v --sr disks --format raw --size 40M >/dev/null; sm vdi attach v' >/dev/null
	dev=$output
	guest_ok "dd if=/dev/urandom of=$dev bs=1M count=40 conv=fsync 2>/dev/null; md5sum <$dev" >/dev/null
	sum=$output
	fails 5 '*VG is full*' sm vdi resize v 80M
	guest_ok 'truncate -s 200M /tmp/disk1 && losetup -c /dev/loop1 && sm sr scan disks' >/dev/null
	jsonof sm sr show disks
	is '.sr.size == 188 * 1048576'
	guest_ok "sm vdi resize v 100M && blockdev --getsize64 $dev && head -c 41943040 $dev | md5sum; judge vgck $VG; judge pvs --noheadings --units m --nosuffix -o pv_size,dev_size" >/dev/null
	[ "${lines[0]}" -eq 104857600 ]
	[[ ${lines[1]} == "$sum"* ]]
	[[ $(echo ${lines[2]}) == "188.00 200.00" ]]
	guest_ok 'sm vdi detach v && sm vdi delete v && sm sr destroy disks'
}

@test "disks with a second metadata area at their end grow as lvm2 grows them" {
	VG=VG_XenStorage-6f0c1a52-3b7e-4d0a-9a51-0d2c4b8f7e11
	for i in 1 2 3 4; do disk $i 64M; done
	guest_ok "judge pvcreate -q --metadatacopies 2 /dev/loop1 /dev/loop2 /dev/loop3 /dev/loop4 && judge vgcreate -q -s 4m $VG /dev/loop1 /dev/loop2 && judge vgcreate -q -s 4m twin /dev/loop3 /dev/loop4 && judge lvcreate -q -n LV-2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21 -L 110m -an -Zn -Wn -y $VG && judge lvcreate -q -n x -L 110m -an -Zn -Wn -y twin" >/dev/null
	guest_ok "sm sr introduce ${VG#VG_XenStorage-} --type lvm --dconf device=/dev/loop1,/dev/loop2 && sm sr attach \$(cut -d' ' -f1 /etc/smtab | tail -1)" >/dev/null
	# Not far enough for both areas: nothing moves.
	guest_ok "for i in 1 2 3 4; do truncate -s 65536k /tmp/disk\$i; truncate -s +512k /tmp/disk\$i; losetup -c /dev/loop\$i; done; sm sr scan ${VG#VG_XenStorage-} && judge vgck $VG && judge vgs --noheadings -o vg_seqno $VG" >/dev/null
	[ "$(echo ${lines[-1]})" -eq 2 ]
	guest_ok "for i in 1 2 3 4; do truncate -s 131072k /tmp/disk\$i; losetup -c /dev/loop\$i; done; sm sr scan ${VG#VG_XenStorage-} && judge pvresize -q /dev/loop3 /dev/loop4 && judge vgck $VG && judge pvck -q /dev/loop1" >/dev/null
	guest_ok "for v in $VG twin; do judge pvs --noheadings --units s -o pv_size,pv_free,pv_pe_count,pe_start,pv_mda_count,pv_mda_used_count,pv_mda_size -S vg_name=\$v; done" >/dev/null
	[ "${#lines[@]}" -eq 4 ]
	[ "${lines[0]}" = "${lines[2]}" ] && [ "${lines[1]}" = "${lines[3]}" ]
	[[ ${lines[0]} == *" 31 "* ]]
	# The areas lie where lvm2 puts them.
	guest_ok "for i in 2 4; do judge pvck --dump headers /dev/loop\$i | grep -E '^ *(pv_header.disk_locn\\[[0-9]\\].(offset|size)|mda_header_[0-9].(start|size)) ' >/tmp/headers\$i; done; grep -c . /tmp/headers2; diff /tmp/headers2 /tmp/headers4" >/dev/null
	[ "${lines[0]}" -ge 10 ]
	# Both copies are the same, and each implementation writes to both.
	guest_ok "sm vdi create v --sr ${VG#VG_XenStorage-} --size 100M >/dev/null && judge lvchange -q --addtag t $VG/LV-2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21 && judge vgck $VG && sm sr check ${VG#VG_XenStorage-}"
}

@test "one of two disks is missing: what lies on the other can be read, nothing can be made" {
	sr /dev/ubdb,/dev/ubdc
	guest_ok 'sm vdi create one --sr disks --format raw --size 40M; sm vdi create two --sr disks --format raw --size 40M; sm sr detach disks; dd if=/dev/ubdb of=/tmp/diskb bs=1M count=1 2>/dev/null; dd if=/dev/zero of=/dev/ubdb bs=1M count=1 2>/dev/null' >/dev/null
	guest_ok 'sm sr attach disks' >/dev/null
	[[ $output == *"LV-"*"a device that it lies on is missing"* ]]
	fails 6 '*problem*' sm sr check disks
	fails 1 '*PV * is missing*' sm vdi create three --sr disks --format raw --size 4M
	fails 1 '*still exist*' sm sr destroy disks
	grun sm vdi list --json >/dev/null 2>&1 || true
	vdi=$(jq -r '.vdis[].uuid' "$LAB_OUT")
	guest_ok "sm vdi attach $vdi >/dev/null && sm vdi detach $vdi"
	# It is back: all is as it was.
	guest_ok 'dd if=/tmp/diskb of=/dev/ubdb conv=notrunc,fsync 2>/dev/null; sm sr attach disks && sm sr check disks' >/dev/null
	guest_ok "judge vgck $VG; sm vdi delete one && sm vdi delete two && sm sr destroy disks"
}

@test "one of two disks was away while the SR was changed: a repair takes it back, and lvm2 agrees" {
	disk 1 64M
	disk 2 64M
	sr /dev/loop1,/dev/loop2
	guest_ok 'for i in 1 2 3 4 5; do sm vdi create d$i --sr disks --format raw --size 20M >/dev/null || exit; done
		for i in 2 3 4 5; do dev=$(sm vdi attach d$i) && dd if=/dev/urandom of=$dev bs=1M count=20 conv=fsync 2>/dev/null && md5sum <$dev && sm vdi detach d$i || exit; done' >/dev/null
	sums=$output
	guest_ok 'sm sr detach disks && losetup -d /dev/loop2 && sm sr attach disks && sm vdi delete d1 && sm sr detach disks && losetup /dev/loop2 /tmp/disk2' >/dev/null
	guest_ok "judge pvs --noheadings -o pv_missing -S vg_name=$VG" >/dev/null
	[[ $output == *missing* ]]
	guest_ok 'sm sr attach disks' >/dev/null
	fails 1 "*marked as missing*sm sr check $SR --repair*" sm vdi create new --sr disks --format raw --size 4M
	fails 6 '*problem*' sm sr check disks
	[[ $output == *"/dev/loop2"*"marked as missing"*"--repair"* ]]
	guest_ok 'sm sr check disks --repair && sm sr check disks' >/dev/null
	guest_ok "judge vgck $VG && judge pvs --noheadings -o pv_missing -S vg_name=$VG | tr -d ' \n'; judge lvs --noheadings -o lv_health_status $VG | tr -d ' \n'" >/dev/null
	[ -z "$output" ]
	guest_ok 'for i in 2 3 4 5; do dev=$(sm vdi attach d$i) && md5sum <$dev && sm vdi detach d$i || exit; done' >/dev/null
	[ "$output" = "$sums" ]
	guest_ok 'sm vdi create new --sr disks --format raw --size 20M >/dev/null; for v in d2 d3 d4 d5 new; do sm vdi delete $v || exit; done; sm sr destroy disks; losetup -d /dev/loop1 /dev/loop2'
}

@test "a PV on two devices, a name on two VGs" {
	sr /dev/ubdb
	guest_ok 'sm vdi create v --sr disks --format raw --size 8M >/dev/null; sm sr detach disks; dd if=/dev/ubdb of=/dev/ubdc bs=1M 2>/dev/null'
	same /dev/ubdb /dev/ubdc
	fails 1 "*VG $VG: /dev/ubd*: PV * is on /dev/ubd* too*" sm sr attach disks
	fails 5 '*is on /dev/ubd* too*' sm sr_attach -t lvm -d /dev/ubdb "$SR"
	same /dev/ubdb /dev/ubdc
	guest_ok "dd if=/dev/zero of=/dev/ubdc bs=1M count=1 2>/dev/null; judge vgcreate -q --config 'devices/filter=[\"r|ubdb|\"]' $VG /dev/ubdc" >/dev/null
	unset sums
	same /dev/ubdb /dev/ubdc
	fails 1 "*two VGs are called $VG*" sm sr attach disks
	same /dev/ubdb /dev/ubdc
	guest_ok 'dd if=/dev/zero of=/dev/ubdc bs=1M count=1 2>/dev/null; sm sr attach disks >/dev/null; dd if=/dev/ubdb of=/dev/ubdc bs=1M count=1 2>/dev/null'
	fails 6 '*' sm sr check disks
	guest_ok 'dd if=/dev/zero of=/dev/ubdc bs=1M count=1 2>/dev/null; sm sr check disks; sm vdi delete v; sm sr destroy disks' >/dev/null
}

@test "a copy of a disk that comes while the SR is attached: nothing is changed until it has gone" {
	needs DATAPATH_NBD DATAPATH_MAP
	disk 1 64M
	disk 2 64M
	sr /dev/loop1
	# It comes under the name that another disk had.
	guest_ok 'sm vdi create v --sr disks --size 8M --format raw >/dev/null && sm vdi create w --sr disks --size 8M --format raw >/dev/null && sm vdi create u --sr disks --size 8M --format vhd >/dev/null && sm vdi attach v >/dev/null && sync && losetup -d /dev/loop2 && cp /tmp/disk1 /tmp/disk2 && losetup /dev/loop2 /tmp/disk2'
	same /dev/loop1 /dev/loop2
	for verb in 'vdi create x --sr disks --size 8M' 'vdi attach w' 'vdi attach u' 'vdi attach u --read-only' 'vdi resize w 12M' 'vdi delete w' 'vdi rename w y'; do
		fails 1 '*PV * is on /dev/loop[12] too*' sm $verb
	done
	same /dev/loop1 /dev/loop2
	# What is there can be seen and given back.
	guest_ok 'sm vdi list --sr disks --minimal | tr , "\n" | wc -l; sm vdi detach v && sm sr detach disks' >/dev/null
	[ "${lines[0]}" -eq 3 ]
	same /dev/loop1 /dev/loop2
	fails 1 '*PV * is on /dev/loop[12] too*' sm sr attach disks
	guest_ok 'losetup -d /dev/loop2 && sm sr attach disks && sm vdi delete w && sm vdi delete v && sm vdi delete u && sm sr destroy disks && ! ls /run/sm/seen/* 2>/dev/null' >/dev/null
}

# marked SED-SCRIPT: what lvm2 says of the VG, changed.
marked() {
	guest_ok "sed '$1' /tmp/text >/tmp/marked && ! cmp -s /tmp/text /tmp/marked && judge vgcfgrestore --force -f /tmp/marked $VG" >/dev/null
	unset sums
	same /dev/ubdb
}

@test "a VG that is exported, clustered, shared, another host's or newer is not touched" {
	local after='/^VG/,/max_lv/s/flags = \[\]/&\n' words='s/"RESIZEABLE", "READ"/&'

	sr /dev/ubdb
	guest_ok "sm vdi create v --sr disks --format raw --size 8M; judge vgcfgbackup -f /tmp/text $VG" >/dev/null
	vdi=${lines[0]}
	while IFS='|' read -r why sed; do
		marked "$sed"
		fails 1 "*VG $VG*$why*" sm sr attach disks
		fails 1 "*VG $VG*$why*" sm vdi attach "$vdi"
		fails 1 "*VG $VG*$why*" sm vdi create w --sr disks --format raw --size 4M
		fails 1 "*VG $VG*$why*" sm vdi resize v 12M
		fails 1 "*VG $VG*$why*" sm vdi rename "$vdi" w
		fails 1 "*VG $VG*$why*" sm vdi delete "$vdi"
		fails 1 "*VG $VG*$why*" sm sr rename disks other
		fails 6 '*1 problem*' sm sr check disks
		guest_ok "sm vdi show $vdi && sm vdi detach $vdi && sm sr list" >/dev/null
		same /dev/ubdb
		guest_ok "judge vgcfgrestore --force -f /tmp/text --config 'local/system_id=other global/system_id_source=lvmlocal' $VG" >/dev/null
	done <<-EOF
		is clustered|$words, "CLUSTERED"/
		belongs to the host 'other'|${after}system_id = "other"/
		is exported|$words, "EXPORTED"/
		the lock manager sanlock|${after}lock_type = "sanlock"\nlock_args = "1.0.0:lvmlock"/
	EOF
	# Our own system id is none of another's.
	marked "${after}system_id = \"us\"/"
	guest_ok 'mkdir -p /etc/lvm && echo "global/system_id_source=lvmlocal local/system_id=us" >/etc/lvm/lvm.conf && sm sr attach disks && sm vdi resize v 12M && rm -r /etc/lvm' >/dev/null
	guest_ok "judge vgchange -y --config 'local/system_id=us global/system_id_source=lvmlocal' --systemid '' $VG" >/dev/null
	# What is only newer, or read-only, can be read.
	guest_ok "judge vgcfgbackup -f /tmp/text $VG" >/dev/null
	marked 's/"READ", "WRITE"\]/"READ"]/'
	fails 1 "*the VG is read-only*" sm vdi create w --sr disks --format raw --size 4M
	guest_ok 'sm sr attach disks && sm vdi attach v && sm vdi detach v' >/dev/null
	same /dev/ubdb
	guest_ok "judge vgcfgrestore --force -f /tmp/text $VG && sm vdi delete v && sm sr destroy disks" >/dev/null
}

@test "an SR that another storage manager made, through every door" {
	xz -dc "$BATS_TEST_DIRNAME/vectors/lvm/13-xenserver/pv0.img.xz" >"$BATS_TEST_TMPDIR/pv0"
	guest_put "$BATS_TEST_TMPDIR/pv0" /tmp/disk0
	guest_ok 'dd if=/tmp/disk0 of=/dev/ubda conv=fsync 2>/dev/null'
	SR=5a4f6c1e-27b0-4b5c-8e2b-90f3a1b2c3d4 VDI=77777777-8888-4999-aaaa-bbbbccccdddd TYPE=lvm
	VG=VG_XenStorage-$SR
	guest_ok 'sm sr probe --json' >/dev/null
	[ "$(jq -r '.srs[0] | "\(.uuid) \(.dconf.device) \(.size)"' <<<"$output")" = "$SR /dev/ubda $((244 << 20))" ]
	people_dconf() { echo device=/dev/ubda; }
	old_dconf() { echo /dev/ubda; }
	guest_ok "sm sr introduce $SR --type lvm --dconf device=/dev/ubda" >/dev/null
	# lvm2 has made the volume for names, and nobody has written there yet.
	fails 6 '*MGT*sm sr check*--repair*' sm vdi create w --sr "$SR" --format raw --size 4M
	fails 6 '*' sm sr check "$SR" --repair
	n=0
	for door in people 2007 xapi; do
		ok sr_attach
		ok vdi_attach "$VDI"
		dev=$output
		guest_ok "n=$n; [ \$n -eq 0 ] || head -c 6 $dev; echo hello$((n + 1)) | dd of=$dev bs=512 conv=sync,fsync 2>/dev/null" >/dev/null
		[ "$n" -eq 0 ] || [ "$output" = "hello$n" ]
		n=$((n + 1))
		ok vdi_detach "$VDI"
		ok vdi_resize "$VDI" $((32 + 4 * n))
		ok vdi_create "88888888-8888-4999-aaaa-00000000000$n" 8
		guest_ok "judge vgck $VG && judge lvs --noheadings -o lv_name,lv_size --units m --nosuffix $VG/LV-$VDI" >/dev/null
		[[ $output == *"$((32 + 4 * n)).00"* ]]
	done
	# Its disks of a format that cannot be read stay, as does all else that it had.
	guest_ok "judge lvs --noheadings -o lv_name $VG | grep -cE 'VHD-(d2a4e1c2|0b1c2d3e)'" >/dev/null
	[ "$output" -eq 2 ]
}

@test "two of ours and an lvm2 change one VG at once: all that they made is there" {
	sr /dev/ubda
	guest_ok -t 120 'mkdir -p /tmp/disks; for w in 1 2; do for i in $(seq 12); do sm vdi create w$w-$i --sr disks --format raw --size 4M --timeout 60 >>/tmp/disks/w$w 2>&1; done & done
		for i in 1 2 3 4; do judge lvcreate -qy -Wn -Zn -an -L 4M -n lvm2-$i VG_XenStorage-$(sm sr list --minimal) || echo failed; judge lvchange --addtag t$i VG_XenStorage-$(sm sr list --minimal)/lvm2-1 || echo failed; done >/tmp/disks/lvm2 2>&1; wait; cat /tmp/disks/w*; grep failed /tmp/disks/lvm2; true' >/dev/null
	[ "$(wc -l <<<"$output")" -eq 24 ]
	guest_ok "judge vgck $VG && judge lvs --noheadings -o lv_name $VG | sort -u | wc -l; judge lvs --noheadings -o lv_tags $VG/lvm2-1; judge vgs --noheadings -o vg_seqno $VG; sm vdi list --minimal | tr , '\n' | wc -l" >/dev/null
	[ "${lines[0]}" -eq $((1 + 24 + 4)) ]
	[[ ${lines[1]} == *t1,t2,t3,t4* ]]
	[ "${lines[2]}" -eq $((1 + 24 + 8)) ]
	[ "${lines[3]}" -eq 24 ]
	guest_ok "for i in 1 2 3 4; do judge lvremove -qy $VG/lvm2-\$i; done; sm sr check disks" >/dev/null
}

@test "lvm2's locks are kept, and it sees what we have made without being told" {
	guest_ok 'mkdir -p /run/lvm; judge vgcreate -q other /dev/ubdc && judge pvs && [ -e /run/lvm/hints ]' >/dev/null
	sr /dev/ubdb
	guest_ok "judge vgs --noheadings -o vg_name | grep >/dev/null $VG"
	hold_lock P_global
	fails 3 '*lvm2*P_global*' sm sr create more --type lvm --dconf device=/dev/ubda --timeout 1
	guest_ok 'sm vdi create v --sr disks --format raw --size 4M >/dev/null'
	guest_ok "kill $pid"
	hold_lock "V_$VG"
	fails 3 "*lvm2*V_$VG*" sm vdi create w --sr disks --format raw --size 4M --timeout 1
	guest_ok "kill $pid; sm vdi delete v && sm sr destroy disks && [ \"\$(judge vgs --noheadings -o vg_name,pv_name | xargs)\" = 'other /dev/ubdc' ]"
}

@test "a disk attached read-only, nodes that somebody has removed" {
	sr /dev/ubdb
	guest_ok 'sm vdi create v --sr disks --format raw --size 8M >/dev/null; sm vdi attach v --read-only' >/dev/null
	dev=$output
	guest_ok "blockdev --getro $dev; ! dd if=/dev/zero of=$dev bs=4096 count=1 conv=fsync 2>/dev/null && judge lvs --noheadings -o lv_active,lv_permissions $VG" >/dev/null
	[ "${lines[0]}" = 1 ]
	guest_ok "rm $dev /dev/mapper/VG_*; sm vdi attach v --read-only && [ -b $dev ] && sm vdi detach v && ! ls /dev/mapper/VG_* /dev/VG_* 2>/dev/null" >/dev/null
	guest_ok "sm vdi attach v >/dev/null; rm -r /dev/VG_* /dev/mapper/VG_*; sm vdi detach v && sm vdi delete v && sm sr destroy disks"
	nothing_left
}

# And one way of failing a day, of half of the verbs.
@test "killed or failed in the middle of a verb on an SR or a raw disk: the next one finds all in order" {
	local ways=(EIO ENOSPC EINTR EIO+ short) how verbs=("sr-create vdi-create vdi-attach vdi-delete" "sr-destroy sr-attach vdi-resize vdi-detach")

	sweep_put lvm.sh
	every=${SWEEP_EVERY:-$((797 * ${PACE:-1}))}
	first=${SWEEP_FIRST:-$(($(date +%-j) * 7 % every + 1))}
	echo "SWEEP_FIRST=$first SWEEP_EVERY=$every"
	# What the sweep looks for it finds: here of a disk that is served; the rest in host/sweep.bats.
	guest_ok 'judge true; left / "" >/tmp/held; sm sr create s --type lvm --dconf device=/dev/ubdb && sm vdi create v --sr s --size 8M --format vhd
		sm vdi attach v && left / "" && ! LEFT_PATIENCE=2 left / "" /tmp/held verb && sm vdi detach v &&
		sm vdi delete v && sm sr destroy s && left / "" /tmp/held' >/dev/null
	[[ $output == *"process "*"dm sm-"*"nbd nbd"* || $output == *"process "*"nbd nbd"*"dm sm-"* ]]
	for how in ${SWEEP_HOW-kill $([ "$every" -gt 1 ] && echo "${ways[$(date +%-j) % 5]}" || echo "${ways[@]}")}; do
		[ "$how" = kill ] || [ "$every" -eq 1 ] || export SWEEP_VERBS=${SWEEP_VERBS-${verbs[$(date +%-j) % 2]}}
		echo "SWEEP_HOW=$how SWEEP_VERBS='${SWEEP_VERBS-}'"
		guest_ok -t $((every > 1 ? 3600 : 86400)) "SWEEP_SECOND=/dev/ubdc SWEEP_TWICE=$((every > 1 ? 0 : 97)) HOW=$how ${SWEEP_VERBS+SWEEP_VERBS=\"$SWEEP_VERBS\"} bash /tmp/lvm.sh $every $first /dev/ubdb"
		grep '^# sweep' <<<"$output" >&3
	done
}
