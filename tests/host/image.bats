#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# sm image info, map and check: what other programs say about their images, we say too.

setup_file() {
	load image_helper
	export VEC=$BATS_FILE_TMPDIR/vec
	vectors "$VEC"
}

setup() {
	load cli_helper
	load image_helper
	cli_setup
	bad=0
	cd "$VEC/vhd" || return
}

@test "image info: every VHD says what its maker says" {
	for name in $(each vhd type); do
		case $name in jresize-crash-* | header-badsum) continue ;; esac
		file=$(told vhd "$name" file)
		sm image info --json "$file" >"$BATS_TEST_TMPDIR/doc" 2>/dev/null || true
		type=$(told vhd "$name" type)
		jq -e --argjson size "$(told vhd "$name" size)" --arg uuid "$(told vhd "$name" uuid)" \
			--argjson hidden "$([ "$(told vhd "$name" hidden)" = 0 ] && echo false || echo true)" \
			--arg type "$(case $type in 2) echo fixed ;; 3) echo dynamic ;; 4) echo differencing ;; esac)" \
			--arg parent "$(told vhd "$name" parent_name)" \
			--argjson blocks "$(told vhd "$name" allocated | grep . || echo null)" \
			--argjson length "$(stat -c %s "$file")" \
			'keys_unsorted == ["schema","path","format","type","virtual_size","physical_size","uuid",
				"parent","hidden","block_size","allocated_blocks","creator","problems"] and
			.format == "vhd" and .type == $type and .virtual_size == $size and .uuid == $uuid and
			.hidden == $hidden and .physical_size == $length and
			(.parent.path // "") == $parent and (.type == "fixed" or .allocated_blocks == $blocks)' \
			"$BATS_TEST_TMPDIR/doc" >/dev/null || differs "$name" "$(jq -c . "$BATS_TEST_TMPDIR/doc")" "as expected"
	done
	[ $bad -eq 0 ]
}

@test "image info: every QCOW2 says what its maker says" {
	cd "$VEC/qcow2"
	for name in $(each qcow2 size); do
		sm image info --json "$(told qcow2 "$name" file)" >"$BATS_TEST_TMPDIR/doc" 2>/dev/null || true
		jq -e --argjson size "$(told qcow2 "$name" size)" --argjson cluster "$(told qcow2 "$name" cluster)" \
			--arg parent "$(told qcow2 "$name" backing)" --arg format "$(told qcow2 "$name" backing_format)" \
			'.format == "qcow2" and .virtual_size == $size and .block_size == $cluster and .uuid == null and
			(.parent.path // "") == $parent and (.parent.format // "") == $format and
			(.type == "differencing") == ($parent != "")' "$BATS_TEST_TMPDIR/doc" ||
			differs "$name" "$(jq -c . "$BATS_TEST_TMPDIR/doc")" "as expected"
	done
	[ $bad -eq 0 ]
}

# Those whose map qemu-img shows as we do: it takes no notice of a VHD's parent,
# and has its own way with damaged images.
same_map() {	# same_map KIND NAME
	sm image map --json "$(told "$1" "$2" file)" |
		jq -r '.[] | "\(.start) \(.length) \(.depth) \(.present) \(.zero) \(.data) \(.offset // "-")"' |
		sed 's/true/1/g; s/false/0/g' | diff - <(told "$1" "$2" map) >/dev/null || differs "$2" map "qemu-img's"
}

@test "image map: the records of qemu-img" {
	for name in $(each vhd map); do
		[ "$(told vhd "$name" check)" != 0 ] || [ "$(told vhd "$name" type)" != 3 ] || same_map vhd "$name"
	done
	cd "$VEC/qcow2"
	for name in $(each qcow2 map); do
		# What is preallocated qemu-img shows as it finds it in the file system.
		case $name in prealloc-md | bitmap) ;; *) same_map qcow2 "$name" ;; esac
	done
	[ $bad -eq 0 ]
	cp --sparse=never v3-default.qcow2 dense.qcow2
	diff <(sm image map --json dense.qcow2 | jq -c .) <(qemu-img map --output=json dense.qcow2 | jq -c .)
}

@test "image map: a table for people" {
	run sm image map chain3-leaf.vhd
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == *START*LENGTH*IS*AT*FILE ]]
	[[ "${lines[3]}" =~ ^" "*"61440 "*" 2560  data "*" 69632  chain3-leaf.vhd"$ ]]
}

@test "image check: finds what vhd-util and qemu-img find" {
	for name in $(each vhd check); do
		case $name in
		dyn-empty-8194m | qemu-*-force) want=0 ;;	# mistakes of vhd-util's own
		footer-badsum | footer-zeroed | footer-short | footer-missing | footer-killed) want=6 ;;
		jresize-crash-*) want=6 ;;
		lvhd-*) continue ;;
		*) want=$([ "$(told vhd "$name" check)" = 0 ] && echo 0 || echo 6) ;;
		esac
		run --separate-stderr sm image check "$(told vhd "$name" file)"
		[ "$status" -eq "$want" ] || differs "$name" "$status: $output" "$want"
	done
	cd "$VEC/qcow2"
	for name in $(each qcow2 check); do
		case $(told qcow2 "$name" check) in 2) want=6 ;; *) want=0 ;; esac
		[ "$name" != corrupt-bit ] || want=6
		run --separate-stderr sm image check "$(told qcow2 "$name" file)"
		[ "$status" -eq "$want" ] || differs "$name" "$status: $output" "$want"
	done
	[ $bad -eq 0 ]
}

@test "image info --minimal: its uuid" {
	[ "$(sm image info --minimal chain3-leaf.vhd)" = "$(told vhd chain3-leaf uuid)" ]
}

@test "image check: the document, and what mends it" {
	run --separate-stderr sm image check --json footer-killed.vhd
	[ "$status" -eq 6 ]
	jq -e 'keys_unsorted == ["schema","object","ok","problems"] and .object == "footer-killed.vhd" and .ok == false and
		(.problems | length == 1) and .problems[0].repair == "sm image repair footer-killed.vhd"' <<<"$output"
	run sm image check --json chain3-leaf.vhd
	[ "$status" -eq 0 ]
	jq -e '.ok == true and .problems == []' <<<"$output"
}

@test "image info: a chain that does not hold is told, and so is the image" {
	mkdir "$BATS_TEST_TMPDIR/alone"
	cp chain3-leaf.vhd "$BATS_TEST_TMPDIR/alone"
	run --separate-stderr sm image info --json "$BATS_TEST_TMPDIR/alone/chain3-leaf.vhd"
	[ "$status" -eq 4 ]
	[[ "${stderr_lines[0]}" == *"chain3-mid.vhd"* ]]
	jq -e '.format == "vhd" and .parent.path == "./chain3-mid.vhd" and .parent.format == null and
		(.problems | length == 1)' <<<"$output"
	run --separate-stderr sm image info --json parent-uuid-mismatch.vhd
	[ "$status" -eq 6 ]
	jq -e '.problems[0].severity == "error"' <<<"$output"
}

@test "image: nothing is written by looking, and no write access is needed" {
	chmod 444 chain3-*.vhd
	before=$(stat -c '%n %y %s' chain3-*.vhd)
	sm image info chain3-leaf.vhd
	sm image map chain3-leaf.vhd
	sm image check chain3-leaf.vhd
	[ "$(stat -c '%n %y %s' chain3-*.vhd)" = "$before" ]
}

@test "image: operands that are none" {
	cd "$BATS_TEST_TMPDIR"
	fails_as 4 "nothing.vhd: No such file" sm image info nothing.vhd
	fails_as 2 "neither a file nor a block device" sm image info .
	mkfifo fifo.vhd
	fails_as 2 "neither a file nor a block device" sm image info fifo.vhd
	: >empty.vhd
	fails_as 6 "empty.vhd: no VHD footer" sm image info empty.vhd
	fails_as 2 "'vmdk' is no image format" sm image info -f vmdk empty.vhd
	usage_error "PATH is missing" sm image info
}

@test "image: -f wins over the name, the name over the content" {
	cd "$BATS_TEST_TMPDIR"
	cp "$VEC/vhd/dyn-empty-2m.vhd" disk.img
	[ "$(sm image info --json disk.img | jq -r .format)" = raw ]
	[ "$(sm image info --json -f vhd disk.img | jq -r .format)" = vhd ]
	cp disk.img disk
	[ "$(sm image info --json disk | jq -r .format)" = vhd ]
}
