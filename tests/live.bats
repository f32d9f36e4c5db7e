#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks that are changed while a guest writes to them: snapshots, clones, growing; and every death
# on the way.  What a snapshot holds is judged by numbered writes (lab/tools/stamp.c).

setup_file() {
	load helpers/lab
	load helpers/sm
	load helpers/dm
	lab_start --disk a:1G --disk b:1G
	fs_disk
	dm_tool stamp
	dm_tool dieat
	dm_tool holdat
	guest_put "$BATS_TEST_DIRNAME/nbd/guest.bash" /tmp/nbd.bash
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	load helpers/sm
	needs SR_FILE SR_LVM DATAPATH_NBD SNAPSHOTS FRONT_CLI
}

teardown() {
	guest 'jobs -p | xargs -r kill; umount /mnt
		for v in $(sm vdi list --minimal | tr , " "); do sm vdi detach $v; done
		for i in 1 2 3 4 5; do for v in $(sm vdi list --minimal | tr , " "); do sm vdi delete $v; done; done
		for s in $(sm sr list --minimal | tr , " "); do sm sr destroy $s; done
		rm -rf /srv/* /srv/.sm /etc/smtab /run/sm /dev/sm' >/dev/null 2>&1 || true
	guest '. /tmp/nbd.bash; nothing_left; ls /dev/mapper'
	[ "$output" = control ]
}

# new_sr TYPE [ALLOCATION [FORMAT [SIZE]]]: an SR and an attached disk of it.
new_sr() {
	case $1 in
	file) guest_ok 'mkdir -p /srv/d; sm sr create disks --type file --dconf location=/srv/d' >/dev/null ;;
	lvm) guest_ok "sm sr create disks --type lvm --dconf device=/dev/ubdb --dconf allocation=$2" >/dev/null ;;
	esac
	SR=$output
	guest_ok "sm vdi create v --sr disks --size ${4:-64M} --format ${3:-vhd}" >/dev/null
	VDI=$output
	guest_ok 'sm vdi attach v' >/dev/null
}

# in_guest TEXT [SECONDS]
in_guest() {
	guest_ok -t "${2:-60}" "V=$VDI D=/dev/mapper/sm-$VDI SR=$SR; . /tmp/nbd.bash; $1"
}

# moments: each of s1 c1 s2 c2 is one moment of the disk, and none earlier than the one before.
moments='moments() {
		local last=(0 0 0 0) i x d now
		for i in 1 2; do
			for x in s c; do
				d=$(sm vdi attach $x$i --read-only)
				now=$(stamp check $d "${last[@]}")
				sm vdi detach $x$i
				last=($now)
			done
		done
	};'

# Snapshots and clones of a disk that is written, and then what each of them holds.
under_load="$moments"'stamp write $D 600 >/tmp/stamp & w=$!
	size=64
	for i in 1 2; do
		sm vdi snapshot v s$i >/dev/null
		sm vdi clone v c$i >/dev/null
		sm vdi resize v $((size += 4))M >/dev/null
		kill -0 $w
	done
	kill -TERM $w; wait $w; cat /tmp/stamp >&2
	read -r -a n </tmp/stamp
	stamp check $D "${n[@]:0:4}"
	[ "$(blockdev --getsize64 $D)" = $((size << 20)) ]
	pattern 9 $((size - 2)) 2; check 9 $((size - 2)) 2
	sm vdi detach v
	moments
	sm sr check disks
	sm vdi attach v; stamp check $D "${n[@]:0:4}"; check 9 $((size - 2)) 2; sm vdi detach v; nothing_left'

@test "file: snapshots, clones and growing under a writer: each of them is one moment of the disk" {
	new_sr file
	in_guest "$under_load" 90
}

@test "lvm: the same" {
	new_sr lvm thick
	in_guest "$under_load" 90
}

# One raw disk is written and another read, while they become VHDs; fio judges what it wrote itself.
raw_load="$moments"'shows() { sm vdi show $1 --json | grep >/dev/null "\"$2\": *\"$3\""; }
	loops() { [ -z "$(losetup -a | grep $1)" ] || { losetup -a >&2; return 1; }; }
	R=$(sm vdi create r --sr disks --size 8M --format raw); d=$(sm vdi attach r)
	(D=$d; pattern 5 3 2); sm vdi detach r; sm vdi attach r --read-only >/dev/null; was=$(md5sum <$d)
	stamp write $D 600 >/tmp/stamp & w=$!
	fio --offset=8M --size=16M --rw=randwrite --bs=4k --iodepth=4 --number_ios=200 --rate_iops=200 --fsync=50 --do_verify=1 & f=$!
	shows v backend $1; shows r backend $1
	for i in 1 2; do
		sm vdi snapshot v s$i >/dev/null; sm vdi clone v c$i >/dev/null
		kill -0 $w
		shows v backend nbd; shows v format vhd
	done
	loops $V; s=$(sm vdi snapshot r sr); shows r backend nbd; loops $R; [ "$(md5sum <$d)" = "$was" ]
	sm vdi attach $s --read-only >/dev/null; [ "$(md5sum </dev/mapper/sm-$s)" = "$was" ]; sm vdi detach $s
	sm vdi detach r; [ "$(md5sum <$(sm vdi attach r))" = "$was" ]; sm vdi detach r
	kill -TERM $w; wait $w; wait $f; cat /tmp/stamp >&2
	read -r -a n </tmp/stamp
	w=$(worker); kill -9 $w; wait_worker $w; stamp check $D "${n[@]:0:4}"
	sm vdi detach v; nothing_left
	moments
	sm sr check disks; sm vdi attach v; stamp check $D "${n[@]:0:4}"; sm vdi detach v; nothing_left'

@test "file: snapshots and clones of raw disks in use: they become VHDs under who writes or reads them" {
	new_sr file "" raw 32M
	in_guest "set -- loop; $raw_load" 120
}

@test "lvm: raw disks in use, the same" {
	new_sr lvm thick raw 32M
	in_guest "set -- lv; $raw_load; judge vgck VG_XenStorage-\$SR" 120
}

# Snapshots of a disk that is written go away, and so does all that they leave.
going_away='nodes() { sm vdi tree disks --json | grep -c "\"uuid\""; }
		stamp write $D 300 >/tmp/stamp & w=$!
		for i in 1 2; do
			sm vdi snapshot v s$i >/dev/null; pattern 9 $((40 + i * 6)) 6; sm vdi snapshot v t$i >/dev/null
			sm vdi delete s$i; sm vdi delete t$i
			sm gc run disks
			kill -0 $w
		done
		kill -TERM $w; wait $w
		sm gc run disks; sm gc plan disks | grep "nothing to do"; [ "$(nodes)" -eq 1 ]
		read -r -a n </tmp/stamp
		stamp check $D "${n[@]:0:4}"; check 9 46 12
		sm vdi detach v; sm sr check disks; sm vdi attach v; stamp check $D "${n[@]:0:4}"; check 9 46 12; sm vdi detach v; nothing_left'

@test "file: snapshots go away under a writer: all is merged while it writes" {
	new_sr file
	in_guest "$going_away" 240
}

@test "lvm: the same, and the volumes are as large as they were" {
	new_sr lvm thick
	in_guest "lvs() { judge lvs --noheadings -o lv_size; }; was=\$(lvs)
		$going_away"'
		[ "$(lvs)" = "$was" ]; judge vgck VG_XenStorage-$SR' 240
}

# At last the base takes the disk's place, and it is what it was: raw, and served by who served the VHD.
raw_again='raw() { sm vdi show v --json | tr -d "\n" | grep >/dev/null "\"format\": *\"raw\".*\"backend\": *\"nbd\""; }
		kept() { raw; w=$(worker); kill -9 $w; wait_worker $w; stamp check $D "${n[@]:0:4}"; check 9 46 6; raw; }'
raw_away=${going_away/in 1 2;/in 1;}
raw_away=${raw_away//46 12/46 6}
raw_away=$raw_again$'\n'${raw_away/sm vdi detach v;/kept; sm vdi detach v;}

@test "file: a snapshot of a raw disk goes away under a writer: it is raw again, and goes on" {
	needs LIVE_RAW
	new_sr file "" raw
	in_guest "$raw_away"' [ -z "$(ls /srv/d | grep vhd)" ]' 240
}

@test "lvm: the same, and lvm2 sees a raw volume" {
	needs LIVE_RAW
	new_sr lvm thick raw
	in_guest "lvs() { judge lvs --noheadings -o lv_name,lv_size; }; was=\$(lvs)
		$raw_away"'
		[ "$(lvs)" = "$was" ]; judge vgck VG_XenStorage-$SR' 240
}

@test "file: a base that has to grow for what is merged into it: the disk above it reads the same" {
	new_sr file
	in_guest 'seen() { echo 3 >/proc/sys/vm/drop_caches; check 3 0 1; check 4 62 1; check 5 500 1; check 6 501 1; check 5 502 1; }
		pattern 4 62 1; pattern 3 0 1; sm vdi snapshot v s1 >/dev/null; sm vdi resize v 4G
		pattern 5 500 3; sm vdi snapshot v s2 >/dev/null; pattern 6 501 1; seen
		sm vdi delete s1; sm gc run disks --rate 512K >/tmp/gc & g=$!
		until sm gc status disks | grep >/dev/null copying; do kill -0 $g; done
		seen; kill -0 $g; wait $g; grep merged /tmp/gc; seen
		sm vdi detach v; sm sr check disks; sm vdi attach v; seen; sm vdi detach v; nothing_left' 120
}

# A disk grows while what lies below it is copied, and while it is copied itself: it sleeps 100 ms at most before it has the
# locks that it needs (of three in use the one between the others), and loses nothing.
grows_meanwhile='copying() { kill -0 $g; sm gc status disks | grep >/dev/null copying; }
		until_copying() { until sm gc status disks | grep >/dev/null copying; do kill -0 $g; done; }
		grow() {
			(kill -STOP $BASHPID; exec sm vdi resize v $((size += 2))M >/dev/null) & p=$!
			size=$((size + 2))
			judge strace -qq -p $p -e trace=nanosleep -o /tmp/slept >/dev/null 2>&1 & s=$!
			until grep >/dev/null "^TracerPid:.*[1-9]" /proc/$p/status; do kill -0 $s; done
			kill -CONT $p; wait $p; wait $s || true
			awk -F "[=,}]" "{ ms += \$2 * 1000 + \$4 / 1000000 } END { print int(ms) }" /tmp/slept >>/tmp/ms
		}
		slept() { sort -n /tmp/ms | sed -n $1p; rm /tmp/ms; }
		seen() { echo 3 >/proc/sys/vm/drop_caches; check 3 0 2; check 4 2 6; check 5 8 8; [ -z "$1" ] || check 6 66 4; }
		size=64; pattern 3 0 4; sm vdi snapshot v s1 >/dev/null; pattern 4 2 8; sm vdi snapshot v s2 >/dev/null; pattern 5 8 8
		sm vdi delete s1; sm gc run disks --rate 512K >/tmp/gc & g=$!
		until_copying; for i in 1 2 3; do grow; copying; done; used=$(slept 2)
		pattern 6 66 4; seen 6; sm gc stop disks; ! wait $g; seen 6
		sm vdi detach v; sm vdi delete s2
		sm gc run disks --rate 2M >/tmp/gc 2>&1 & g=$!
		until_copying; grow; wait $g || [ $? = 7 ]; leaf=$(slept 1)
		echo "slept: $used ms in use, $leaf ms as a leaf" >&2
		sm gc run disks; [ "$(sm vdi tree disks --json | grep -c "\"uuid\"")" -eq 1 ]; sm sr check disks
		sm vdi attach v; seen 6; check 0 70 $((size - 70)); [ "$(blockdev --getsize64 $D)" = $((size << 20)) ]; sm vdi detach v; nothing_left
		[ $used -le 100 ]; [ $leaf -le 100 ]'

@test "file: a disk grows while its tree is copied: it hardly waits, and loses nothing" {
	new_sr file
	in_guest "$grows_meanwhile" 240
}

@test "lvm: a disk grows while its tree is copied: it hardly waits, and loses nothing" {
	new_sr lvm thick
	in_guest "$grows_meanwhile" 240
}

@test "lvm, thin: what there is no room for is refused, and the disk goes on" {
	new_sr lvm thin
	in_guest 'pattern 1 0 1; i=0
		while sm vdi create f$((++i)) --sr disks --size 128M --format raw >/dev/null 2>&1; do :; done
		while sm vdi create f$((++i)) --sr disks --size 16M --format raw >/dev/null 2>&1; do :; done
		refused sm vdi clone v c | grep -i "is full"; refused sm vdi resize v 512M | grep -i "is full"
		pattern 2 1 1; check 1 0 1; check 2 1 1; [ "$(blockdev --getsize64 $D)" = 67108864 ]
		sm vdi detach v; nothing_left; sm sr check disks'
}

# Every so many system calls of the commander it dies, and the writer does not notice.
deaths='stamp write $D 200 >/tmp/stamp & w=$! died=0
	for ((n = first; ; n += every)); do
		s=0; dieat $n sm vdi snapshot v >/tmp/said 2>&1 || s=$?
		if gave_up $s; then n=$((n - every)); continue; fi
		[ $s = 137 ] || break
		died=$((died + 1)); kill -0 $w
	done
	cat /tmp/said; [ $s = 0 ]; [ $died -gt 4 ]
	kill -TERM $w; wait $w; read -r -a n </tmp/stamp
	stamp check $D "${n[@]:0:4}"; sm vdi detach v; nothing_left; sm sr check disks
	for x in $(sm vdi list --minimal | tr , " "); do
		d=$(sm vdi attach $x --read-only); stamp check $d; sm vdi detach $x
	done
	sm vdi attach v; stamp check $D "${n[@]:0:4}"; sm vdi detach v'

@test "the commander dies at any system call: the disk goes on by itself" {
	local every=${LIVE_EVERY:-131}

	new_sr file
	in_guest "every=$every first=$(($(date +%-j) * 7 % every + 1)); $deaths" 120
}

@test "the commander dies, on lvm" {
	local every=${LIVE_EVERY:-211}

	new_sr lvm thick
	in_guest "every=$every first=$(($(date +%-j) * 7 % every + 1)); $deaths" 120
}

# Who makes the first snapshot of a raw disk dies, as often as there are such; then another verb comes.
raw_deaths='export SM_GC=off; died=0
	for ((at = first; ; at += every)); do
		stamp write $D 200 >/tmp/stamp & w=$!
		s=0; dieat $at sm vdi snapshot v >/dev/null 2>&1 || s=$?
		kill -0 $w
		case $((died % 4)) in
		0) sm vdi snapshot v again >/dev/null ;;
		1) sm vdi resize v 12M >/dev/null; [ "$(blockdev --getsize64 $D)" = $((12 << 20)) ] ;;
		2) sm vdi attach v >/dev/null ;;
		esac
		kill -TERM $w; wait $w; read -r -a n </tmp/stamp
		stamp check $D "${n[@]:0:4}"; sm vdi detach v; nothing_left; sm sr check disks
		[ -z "$(losetup -a | grep $V)" ]
		for x in $(sm vdi list --minimal | tr , " "); do
			d=$(sm vdi attach $x --read-only); stamp check $d; sm vdi detach $x
		done
		sm vdi attach v; stamp check $D "${n[@]:0:4}"; sm vdi detach v
		for x in $(sm vdi list --minimal | tr , " "); do sm vdi delete $x; done
		[ $s = 137 ] || break
		died=$((died + 1))
		V=$(sm vdi create v --sr disks --size 8M --format raw); D=$(sm vdi attach v)
	done >/dev/null
	[ $s = 0 ]; [ $died -gt 2 ]'

@test "the commander dies while a raw disk is moved, on file: it is on the one or on the other" {
	local every=${LIVE_EVERY:-211}

	new_sr file "" raw 8M
	in_guest "every=$every first=$(($(date +%-j) * 7 % every + 1)); $raw_deaths" 180
}

@test "the commander dies while a raw disk is moved, on lvm" {
	local every=${LIVE_EVERY:-389}

	new_sr lvm thick raw 8M
	in_guest "every=$every first=$(($(date +%-j) * 7 % every + 1)); $raw_deaths" 180
}

# A raw disk in use whose snapshot went: who merges it dies, as often as that can be, and the next one ends it.
raw_merge_deaths='export SM_GC=off; died=0
	raw() { sm vdi show v --json | grep >/dev/null "\"format\": *\"raw\""; }
	for ((at = first; ; at += every)); do
		sm vdi snapshot v s >/dev/null; sm vdi delete s
		stamp write $D 200 >/tmp/stamp & w=$!
		s=0; dieat $at sm gc run disks >/tmp/said 2>&1 || s=$?
		kill -0 $w
		sm gc run disks; kill -TERM $w; wait $w; sm gc run disks; raw
		read -r -a n </tmp/stamp
		stamp check $D "${n[@]:0:4}"; sm sr check disks
		sm vdi detach v; nothing_left; sm vdi attach v; stamp check $D "${n[@]:0:4}"; sm vdi detach v; sm vdi delete v
		V=$(sm vdi create v --sr disks --size 8M --format raw); D=$(sm vdi attach v)
		[ $s = 137 ] || break
		died=$((died + 1))
	done >/dev/null
	cat /tmp/said; [ $s = 0 ]; [ $died -gt 1 ]'

@test "the collector dies while it makes a disk in use raw again, on file" {
	local every=${LIVE_EVERY:-397}

	needs LIVE_RAW
	new_sr file "" raw 8M
	in_guest "every=$every first=$(($(date +%-j) * 7 % every + 1)); $raw_merge_deaths" 180
}

@test "the collector dies while it makes a disk in use raw again, on lvm" {
	local every=${LIVE_EVERY:-1301}

	needs LIVE_RAW
	new_sr lvm thick raw 8M
	in_guest "every=$every first=$(($(date +%-j) * 7 % every + 1)); $raw_merge_deaths" 180
}

# One kind of disk and one way of dying or failing a day: sweep/grow.sh.  RESIZE_EVERY=1, RESIZE_KIND and RESIZE_HOW try more.
@test "who grows a disk in use is disturbed anywhere, or its server dies: the disk goes on, and the next verb makes an end of it" {
	local day every=${RESIZE_EVERY:-$((397 * ${PACE:-1}))} kinds=(file-vhd lvm-raw lvm-thin file-base lvm-vhd file-raw lvm-base)
	local ways=(kill EIO server EINTR ENOSPC EIO+ short server kill EMFILE)

	day=$(date +%-j)
	kind=${RESIZE_KIND:-${kinds[day % 7]}} how=${RESIZE_HOW:-${ways[day % 10]}}
	# Of these each takes seconds.
	[ "$how" != server ] || every=${RESIZE_EVERY:-$((every * 4))}
	first=${RESIZE_FIRST:-$((day * 7 % every + 1))}
	echo "RESIZE_KIND='$kind' RESIZE_HOW='$how' RESIZE_FIRST=$first RESIZE_EVERY=$every"
	sweep_put grow.sh
	for k in $kind; do
		guest_ok -t $([ -n "${RESIZE_EVERY-}" ] && echo 86400 || echo 600) "bash /tmp/grow.sh $every $first $k $how"
		grep '^# sweep' <<<"$output" >&3
	done
}

@test "a server dies when its disk has grown, before its device has: the next one waits for nobody who waits for it" {
	new_sr file
	in_guest 'pattern 1 0 2; holdat 57 /tmp/held sm vdi resize v 66M >/tmp/said 2>&1 & c=$!
		for ((i = 0; i < 200; i++)); do [ ! -e /tmp/held ] || break; sleep 0.05; done
		[ "$(cat /sys/block/nbd0/size)" = 135168 ]; w=$(worker); kill -9 $w
		(check 1 0 2; echo done) >/tmp/asked 2>&1 & a=$!
		until grep >/dev/null "[1-9]" /sys/dev/block/$(stat -c 0x%t:0x%T $D | { IFS=: read -r a b; echo $((a)):$((b)); })/inflight; do sleep 0.02; done
		rm /tmp/held; if wait $c; then [ ! -s /tmp/said ]; else grep "does not answer" /tmp/said; fi
		wait $a; grep done /tmp/asked
		sm vdi resize v 66M; [ "$(blockdev --getsize64 $D)" = $((66 << 20)) ]; pattern 2 64 2; check 2 64 2; check 1 0 2
		sm vdi detach v; nothing_left; image_is_sound' 90
}

# held: a snapshot of v stands still between pause (recvmsg) and commit (renameat); its process is $c.
held='held() { holdat 47/264 /tmp/held sm vdi snapshot v s >/tmp/said 2>&1 & c=$!
		for ((i = 0; i < 100; i++)); do [ ! -e /tmp/held ] || return 0; sleep 0.05; done; return 1; };'

@test "the server dies while a snapshot is made under it: the next one is on the new image" {
	new_sr file
	in_guest "$held"'pattern 1 0 2; pattern 2 4 1; held
		w=$(worker); kill -9 $w; wait_worker $w
		rm /tmp/held; wait $c || true; grep "does not go on: .*has died" /tmp/said
		pattern 3 0 1; check 3 0 1; check 1 1 1; check 2 4 1
		d=$(sm vdi attach s --read-only); D=$d check 1 0 2; sm vdi detach s
		# Before it has paused: refused, and nothing acknowledged is lost.
		pattern 4 1 1; w=$(worker); kill -STOP $w
		sm vdi snapshot v s2 >/tmp/said 2>&1 & c=$!
		sleep 0.3; kill -9 $w; wait_worker $w
		if wait $c; then false; fi; cat /tmp/said
		check 4 1 1; check 3 0 1; sm vdi detach v; nothing_left; sm sr check disks'
}

@test "a commander that stays too long is killed, and what had been asked meanwhile is done" {
	new_sr file
	in_guest "$held"'pattern 1 0 2; held
		if wait $c; then false; else [ $? = 137 ]; fi
		pattern 2 1 1; check 1 0 1; check 2 1 1
		[ -z "$(sm vdi list --minimal | tr , "\n" | grep -v $V)" ]
		sm vdi detach v; nothing_left; image_is_sound'
}

@test "a commander has the time that he asked for from the pause on" {
	new_sr file
	cat >"$BATS_TEST_TMPDIR/boss" <<-'END'
		import fcntl, socket, sys, time
		lock, ms, ctl = sys.argv[1:]
		f = open(lock, "r+")
		fcntl.lockf(f, fcntl.LOCK_EX)
		s = socket.socket(socket.AF_UNIX)
		s.connect(ctl)
		s.sendall(b"pause %s\n" % ms.encode())
		assert s.recv(64) == b"paused\n"
		since = time.monotonic()
		while time.monotonic() < since + 8:
		    print(int((time.monotonic() - since) * 1000), flush=True)
		    time.sleep(0.1)
	END
	guest_put "$BATS_TEST_TMPDIR/boss" /tmp/boss
	in_guest 'lock=/run/lock/sm/'"$SR"'/sr ctl=/run/sm/server/$V.ctl; pattern 1 0 2
		# Two seconds pass before it is paused.
		judge strace -qq -p $(worker) -e trace=fdatasync -e inject=fdatasync:delay_enter=2000000:when=1 -o /dev/null >/dev/null 2>&1 & s=$!
		while ! grep "TracerPid:.*[1-9]" /proc/$(worker)/status; do sleep 0.02; done
		judge python3 /tmp/boss $lock 4000 $ctl >/tmp/said || true; [ $(tail -n 1 /tmp/said) -ge 3000 ]; [ $(tail -n 1 /tmp/said) -lt 7500 ]
		kill $s; wait $s || true; check 1 0 1
		sm vdi detach v; nothing_left; image_is_sound'
}

@test "a commander who is slow, and has the lock no more, lives on, though somebody else has it" {
	new_sr file
	cat >"$BATS_TEST_TMPDIR/slow" <<-'END'
		import fcntl, os, socket, sys, time
		lock, ctl = sys.argv[1:]
		s = socket.socket(socket.AF_UNIX)
		s.connect(ctl)
		s.sendall(b"pause 1000\n")
		assert s.recv(64) == b"paused\n"
		if not os.fork():
		    s.close()
		    f = open(lock, "r+")
		    fcntl.lockf(f, fcntl.LOCK_EX)
		    time.sleep(3)
		    os._exit(0)
		time.sleep(2)
		s.sendall(b"resume\n")
		print(s.recv(64))
	END
	guest_put "$BATS_TEST_TMPDIR/slow" /tmp/slow
	in_guest 'pattern 1 0 2; judge python3 /tmp/slow /run/lock/sm/'"$SR"'/sr /run/sm/server/$V.ctl >/tmp/said
		grep "running 67108864" /tmp/said; check 1 0 2; sm vdi detach v; nothing_left; image_is_sound'
}

@test "an image that is gone: requests fail, nothing else is written to, and it may come back" {
	new_sr file
	in_guest "$held"'pattern 1 0 2; held
		mv /srv/d/$V.vhd /srv/away; for f in /srv/d/*.vhd; do [ ! $f -ef /srv/away ] || rm $f; done	# its second name
		was=$(md5sum </srv/away)
		kill -9 $(cat /proc/$c/task/$c/children); wait $c || true
		refused dd if=$D of=/dev/null bs=4k count=1 iflag=direct
		refused dd if=/dev/zero of=$D bs=4k count=1 oflag=direct
		[ "$(md5sum </srv/away)" = "$was" ]
		mv /srv/away /srv/d/$V.vhd
		for ((i = 0; i < 40; i++)); do ! dd if=$D of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null || break; sleep 0.1; done
		check 1 0 2; pattern 2 1 1; sm vdi detach v; nothing_left; image_is_sound'
}
