#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sm image create, snapshot, resize, coalesce and repair.

setup_file() {
	load image_helper
	export VEC=$BATS_FILE_TMPDIR/vec
	vectors "$VEC"
	head -c 3M /dev/urandom >"$BATS_FILE_TMPDIR/data"
}

setup() {
	load cli_helper
	load image_helper
	cli_setup
	mkdir "$BATS_TEST_TMPDIR/work"
	cd "$BATS_TEST_TMPDIR/work" || return
}

info() {	# info FILE FILTER
	sm image info --json "$1" | jq -r "$2"
}

# What a chain holds.
content() {
	sm image convert -q "$1" content.raw
	hash_of content.raw
	rm -f content.raw
}

# disk FILE SIZE: a VHD with 1 MiB of data at 1 MiB.
disk() {
	truncate -s "$2" disk.raw
	dd if="$BATS_FILE_TMPDIR/data" of=disk.raw bs=1M seek=1 count=1 conv=notrunc status=none
	sm image convert disk.raw "$1"
	rm disk.raw
}

# --- create ------------------------------------------------------------------

@test "image create: what vhd-util would have made, but for a table with room to grow" {
	uuid=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
	run sm image create new.vhd --size 99M --uuid $uuid
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "$(info new.vhd '[.format, .type, .virtual_size, .uuid, .creator, .allocated_blocks] | @csv')" = \
		"\"vhd\",\"dynamic\",104857600,\"$uuid\",\"tap 1.3\",0" ]
	sm image check new.vhd
	[ "$(qemu-img info --output=json -f vpc new.vhd | jq '."virtual-size"')" -eq 104857600 ]
	vhdiinfo new.vhd | grep >/dev/null "Media size.*104857600 bytes"
	sm image resize new.vhd 400M		# needs no journal
	[ "$(stat -c %a new.vhd)" = 600 ]
}

@test "image create: raw is a hole, and what is there stays" {
	sm image create new.raw --size 1G
	[ "$(stat -c '%s %b' new.raw)" = "1073741824 0" ]
	echo mine >mine.vhd
	fails_as 1 "mine.vhd: File exists" sm image create mine.vhd --size 1G
	[ "$(cat mine.vhd)" = mine ]
	fails_as 2 "at most 2040 GiB" sm image create big.vhd --size 2041G
	fails_as 2 "an image of 0 bytes" sm image create big.vhd --size 0
	fails_as 2 "read here, not written" sm image create big.qcow2 --size 1G
	usage_error "--size SIZE is missing" sm image create big.vhd
	fails_as 4 "nowhere/new.vhd: No such file" sm image create nowhere/new.vhd --size 1G
	run sm image create new.vhd --size 1G --dry-run
	[[ "${lines[0]}" == "make new.vhd (vhd) of 1073741824 bytes" ]]
	[ "$(ls -A | tr '\n' ' ')" = "mine.vhd new.raw " ]
}

# --- snapshot ----------------------------------------------------------------

@test "image snapshot: a chain of three that holds what its base holds" {
	disk a.vhd 10M
	sum=$(content a.vhd)
	sm image snapshot a.vhd b.vhd
	sm image snapshot b.vhd c.vhd
	[ "$(content c.vhd)" = "$sum" ]
	[ "$(info c.vhd '[.type, .parent.path, .parent.format] | @csv')" = '"differencing","b.vhd","vhd"' ]
	[ "$(info c.vhd .parent.uuid)" = "$(info b.vhd .uuid)" ]
	sm image check c.vhd
	vhdiinfo c.vhd | grep >/dev/null Differential
}

@test "image snapshot: a raw parent, by its name" {
	cp "$BATS_FILE_TMPDIR/data" base.raw
	sm image snapshot base.raw top.vhd
	[ "$(info top.vhd '[.parent.path, .parent.uuid, .parent.format, .virtual_size] | @csv')" = '"base.raw",,"raw",3145728' ]
	sm image convert top.vhd top.raw
	cmp top.raw base.raw
	cp base.raw base.img
	fails_as 2 "must be called *.raw" sm image snapshot base.img other.vhd
}

@test "image snapshot: refused where it would not be found again, or where something is" {
	mkdir sub
	sm image create a.vhd --size 10M
	fails_as 2 "must be in the same folder" sm image snapshot a.vhd sub/b.vhd
	fails_as 1 "File exists" sm image snapshot a.vhd a.vhd
	fails_as 2 "only a VHD can stand" sm image snapshot a.vhd b.raw
	fails_as 2 "cannot stand on a qcow2" sm image snapshot "$VEC/qcow2/base.qcow2" "$VEC/qcow2/b.vhd"
	fails_as 6 "parent found is not the one" sm image snapshot "$VEC/vhd/parent-uuid-mismatch.vhd" "$VEC/vhd/x.vhd"
	[ "$(find . "$VEC" -name 'b.*' -o -name 'x.vhd')" = "" ]
}

@test "image snapshot: thirty levels are enough" {
	sm image create 1.vhd --size 2M
	for n in $(seq 2 30); do
		sm image snapshot $((n - 1)).vhd "$n.vhd"
	done
	[ "$(sm image info 30.vhd | sed -n 's/^levels: *//p')" -eq 30 ]
	fails_as 1 "30.vhd has 30 levels already" sm image snapshot 30.vhd 31.vhd
}

# --- resize ------------------------------------------------------------------

@test "image resize: within the table, and a table that must grow" {
	sum=$(told vhd jresize-before sha256)
	cp "$VEC/vhd/jresize-before.vhd" a.vhd
	size=$(info a.vhd .virtual_size)
	for to in 110M 3G 2040G; do
		sm image resize a.vhd $to
		sm image check a.vhd
	done
	[ "$(info a.vhd .virtual_size)" -eq $((2040 << 30)) ]
	[ "$(sm image convert a.vhd a.raw; head -c "$size" a.raw | sha256sum | cut -d' ' -f1)" = "$sum" ]
	[ "$(ls -A | tr '\n' ' ')" = "a.raw a.vhd " ]
	fails_as 2 "shrinking is not allowed" sm image resize a.vhd 2M
	fails_as 2 "at most 2040 GiB" sm image resize a.vhd 2041G
}

@test "image resize: raw and fixed" {
	cp "$BATS_FILE_TMPDIR/data" a.raw
	sm image resize a.raw 10M
	[ "$(stat -c %s a.raw)" -eq 10485760 ]
	cmp -n 3145728 a.raw "$BATS_FILE_TMPDIR/data"
	fails_as 2 "shrinking is not allowed (it has 10485760 bytes)" sm image resize a.raw 3M
	cp "$VEC/vhd/fixed-3m.vhd" f.vhd
	sm image resize f.vhd 11M
	sm image check f.vhd
	sm image convert f.vhd f.raw
	[ "$(stat -c %s f.raw)" -eq $((12 << 20)) ]
	[ "$(head -c 4M f.raw | sha256sum | cut -d' ' -f1)" = "$(told vhd fixed-3m sha256)" ]
	cp "$VEC/qcow2/v2.qcow2" q.qcow2
	fails_as 2 "read here, not written" sm image resize q.qcow2 1G
	sm image resize a.raw 10M		# it may be repeated
	fails_as 2 "shrinking is not allowed" sm image resize a.raw 1M --dry-run
	run sm image resize a.raw 1G --dry-run
	[ "$output" = $'grow a.raw to 1073741824 bytes\nspace needed: 0 B' ]
	[ "$(stat -c %s a.raw)" -eq 10485760 ]
}

@test "image resize: a journal that died is undone by the next verb that writes" {
	for at in begin data-moved metadata-moved end; do
		cp "$VEC/vhd/jresize-crash-$at.vhd" a.vhd
		cp "$VEC/vhd/jresize-crash-$at.journal" a.vhd.journal
		fails_as 6 "an interrupted resize of the VHD must be reverted" sm image info a.vhd
		[ -e a.vhd.journal ]
		sm image resize a.vhd 20M 2>/dev/null || sm image resize a.vhd 100M
		[ ! -e a.vhd.journal ]
		sm image check a.vhd
		sm image convert a.vhd a.raw
		[ "$(head -c "$(told vhd jresize-before size)" a.raw | sha256sum | cut -d' ' -f1)" = "$(told vhd jresize-before sha256)" ]
	done
	# Without its journal it stays as it is, and says what is missing.
	cp "$VEC/vhd/jresize-crash-begin.vhd" b.vhd
	sum=$(hash_of b.vhd)
	fails_as 6 "b.vhd.journal: an interrupted resize" sm image repair b.vhd
	fails_as 6 "b.vhd.journal: an interrupted resize" sm image resize b.vhd 1G
	# Somebody else's is not used, and stays.
	cp "$VEC/vhd/jresize-before.vhd" c.vhd
	echo "my notes" >c.vhd.journal
	fails_as 6 "c.vhd.journal: the VHD journal is damaged or belongs to another" sm image resize c.vhd 1G
	[ "$(cat c.vhd.journal)" = "my notes" ]
	[ "$(hash_of b.vhd)" = "$sum" ]
	# One that was never in force is.
	: >c.vhd.journal
	sm image resize c.vhd 1G
	[ ! -e c.vhd.journal ]
}

# --- coalesce ----------------------------------------------------------------

@test "image coalesce: the parent holds what its child held" {
	cp "$VEC/vhd"/chain3-{base,mid,leaf}.vhd .
	sm image coalesce chain3-mid.vhd
	[ "$(content chain3-base.vhd)" = "$(told vhd chain3-mid sha256)" ]
	[ "$(content chain3-leaf.vhd)" = "$(told vhd chain3-leaf sha256)" ]
	sm image check chain3-leaf.vhd
	sm image coalesce chain3-leaf.vhd
	[ "$(content chain3-mid.vhd)" = "$(told vhd chain3-leaf sha256)" ]
	sm image coalesce chain3-leaf.vhd	# it may be repeated
	sm image coalesce chain3-mid.vhd
	[ "$(content chain3-base.vhd)" = "$(told vhd chain3-leaf sha256)" ]
	qemu-img info -f vpc chain3-base.vhd
}

@test "image coalesce: into a raw parent, and into one that must grow first" {
	cp "$VEC/vhd/rawp-child.vhd" "$VEC/vhd/rawp-parent.raw" .
	sum=$(told vhd rawp-child sha256)
	sm image coalesce rawp-child.vhd
	[ "$(hash_of rawp-parent.raw)" = "$sum" ] || [ "$(content rawp-child.vhd)" = "$sum" ]
	cmp -n "$(told vhd rawp-child size)" rawp-parent.raw <(sm image convert rawp-child.vhd x.raw && cat x.raw)
	disk a.vhd 4M
	sm image snapshot a.vhd b.vhd
	sm image resize b.vhd 100M
	sum=$(content b.vhd)
	sm image coalesce b.vhd
	[ "$(info a.vhd .virtual_size)" -eq 104857600 ]
	[ "$(content a.vhd)" = "$sum" ]
}

@test "image coalesce: what it cannot be done with, and a plan" {
	sm image create a.vhd --size 4M
	sm image snapshot a.vhd b.vhd
	fails_as 2 "a.vhd has no parent" sm image coalesce a.vhd
	fails_as 2 "only VHDs are merged" sm image coalesce "$VEC/qcow2/leaf.qcow2"
	run sm image coalesce b.vhd --dry-run
	[ "$output" = $'merge 0 blocks of b.vhd into a.vhd\nspace needed: 0 B' ]
}

@test "image coalesce: somebody else at work on the parent" {
	sm image create a.vhd --size 4M
	sm image snapshot a.vhd b.vhd
	exec 5<>a.vhd
	flock 5
	fails_as 3 "a.vhd: somebody else is at work here" sm image coalesce b.vhd
	fails_as 3 "a.vhd: somebody else is at work here" sm image resize a.vhd 1G
	exec 5>&-
	sm image coalesce b.vhd
}

# --- repair ------------------------------------------------------------------

@test "image repair: footers and batmaps, and the data stays" {
	for name in footer-killed footer-missing footer-zeroed footer-short footer-badsum backup-badsum batmap-badsum; do
		cp "$VEC/vhd/$name.vhd" a.vhd
		run sm image repair a.vhd
		[ "$status" -eq 0 ]
		[ "$output" = ok ]
		[ "$(content a.vhd)" = "$(told vhd $name sha256)" ]
		qemu-img info -f vpc a.vhd >/dev/null
		sm image resize a.vhd 1G
		rm -f a.vhd*
	done
}

@test "image repair: what it overwrites is kept, and puts all back" {
	for name in footer-killed footer-badsum batmap-badsum footer-short; do
		cp "$VEC/vhd/$name.vhd" a.vhd
		sm image repair a.vhd
		[ "$(stat -c %s a.vhd.before-repair)" -le "$(stat -c %s "$VEC/vhd/$name.vhd")" ]
		# Each stretch of data goes back to where it was, and the length with it.
		truncate -s "$(stat -c %s "$VEC/vhd/$name.vhd")" a.vhd
		qemu-img map -f raw --output=json a.vhd.before-repair | jq -r '.[] | select(.data) | "\(.start) \(.length)"' |
			while read -r at len; do
				dd if=a.vhd.before-repair of=a.vhd bs=512 skip=$((at / 512)) seek=$((at / 512)) \
					count=$((len / 512)) conv=notrunc status=none
			done
		tail -c 511 "$VEC/vhd/$name.vhd" | dd of=a.vhd bs=1 seek=$(($(stat -c %s a.vhd) - 511)) conv=notrunc status=none
		cmp a.vhd "$VEC/vhd/$name.vhd"
		rm -f a.vhd*
	done
}

@test "image repair: a plan, a second time, a name for what is kept" {
	cp "$VEC/vhd/footer-killed.vhd" a.vhd
	run sm image repair --dry-run a.vhd
	[ "${lines[0]}" = "mend a.vhd: the footer at the end is missing or damaged" ]
	cmp a.vhd "$VEC/vhd/footer-killed.vhd"
	# What is kept, and its name, are on the disk before the image is changed.
	ASAN_OPTIONS=detect_leaks=0 strace -f -y -o calls -e trace=write,pwrite64,fsync,fdatasync sm image repair a.vhd --backup kept
	first=$(grep -n "write[0-9]*([0-9]*<[^>]*/a.vhd>" calls | sed -n '1s/:.*//p')
	for what in "$PWD/kept" "$PWD"; do
		head -n "$first" calls | grep "sync([0-9]*<$what>) *= 0" >/dev/null
	done
	rm calls
	[ -s kept ]
	run sm image repair a.vhd
	[ "$output" = ok ]
	[ "$(ls -A | tr '\n' ' ')" = "a.vhd kept " ]
	run sm image repair --dry-run a.vhd
	[ "${lines[0]}" = "nothing to mend in a.vhd" ]
}

@test "image repair: what cannot be mended is said, and left" {
	for name in header-badsum bat-beyond-eof bat-duplicate bat-in-header; do
		cp "$VEC/vhd/$name.vhd" a.vhd
		run --separate-stderr sm image repair a.vhd
		[ "$status" -eq 6 ]
		cmp a.vhd "$VEC/vhd/$name.vhd"
	done
	fails_as 2 "only VHDs are repaired" sm image repair "$VEC/qcow2/leak.qcow2"
}
