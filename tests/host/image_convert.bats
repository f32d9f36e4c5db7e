#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sm image convert: contents are what their makers say, and others read what we wrote.

setup_file() {
	load image_helper
	export VEC=$BATS_FILE_TMPDIR/vec
	vectors "$VEC"
	cd "$BATS_FILE_TMPDIR" || return
	# Dense, sparse, and with a length that is no multiple of anything.
	head -c 5M /dev/urandom >dense.raw
	truncate -s 40M sparse.raw
	for at in 0 3 4095 4096 5120 8191 9000 10239; do
		head -c 4096 dense.raw | dd of=sparse.raw bs=4096 seek=$at conv=notrunc status=none
	done
	{ head -c 3M dense.raw; head -c 1M /dev/zero; head -c 777 dense.raw; } >odd.raw
}

setup() {
	load cli_helper
	load image_helper
	cli_setup
	bad=0
	cd "$BATS_TEST_TMPDIR" || return
}

all_hashes() {	# all_hashes KIND
	local name
	for name in $(each "$1" sha256); do
		case $name in lvhd-child) continue ;; esac
		sm image convert -q -f "$1" "$VEC/$1/$(told "$1" "$name" file)" out.raw ||
			differs "$name" "status $?" 0
		[ "$(hash_of out.raw)" = "$(told "$1" "$name" sha256)" ] || differs "$name" "another content" "its own"
	done
	[ $bad -eq 0 ]
}

@test "every VHD vector holds what its maker says" {
	all_hashes vhd
}

@test "every QCOW2 vector holds what its maker says" {
	all_hashes qcow2
}

@test "raw, VHD, raw: nothing is lost, and qemu-img and vhdiinfo agree" {
	for f in dense sparse odd; do
		sm image convert "$BATS_FILE_TMPDIR/$f.raw" $f.vhd
		sm image check $f.vhd
		qemu-img check -f vpc $f.vhd || [ $? -eq 63 ]	# it knows no check for this format
		qemu-img compare -f raw -F vpc "$BATS_FILE_TMPDIR/$f.raw" $f.vhd
		vhdiinfo $f.vhd | grep >/dev/null "Disk type.*Dynamic"
		sm image convert $f.vhd $f.raw
		cmp -n "$(stat -c %s "$BATS_FILE_TMPDIR/$f.raw")" $f.raw "$BATS_FILE_TMPDIR/$f.raw"
		[ "$(sm image info --json $f.vhd | jq .virtual_size)" -eq "$(stat -c %s $f.raw)" ]
	done
	[ "$(stat -c %s odd.raw)" -eq $(((4 << 20) + 1024)) ]
}

@test "what qemu-img makes, we read" {
	for o in subformat=dynamic subformat=fixed subformat=dynamic,force_size=on; do
		qemu-img convert -f raw -O vpc -o $o "$BATS_FILE_TMPDIR/sparse.raw" q.vhd
		sm image convert q.vhd q.raw
		qemu-img compare -f raw -F raw q.raw "$BATS_FILE_TMPDIR/sparse.raw"
	done
	for o in compat=0.10 cluster_size=512 cluster_size=2M extended_l2=on; do
		qemu-img convert -f raw -O qcow2 -o $o "$BATS_FILE_TMPDIR/sparse.raw" q.qcow2
		sm image convert q.qcow2 q.vhd
		qemu-img compare -f vpc -F raw q.vhd "$BATS_FILE_TMPDIR/sparse.raw"
	done
	qemu-img convert -c -f raw -O qcow2 "$BATS_FILE_TMPDIR/odd.raw" q.qcow2
	sm image convert q.qcow2 q.raw
	qemu-img compare -f raw -F raw q.raw "$BATS_FILE_TMPDIR/odd.raw"
}

@test "sparse stays sparse, and zeroes become holes" {
	sm image convert "$BATS_FILE_TMPDIR/sparse.raw" s.vhd
	sm image convert s.vhd s.raw
	[ "$(du -k s.raw | cut -f1)" -le 64 ]
	[ "$(du -k s.vhd | cut -f1)" -le 200 ]
	head -c 8M /dev/zero >zero.raw
	sm image convert zero.raw z.vhd
	[ "$(sm image info --json z.vhd | jq .allocated_blocks)" -eq 0 ]
	sm image convert zero.raw z.raw
	[ "$(du -k z.raw | cut -f1)" -eq 0 ]
	[ "$(stat -c %s z.raw)" -eq 8388608 ]
	: >empty.raw
	sm image convert empty.raw e.raw
	[ "$(stat -c %s e.raw)" -eq 0 ]
}

@test "a file that is there is replaced as a whole, with its mode" {
	echo old >out.raw
	chmod 640 out.raw
	ln out.raw keep
	sm image convert "$VEC/vhd/fixed-3m.vhd" out.raw
	[ "$(cat keep)" = old ]
	[ "$(stat -c '%a %s' out.raw)" = "640 4194304" ]
	[ "$(ls -A | tr '\n' ' ')" = "keep out.raw root " ]
}

@test "formats: -O wins over the name, and no name is no format" {
	sm image convert "$VEC/vhd/fixed-3m.vhd" -O vhd out.raw
	[ "$(sm image info -f vhd --json out.raw | jq -r .type)" = dynamic ]
	fails_as 2 "the name does not tell the format" sm image convert "$VEC/vhd/fixed-3m.vhd" out
	fails_as 2 "qcow2 images are read here, not written" sm image convert "$VEC/vhd/fixed-3m.vhd" out.qcow2
	fails_as 2 "'vdi' is no image format" sm image convert "$VEC/vhd/fixed-3m.vhd" -O vdi out
	# Bytes as they are, whatever they look like.
	sm image convert -f raw "$VEC/vhd/fixed-3m.vhd" same.raw
	cmp "$VEC/vhd/fixed-3m.vhd" same.raw
}

@test "/dev/null takes everything, and nothing is made there" {
	sm image convert "$VEC/qcow2/leaf.qcow2" /dev/null
	[ -c /dev/null ]
	fails_as 6 "the checksum of the VHD dynamic header" sm image convert "$VEC/vhd/header-badsum.vhd" /dev/null
}

@test "what is read is not written" {
	cp "$VEC/vhd"/chain3-*.vhd .
	sum=$(hash_of chain3-base.vhd)
	fails_as 2 "is read and cannot be written" sm image convert chain3-leaf.vhd chain3-base.vhd
	fails_as 2 "is read and cannot be written" sm image convert chain3-leaf.vhd chain3-leaf.vhd
	ln -s chain3-base.vhd link.vhd
	fails_as 2 "is read and cannot be written" sm image convert chain3-leaf.vhd link.vhd
	[ "$(hash_of chain3-base.vhd)" = "$sum" ]
}

@test "--dry-run says how much, and writes nothing" {
	run sm image convert --dry-run "$VEC/vhd/chain3-leaf.vhd" out.raw
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == "copy "*" bytes from "*" to out.raw (raw)" ]]
	[ "$(ls -A)" = root ]
	run sm image convert --dry-run --json "$VEC/vhd/chain3-leaf.vhd" out.raw
	jq -e '.space >= 8388608 and .space <= 41943040' <<<"$output"
}

@test "the answer is what info says of the new image; --uuid is its id" {
	uuid=2b1f7c90-0c3d-4a6f-8e55-1d0a9c7e4f21
	run sm image convert --json --uuid $uuid "$VEC/vhd/chain3-leaf.vhd" out.vhd
	[ "$status" -eq 0 ]
	[ "$output" = "$(sm image info --json out.vhd)" ]
	jq -e --arg u $uuid '.uuid == $u and .parent == null' <<<"$output"
}

@test "an encrypted image: its stored bytes, its key's hash, and a warning" {
	run --separate-stderr sm image convert "$VEC/vhd/keyhash.vhd" out.vhd
	[ "$status" -eq 0 ]
	[[ "$stderr" == *"warning: "*"encrypted"* ]]
	run --separate-stderr sm image check out.vhd
	[[ "$output" == *"the image is encrypted"* ]]
}

@test "too little space is known before anything is written" {
	[ "$(id -u)" -eq 0 ] || skip "not root"
	mkdir full
	mount -t tmpfs -o size=2M none full || skip "no mounts here"
	run --separate-stderr sm image convert "$BATS_FILE_TMPDIR/dense.raw" full/out.raw
	left=$(ls -A full)
	head -c 1M /dev/zero >zero.raw
	run2=$(sm image convert --force "$BATS_FILE_TMPDIR/dense.raw" full/out.raw 2>&1) && forced=0 || forced=$?
	left2=$(ls -A full)
	umount full
	[ "$status" -eq 5 ]
	[[ "$stderr" == *"full/out.raw: 5 MiB needed, "*" free (try: --force"* ]]
	[ -z "$left$left2" ]
	[ "$forced" -eq 5 ]
	[[ "$run2" == *"write full/out.raw at byte "*": No space left on device" ]]
}

@test "an interrupt leaves nothing, and the old file" {
	echo old >out.raw
	for _ in $(seq 1 40); do cat "$BATS_FILE_TMPDIR/dense.raw"; done >long.raw
	for signal in INT TERM HUP; do
		env --default-signal=INT sm image convert long.raw out.raw 2>err &
		pid=$!
		# Threads: it has begun.
		while [ -d /proc/$pid ] && [ "$(cat /proc/$pid/task/*/comm 2>/dev/null | wc -l)" -lt 3 ]; do :; done
		kill -$signal $pid 2>/dev/null || true
		status=0
		wait $pid || status=$?
		# It may have been faster than us.
		[ $status -ne 0 ] || { cmp long.raw out.raw; echo old >out.raw; continue; }
		[ "$status" -eq 1 ]
		grep -q "^sm: image convert: interrupted$" err
		[ "$(cat out.raw)" = old ]
	done
	[ "$(ls -A | tr '\n' ' ')" = "err long.raw out.raw root " ]
}

@test "progress: JSON lines on standard error" {
	for _ in $(seq 1 40); do cat "$BATS_FILE_TMPDIR/dense.raw"; done >long.raw
	for _ in $(seq 1 10); do
		sm image convert --progress=json long.raw out.raw 2>err &
		pid=$!
		while [ -d /proc/$pid ] && [ "$(cat /proc/$pid/task/*/comm 2>/dev/null | wc -l)" -lt 3 ]; do :; done
		kill -STOP $pid 2>/dev/null || true
		sleep 1.1		# nothing is shown in the first second
		kill -CONT $pid 2>/dev/null || true
		wait $pid
		[ ! -s err ] || break
	done
	jq -e '.progress | .what == "convert" and .total == 209715200 and .done > 0' err
}

@test "parents: --any-parent follows where the image leads" {
	mkdir a b
	cp "$VEC/qcow2/base.qcow2" a/
	(cd b && qemu-img create -q -f qcow2 -b ../a/base.qcow2 -F qcow2 child.qcow2)
	fails_as 6 "is not in the folder of the image" sm image convert b/child.qcow2 out.raw
	[[ "$stderr" == *"(try: --any-parent"* ]]
	sm image convert --any-parent b/child.qcow2 out.raw
	[ "$(hash_of out.raw)" = "$(told qcow2 base sha256)" ]
}
