#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The file SR on a real kernel: every verb, as a person gives it.

setup_file() {
	load helpers/lab
	load helpers/sm
	lab_start --disk a:1G
	fs_disk
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_FILE DATAPATH_LOOP FRONT_CLI
	guest_ok 'mkdir -p /srv/d; sm sr create disks --type file --dconf location=/srv/d' >/dev/null
	SR=$output
}

teardown() {
	guest 'for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; sm vdi delete $v; done
		sm sr destroy disks; umount /run/sr-mount/* 2>/dev/null; rmdir /run/sr-mount/*
		judge losetup -D; rm -rf /srv/* /srv/.sm /etc/smtab /run/sm /dev/sm' >/dev/null 2>&1 || true
}

@test "the main job: create, attach, write, detach, resize, delete" {
	guest_ok 'sm vdi create root --sr disks --format raw --size 64M' >/dev/null
	vdi=$output
	guest_ok 'sm vdi attach root' >/dev/null
	dev=$output
	[ "$dev" = "/dev/mapper/sm-$vdi" ]
	guest_ok "[ \$(readlink /dev/sm/backend/$SR/$vdi) = $dev ]"
	guest_ok "echo hello | dd of=$dev conv=fsync 2>/dev/null"
	guest_ok 'sm vdi detach root'
	guest_ok "head -c 5 /srv/d/$vdi.raw" >/dev/null
	[ "$output" = hello ]
	guest_ok 'sm vdi resize root 96M && sm vdi attach root' >/dev/null
	guest_ok "head -c 5 $dev; blockdev --getsize64 $dev" >/dev/null
	[ "$output" = "hello$((96 << 20))" ]
	guest_ok 'sm vdi detach root && sm vdi delete root && sm sr destroy disks'
	guest_ok '[ -z "$(ls -A /srv/d)" ]'
	nothing_left
}

@test "sr create: marker, smtab and mount; the record of an SR" {
	guest_ok '[ -f /srv/d/.sm/sr ] && [ "$(stat -c %a /etc/smtab)" = 600 ]'
	guest_ok 'cat /etc/smtab' >/dev/null
	[ "$output" = "$SR file disks location=/srv/d" ]
	jsonof sm sr show disks
	is '.schema == 1 and .sr.uuid == "'"$SR"'" and .sr.name == "disks" and .sr.type == "file"'
	is '.sr.attached and .sr.path == "/run/sr-mount/'"$SR"'" and .sr.dconf == {"location":"/srv/d"}'
	is '.sr.size > 900000000 and .sr.used < .sr.size and .sr.allocated == 0 and .sr.vdis == 0'
	is '.sr.health == "ok"'
	jsonof sm sr list
	is '.srs | length == 1'
}

@test "an SR is given by uuid, by prefix and by name" {
	for how in "$SR" "${SR:0:8}" disks; do
		jsonof sm sr show "$how"
		is '.sr.uuid == "'"$SR"'"'
	done
	fails 4 '*no such SR*' sm sr show "${SR:0:7}"
	fails 4 '*no such SR*' sm sr show nosuch
}

@test "vdi list and show: the record of a VDI, attached and not" {
	guest_ok 'sm vdi create "my disk" --sr disks --format raw --size 10M --description "two words"' >/dev/null
	vdi=$output
	jsonof sm vdi list --sr disks
	is '.vdis | length == 1'
	is '.vdis[0] | .uuid == "'"$vdi"'" and .name == "my disk" and .description == "two words"'
	is '.vdis[0] | .sr == "'"$SR"'" and .format == "raw" and .virtual_size == 10485760'
	is '.vdis[0] | .parent == null and .children == [] and .snapshot_of == null'
	is '.vdis[0] | .attached == null and (.hidden or .read_only | not)'
	jsonof sm vdi attach "my disk" --read-only
	is '.vdi.attached | .mode == "ro" and .backend == "loop" and .device == "/dev/mapper/sm-'"$vdi"'"'
	guest_ok "! echo x | dd of=/dev/sm/backend/$SR/$vdi conv=fsync 2>/dev/null"
	jsonof sm vdi show "${vdi:0:8}"
	is '.vdi.attached.mode == "ro"'
	guest_ok 'sm vdi detach "my disk"'
}

@test "attach twice is once; another mode is refused" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 4M && sm vdi attach v' >/dev/null
	dev=${lines[1]}
	guest_ok 'sm vdi attach v' >/dev/null
	[ "$output" = "$dev" ]
	guest_ok 'ls -d /sys/block/loop*/loop | wc -l' >/dev/null
	[ "$output" -eq 1 ]
	fails 3 '*attached for writing*' sm vdi attach v --read-only
	guest_ok 'sm vdi detach v && sm vdi detach v'
	nothing_left || guest_ok 'sm sr detach disks'
}

@test "what is in use is not taken away" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 4M && sm vdi attach v' >/dev/null
	dev=${lines[1]}
	fails 3 '*is attached*' sm vdi delete v
	fails 3 '*is attached*' sm sr detach disks
	fails 3 '*is attached*' sm sr destroy disks
	fails 3 '*is attached*' sm sr forget disks
	hold_open "$dev"
	fails 3 "*$dev is open*" sm vdi detach v
	jsonof sm vdi show v
	is '.vdi.attached.device == "'"$dev"'"'
	guest_ok "kill $pid; sleep 0.1; sm vdi detach v"
	fails 1 '*still exist*' sm sr destroy disks
	guest_ok '[ -f /srv/d/.sm/sr ]'
	guest_ok 'sm sr list --minimal' >/dev/null
	[ "$output" = "$SR" ]
}

@test "online growth: the device shows the new size and the old data" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 8M && sm vdi attach v' >/dev/null
	dev=${lines[1]}
	guest_ok "dd if=/dev/urandom of=$dev bs=1M count=8 conv=fsync 2>/dev/null; md5sum <$dev" >/dev/null
	sum=$output
	guest_ok 'sm vdi resize v 16M'
	guest_ok "blockdev --getsize64 $dev; head -c 8388608 $dev | md5sum" >/dev/null
	[ "${lines[0]}" -eq $((16 << 20)) ]
	[ "${lines[1]}" = "$sum" ]
	fails 2 '*shrinking is not allowed*' sm vdi resize v 8M
	guest_ok 'sm vdi resize v 16M && sm vdi detach v'
}

@test "sizes: rounding up to sectors, and what is no size" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 1000' >/dev/null
	jsonof sm vdi show v
	is '.vdi.virtual_size == 1024'
	for size in 0 -1 -5G 9223372036854775808 99999999999999999999 ten 1X '' 1.3 8E; do
		fails 2 'sm: vdi create: *' sm vdi create w --sr disks --format raw --size "$size"
	done
	fails 2 '*size*' sm vdi create w --sr disks --format raw --size 8191P
	jsonof sm vdi list
	is '.vdis | length == 1'
}

@test "names: of blanks, quotes, other scripts; never a control character" {
	for name in 'a b' "it's" '<&">' 'диск' '--x' '$(reboot)' '.hidden'; do
		grun sm vdi create --sr disks --format raw --size 1M -- "$name" >/dev/null
		jsonof sm vdi show "$output"
		[ "$(jq -r .vdi.name <<<"$doc")" = "$name" ]
	done
	fails 2 '*control character*' sm vdi create $'a\nb' --sr disks --format raw --size 1M
	fails 2 '*UTF-8*' sm vdi create $'\xff' --sr disks --format raw --size 1M
	guest_ok 'sm vdi create same --sr disks --format raw --size 1M && sm vdi create same --sr disks --format raw --size 1M' >/dev/null
	fails 2 '*2 VDIs are called same*' sm vdi show same
}

@test "vdi rename: names and descriptions live with the SR" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 1M' >/dev/null
	vdi=$output
	guest_ok 'sm vdi rename v w --description "a \\ b" && sm sr rename disks other && sm sr detach other' >/dev/null
	guest_ok 'rm /etc/smtab; sm sr introduce '"$SR"' --type file --dconf location=/srv/d' >/dev/null
	jsonof sm sr show other
	jsonof sm vdi show w
	is '.vdi.uuid == "'"$vdi"'" and .vdi.description == "a \\ b"'
	guest_ok 'sm vdi delete w && sm sr rename other disks' >/dev/null
}

@test "uuid clash: an SR, a VDI" {
	guest_ok 'mkdir /srv/e'
	fails 1 '*in smtab already*' sm sr create x --type file --dconf location=/srv/e --uuid "$SR"
	guest_ok '[ -z "$(ls -A /srv/e)" ]'
	guest_ok 'sm vdi create v --sr disks --format raw --size 1M' >/dev/null
	fails 1 '*already exists*' sm vdi create w --sr disks --format raw --size 2M --uuid "$output"
	jsonof sm vdi list
	is '.vdis | length == 1'
	is '.vdis[0].virtual_size == 1048576'
}

@test "sr create refuses what holds data, or is no directory" {
	guest_ok 'mkdir /srv/full; echo mine >/srv/full/data; : >/srv/plain; ln -s /srv/full /srv/link'
	fails 1 '*not empty*data*' sm sr create x --type file --dconf location=/srv/full
	fails 2 '*not a directory*' sm sr create x --type file --dconf location=/srv/plain
	for l in link link/ link/. link//.//; do
		fails 2 '*not a directory*' sm sr create x --type file --dconf location=/srv/$l
	done
	fails 2 "*absolute path*" sm sr create x --type file --dconf location=srv/x
	fails 2 "*absolute path*" sm sr create x --type file --dconf location=/srv/../etc
	fails 1 '*no directory to make*' sm sr create x --type file --dconf location=/srv/no/such
	fails 2 '*location*missing*' sm sr create x --type file
	fails 2 "*no dconf key 'loc'*" sm sr create x --type file --dconf location=/srv/y --dconf loc=1
	fails 4 '*no such type*' sm sr create x --type zfs --dconf location=/srv/y
	fails 1 "*SR $SR is here already*" sm sr create x --type file --dconf location=/srv/d
	guest_ok '[ "$(cat /srv/full/data)" = mine ] && [ "$(ls -A /srv/full)" = data ] && [ ! -e /srv/y ]'
	guest_ok 'sm sr list --minimal' >/dev/null
	[ "$output" = "$SR" ]
}

@test "sr probe finds an SR and says how to attach it" {
	jsonof sm sr probe /srv/d
	is '.srs | length == 1'
	is '.srs[0] | .uuid == "'"$SR"'" and .type == "file" and .dconf == {"location":"/srv/d"}'
	guest_ok 'mkdir -p /srv/nothing'
	fails 4 '*no such SR*' sm sr probe /srv/nothing
	fails 4 '*' sm sr probe /srv/missing
	guest_ok 'echo uuid=nonsense >/srv/nothing/x; mkdir /srv/nothing/.sm; mv /srv/nothing/x /srv/nothing/.sm/sr'
	fails 6 '*names no SR*' sm sr probe /srv/nothing
}

@test "detached: known, not usable, attached again" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 1M && sm sr detach disks && sm sr detach disks' >/dev/null
	jsonof sm sr show disks
	is '(.sr.attached | not) and .sr.path == null and .sr.health == "detached"'
	fails 1 '*not attached*sm sr attach*' sm vdi create w --sr disks --format raw --size 1M
	fails 1 '*not attached*' sm vdi show v
	guest_ok 'sm sr attach disks && sm sr attach disks && sm vdi show v' >/dev/null
}

@test "any verb takes --type and --dconf instead of smtab" {
	guest_ok 'sm sr forget disks; cat /etc/smtab' >/dev/null
	[ -z "$output" ]
	guest_ok "sm sr attach $SR --type file --dconf location=/srv/d" >/dev/null
	guest_ok "sm vdi create v --sr $SR --type file --dconf location=/srv/d --format raw --size 1M" >/dev/null
	guest_ok "sm vdi delete $output --sr $SR --type file --dconf location=/srv/d"
	guest_ok "sm sr detach $SR --type file --dconf location=/srv/d"
	guest_ok "sm sr introduce $SR --type file --dconf location=/srv/d" >/dev/null
	jsonof sm sr show disks
}

@test "another SR at the same place is never touched" {
	guest_ok 'sm sr detach disks && sed -i s/^........-/00000000-/ /etc/smtab'
	fails 4 "*another SR lives here: $SR*" sm sr attach disks
	fails 4 "*another SR lives here: $SR*" sm sr destroy disks
	guest_ok "[ -f /srv/d/.sm/sr ] && sed -i s/^........-/${SR:0:8}-/ /etc/smtab"
}

@test "one bad file is reported and the rest are listed" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 1M' >/dev/null
	bad=11111111-2222-3333-4444-555555555555
	link=66666666-2222-3333-4444-555555555555
	guest_ok "mkdir /srv/d/$bad.raw; ln -s /etc/passwd /srv/d/$link.raw; : >/srv/d/notes.txt"
	grun sm vdi list --sr disks --json >/dev/null || true
	[ "$status" -eq 7 ]
	doc=$(<"$LAB_OUT")
	is '(.vdis | length == 1) and (.problems | length == 2)'
	is '[.problems[].object] | sort == ["'"$bad"'","'"$link"'"]'
	fails 6 "*is a symbolic link*" sm vdi attach "$link" --sr disks
	fails 6 "*is a directory*" sm vdi show "$bad" --sr disks
	fails 6 '*2 problems*' sm sr check disks
	guest_ok "rmdir /srv/d/$bad.raw; rm /srv/d/$link.raw; sm sr check disks && sm sr scan disks" >/dev/null
}

@test "what somebody put into .sm leads nowhere and stops nothing" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 1M' >/dev/null
	vdi=$output
	# Directories where files are expected.
	guest_ok "mkdir /srv/d/.sm/tmp/x /srv/d/.sm/tmp/$vdi.raw.d; rm /srv/d/.sm/vdi/$vdi; mkdir /srv/d/.sm/vdi/$vdi"
	guest_ok "sm vdi show $vdi && sm vdi delete $vdi && sm vdi create w --sr disks --format raw --size 1M" >/dev/null
	vdi=${lines[-1]}
	# A record that is a link shows nothing of where it leads, and writes nothing there.
	guest_ok "echo name=secret >/srv/other; ln -sf /srv/other /srv/d/.sm/vdi/$vdi"
	jsonof sm vdi show "$vdi"
	is '.vdi.name == ""'
	fails 1 '*read the record*' sm vdi rename "$vdi" w
	guest_ok "[ \"\$(cat /srv/other)\" = name=secret ] && rm /srv/d/.sm/vdi/$vdi && sm vdi rename $vdi w"
	# A link in place of .sm or of a part of it.
	guest_ok 'mkdir -p /srv/prey/tmp /srv/prey/vdi; : >/srv/prey/tmp/mine; mv /srv/d/.sm/tmp /srv/tmp.away; ln -s /srv/prey/tmp /srv/d/.sm/tmp'
	fails 1 '*' sm vdi delete w
	guest_ok 'rm /srv/d/.sm/tmp; mv /srv/tmp.away /srv/d/.sm/tmp; mv /srv/d/.sm /srv/sm.away; ln -s /srv/prey /srv/d/.sm'
	fails 1 '*' sm vdi delete "$vdi" --sr disks
	guest_ok '[ -f /srv/prey/tmp/mine ] && rm /srv/d/.sm && mv /srv/sm.away /srv/d/.sm && sm vdi delete w'
	guest_ok 'sm sr destroy disks && [ ! -e /srv/d/.sm/sr ]'
}

@test "a read-only file system: nothing is promised" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 1M && : >/srv/d/.sm/tmp/left && mount -o remount,ro /srv' >/dev/null
	guest_ok 'sm sr detach disks && sm sr attach disks && sm vdi attach v --read-only && sm vdi detach v' >/dev/null
	fails 1 '*' sm vdi create w --sr disks --format raw --size 1M
	fails 1 '*' sm vdi delete v
	guest_ok 'sm vdi list --minimal' >/dev/null
	guest_ok 'mount -o remount,rw /srv && sm sr detach disks && sm sr attach disks && sm vdi delete v && sm sr check disks'
	guest_ok '[ -z "$(ls -A /srv/d/.sm/tmp)" ]'
}

@test "a full file system: no space is said, and nothing half-made is left" {
	guest_ok 'judge mkfs.ext4 -qF /dev/ram0 && mkdir -p /mnt/small && mount /dev/ram0 /mnt/small &&
		rm -r /mnt/small/lost+found && sm sr create small --type file --dconf location=/mnt/small' >/dev/null
	fails 5 '*' sm vdi create big --sr small --format raw --size 1T --sm-config allocation=thick
	guest_ok 'dd if=/dev/zero of=/mnt/small/.fill bs=64k 2>/dev/null; dd if=/dev/zero of=/mnt/small/.fill2 bs=512 2>/dev/null; sync; true'
	fails 5 '*' sm vdi create v --sr small --format raw --size 1M --sm-config allocation=thick
	guest_ok '[ -z "$(ls -A /mnt/small/.sm/tmp /mnt/small/.sm/vdi 2>/dev/null | grep -v :)" ]'
	guest_ok 'rm /mnt/small/.fill*; sm vdi create v --sr small --format raw --size 1M --sm-config allocation=thick' >/dev/null
	jsonof sm vdi show v
	is '.vdi.physical_size >= 1048576'
	guest_ok 'sm vdi delete v && sm sr destroy small && umount /mnt/small'
}

@test "two processes at once: both succeed and both disks are there" {
	guest_ok 'for i in 1 2 3 4 5 6 7 8; do sm vdi create v$i --sr disks --format raw --size 1M >/tmp/o$i 2>&1 & done; wait
		cat /tmp/o? | wc -l' >/dev/null
	[ "$output" -eq 8 ]
	jsonof sm vdi list
	is '.vdis | length == 8'
	# The same new SR twice: one makes it, the other is told that it exists.
	guest_ok 'mkdir -p /srv/twice; for i in 1 2; do
		{ sm sr create t --type file --dconf location=/srv/twice >/dev/null 2>&1; echo $? >/tmp/s$i; } & done; wait
		sort /tmp/s1 /tmp/s2 | tr "\n" " "; sm sr destroy t' >/dev/null
	[ "${lines[0]}" = "0 1 " ]
}

@test "locks: a stale lock file is none, a held one is waited for" {
	guest_ok "mkdir -p /var/lock/sm/$SR; echo stale >/var/lock/sm/$SR/sr; sm vdi create v --sr disks --format raw --size 1M" >/dev/null
	guest_ok "exec 9>/var/lock/sm/$SR/sr; judge true; flock -n 9 true; true"
	# A record lock as upstream takes it, held for a second by another process.
	guest_ok "judge python3 -c 'import fcntl,time
f=open(\"/run/lock/sm/$SR/sr\",\"r+\")
fcntl.lockf(f,fcntl.LOCK_EX)
print(\"held\",flush=True)
time.sleep(2)' >/tmp/held & until grep -q held /tmp/held; do sleep 0.05; done
		s=\$(cut -d. -f1 /proc/uptime); sm vdi create w --sr disks --format raw --size 1M >/dev/null || exit 1
		e=\$(cut -d. -f1 /proc/uptime); [ \$((e - s)) -ge 1 ]; r=\$?; wait; exit \$r"
	guest_ok "judge python3 -c 'import fcntl,time
f=open(\"/run/lock/sm/$SR/sr\",\"r+\")
fcntl.lockf(f,fcntl.LOCK_EX)
print(\"held\",flush=True)
time.sleep(4)' >/tmp/held2 & until grep -q held /tmp/held2; do sleep 0.05; done"
	fails 124 '*deadline*' sm --timeout 1 vdi create x --sr disks --format raw --size 1M
}

@test "killed in the middle of create: the next verb finishes or undoes it" {
	vdi=77777777-2222-3333-4444-555555555555
	# What a process leaves that dies after its record and before its commit.
	guest_ok "truncate -s 1M /srv/d/.sm/tmp/$vdi.raw; echo name=half >/srv/d/.sm/vdi/$vdi"
	jsonof sm vdi list
	is '.vdis == []'
	guest_ok 'sm vdi create v --sr disks --format raw --size 1M' >/dev/null
	guest_ok '[ -z "$(ls -A /srv/d/.sm/tmp)" ] && [ "$(ls /srv/d/.sm/vdi | wc -l)" -eq 1 ]'
	# And in truth: at random moments, many times.
	guest_ok 'for i in $(seq 40); do sm vdi create k$i --sr disks --format raw --size 1M >/dev/null 2>&1 & p=$!
		usleep $((RANDOM % 20000)); kill -9 $p 2>/dev/null; wait $p 2>/dev/null; done
		sm sr scan disks && sm sr check disks && [ -z "$(ls -A /srv/d/.sm/tmp)" ] &&
		[ "$(ls /srv/d/.sm/vdi | wc -l)" -eq "$(ls /srv/d/*.raw | wc -l)" ]' >/dev/null
}

@test "an attach that died half way is finished by attach and undone by detach" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 1M && sm vdi attach v' >/dev/null
	vdi=${lines[0]} dev=${lines[1]}
	# Died after the device: no link yet.
	guest_ok "rm /dev/sm/backend/$SR/$vdi; sm vdi attach v" >/dev/null
	[ "$output" = "$dev" ]
	guest_ok "[ -L /dev/sm/backend/$SR/$vdi ]"
	# Died after the loop device: no port yet.
	guest_ok "rm /dev/sm/backend/$SR/$vdi; judge dmsetup remove sm-$vdi; sm vdi show v --json | grep >/dev/null /dev/loop; sm vdi attach v" >/dev/null
	[ "$output" = "$dev" ]
	# And a detach that died there.
	guest_ok "judge dmsetup remove sm-$vdi; sm vdi detach v; ls -d /sys/block/loop*/loop | wc -l; sm vdi attach v" >/dev/null
	[ "${lines[-2]}" -eq 0 ]
	# Died after the record: no device yet.
	guest_ok "rm /dev/sm/backend/$SR/$vdi; judge dmsetup remove sm-$vdi; losetup -d /dev/loop0; sm vdi attach v && sm vdi detach v" >/dev/null
	# The record itself was lost: the kernel still knows.
	guest_ok "sm vdi attach v && rm -r /run/sm/attached" >/dev/null
	fails 3 '*is attached*' sm vdi delete v
	guest_ok 'sm vdi detach v && sm vdi delete v'
}

@test "the image or its directory goes away while attached: detach works all the same" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 4M && sm vdi attach v' >/dev/null
	vdi=${lines[0]}
	guest_ok "rm /srv/d/$vdi.raw"
	fails 3 "*sm vdi detach $vdi*" sm sr detach disks
	guest_ok "sm vdi detach $vdi && sm sr check disks --repair" >/dev/null
	fails 4 '*no such VDI*' sm vdi detach "$vdi"
	guest_ok 'sm vdi create w --sr disks --format raw --size 4M && sm vdi attach w && mv /srv/d /srv/e && mkdir /srv/d' >/dev/null
	guest_ok 'sm vdi detach w && rmdir /srv/d && mv /srv/e /srv/d && sm vdi delete w && sm sr destroy disks'
	nothing_left
}

@test "a detach that died while the device was open: attach keeps the device" {
	guest_ok 'sm vdi create v --sr disks --format raw --size 4M && sm vdi attach v' >/dev/null
	vdi=${lines[0]} dev=${lines[1]}
	guest_ok "judge dmsetup remove sm-$vdi"
	hold_open /dev/loop0
	guest 'timeout -s KILL 0.3 sm vdi detach v' || true
	guest_ok '[ $(cat /sys/block/loop0/loop/autoclear) = 1 ]'
	guest_ok "sm vdi attach v && kill $pid && sleep 0.1 && [ \$(cat /sys/block/loop0/loop/autoclear) = 0 ]" >/dev/null
	jsonof sm vdi show v
	is '.vdi.attached.device == "'"$dev"'"'
}

@test "SRs made at once in one directory: one is, the others are told of it" {
	guest_ok 'mkdir /srv/t; for i in 1 2 3 4 5 6; do sm sr create t$i --type file --dconf location=/srv/t >/dev/null 2>&1 & done; wait; sm sr list --minimal' >/dev/null
	[ "$(tr , '\n' <<<"$output" | wc -l)" -eq 2 ]
	guest_ok "for s in ${output//,/ }; do [ \$s = $SR ] || { grep -q uuid=\$s /srv/t/.sm/sr && sm sr destroy \$s; }; done; rmdir /srv/t"
}

@test "an attach that waited while the SR was forgotten attaches nothing" {
	guest_ok 'sm sr detach disks; for i in 1 2 3 4 5 6 7 8; do (sm sr attach disks & sm sr forget disks & wait) >/dev/null 2>&1
		grep -q disks /etc/smtab || ! grep -q /run/sr-mount/ /proc/mounts || exit 1
		sm sr introduce '"$SR"' --type file --dconf location=/srv/d --name disks >/dev/null || exit 1; sm sr detach disks; done; sm sr attach disks' >/dev/null
}

@test "--dry-run says what would be done and does nothing" {
	guest_ok 'find /srv /etc /run/sm /dev/sm /var/lock 2>/dev/null | sort | md5sum' >/dev/null
	before=$output
	jsonof sm vdi create v --sr disks --format raw --size 1M --dry-run
	is '.plan | length >= 1'
	guest_ok 'sm vdi create v --sr disks --format raw --size 1M --sm-config allocation=thick --dry-run --json' >/dev/null
	[ "$(jq .space <<<"$output")" -eq 1048576 ]
	guest_ok 'sm sr destroy disks --dry-run; sm sr create y --type file --dconf location=/srv/y --dry-run' >/dev/null
	guest_ok 'find /srv /etc /run/sm /dev/sm /var/lock 2>/dev/null | sort | md5sum' >/dev/null
	[ "$output" = "$before" ]
}

@test "SM_ROOT moves everything of ours below a directory" {
	guest_ok 'export SM_ROOT=/srv/root; sm sr create r --type file --dconf location=/srv/r &&
		sm vdi create v --sr r --format raw --size 1M && sm vdi attach v' >/dev/null
	sr=${lines[0]} vdi=${lines[1]}
	guest_ok "[ -L /srv/root/dev/sm/backend/$sr/$vdi ] && [ -e /srv/root/etc/smtab ] &&
		[ -e /srv/root/run/sm/attached/$sr/$vdi ] && grep -q /srv/root/run/sr-mount/$sr /proc/mounts"
	guest_ok 'sm sr list --minimal' >/dev/null
	[ "$output" = "$SR" ]
	guest_ok 'export SM_ROOT=/srv/root; sm vdi detach v && sm vdi delete v && sm sr destroy r && rm -r /srv/root'
	fails 2 '*SM_ROOT*' env SM_ROOT=relative sm sr list
}

@test "secrets and requests: what the log says" {
	guest_log on
	guest_ok 'sm vdi create v --sr disks --format raw --size 1M' >/dev/null
	guest_ok 'sleep 0.2; cat /tmp/log/messages' >/dev/null
	[[ $output == *"vdi create: VDI"*"made"* ]]
	grun sm -v vdi delete v >/dev/null 2>&1
	[[ $stderr == *"vdi delete"* ]]
}

@test "4096-byte sectors below: the device has them too" {
	guest_ok 'truncate -s 64M /mnt/4k.img && d=$(judge losetup -f --show -b 4096 /mnt/4k.img) && judge mkfs.ext4 -qF $d && mkdir -p /mnt/k && mount $d /mnt/k &&
		rm -r /mnt/k/lost+found && sm sr create k --type file --dconf location=/mnt/k && sm vdi create v --sr k --format raw --size 8M &&
		v=$(sm vdi attach v) && blockdev --getss $v' >/dev/null
	[ "${lines[-1]}" -eq 4096 ]
	guest_ok 'sm vdi detach v && sm vdi delete v && sm sr destroy k && umount /mnt/k && judge losetup -D && rm /mnt/4k.img'
}

@test "what somebody else has mounted at the SR's place: its own directory is taken, another is refused" {
	guest_ok "sm vdi create v --sr disks --format raw --size 1M && sm sr detach disks && mkdir -p /srv/other /run/sr-mount/$SR &&
		mount --bind /srv/other /run/sr-mount/$SR" >/dev/null
	fails 3 '*shows another directory than /srv/d*' sm sr attach disks
	guest_ok "umount /run/sr-mount/$SR && mount --bind /srv/d /run/sr-mount/$SR && sm sr attach disks &&
		[ \$(grep -c ' /run/sr-mount/$SR ' /proc/mounts) = 1 ] && sm vdi attach v && sm vdi detach v &&
		sm sr detach disks && ! grep ' /run/sr-mount/' /proc/mounts && sm sr attach disks && sm vdi delete v" >/dev/null
}

# An empty one of 16 MiB, by mkfs.btrfs --mixed -m single -d single.
@test "on btrfs clones share their blocks, and sr show says so" {
	needs SNAPSHOTS VDI_COPY FMT_VHD
	mkdir -p "$LAB_DIR/a/share"
	xz -dc "$BATS_TEST_DIRNAME/vectors/fs/btrfs.img.xz" >"$LAB_DIR/a/share/btrfs"
	guest_ok 'cp /share/btrfs /srv/btrfs && mkdir -p /mnt/b && mount -t btrfs -o loop /srv/btrfs /mnt/b && sm sr create b --type file --dconf location=/mnt/b &&
		head -c 2097152 /dev/urandom >/tmp/noise && for f in raw vhd; do
			sm vdi create $f --sr b --format $f --size 4M && dev=$(sm vdi attach $f) && dd if=/tmp/noise of=$dev bs=64k conv=fsync 2>/dev/null && sm vdi detach $f || exit
		done' >/dev/null
	jsonof sm sr show b
	is '.sr.fast_clone == null'
	guest_ok 'used() { sync; df -k /mnt/b | awk "END { print \$3 }"; }
		before=$(used); for f in raw vhd; do sm vdi clone $f $f-clone || exit; done >/dev/null; after=$(used)
		for f in raw vhd; do
			dev=$(sm vdi attach $f-clone) && head -c 2097152 $dev | cmp - /tmp/noise && echo x | dd of=$dev conv=fsync 2>/dev/null && sm vdi detach $f-clone || exit
			dev=$(sm vdi attach $f --read-only) && head -c 2097152 $dev | cmp - /tmp/noise && sm vdi detach $f || exit
		done; echo $before $after; [ $((after - before)) -lt 1024 ]'
	jsonof sm sr show b
	is '.sr.fast_clone == true'
	jsonof sm vdi list --sr b
	is '[.vdis[] | select(.hidden)] == [] and (.vdis | length) == 4'
	guest_ok 'for v in raw vhd raw-clone vhd-clone; do sm vdi delete $v || exit; done; sm sr destroy b && umount /mnt/b && rm /srv/btrfs'
}

@test "dummy: every call is answered, nothing is kept" {
	needs SR_DUMMY
	guest_ok 'sm sr create nothing --type dummy && sm vdi create v --sr nothing --size 1M && sm vdi list --sr nothing --minimal' >/dev/null
	[ "${#lines[@]}" -le 3 ]
	guest_ok 'sm sr destroy nothing'
}
