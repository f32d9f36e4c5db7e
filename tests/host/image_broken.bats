#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images that were made to break us: ../data/broken.

setup_file() {
	export BROKEN=$BATS_FILE_TMPDIR/broken
	mkdir "$BROKEN"
	python3 "$BATS_TEST_DIRNAME/../data/broken/make.py" "$BROKEN"
}

setup() {
	load cli_helper
	load image_helper
	cli_setup
	bad=0
	cd "$BROKEN" || return
}

# file_of NAME: NAME.vhd, NAME.qcow2 …
file_of() {
	local f
	for f in "$1".vhd "$1".qcow2 "$1".raw "$1".img; do
		[ ! -e "$f" ] || { echo "$f"; return; }
	done
	return 1
}

answer() {	# answer NAME VERB...: its exit code; what it says goes to $T/said
	local status=0

	timeout 20 sm image "${@:2}" >>"$T/said" 2>&1 || status=$?
	[ $status -lt 8 ] || differs "$1" "${*:2}: died with $status" "an answer"
	got+=" $status"
}

# family PATTERN: the names that begin so, each as the file expect says.
family() {
	local name info check convert resize text file copy n=0

	T=$BATS_TEST_TMPDIR
	while read -r name info check convert resize text; do
		# shellcheck disable=SC2053 # the right side is a pattern
		[[ $name == $1 ]] || continue
		file=$(file_of "$name") || { differs "$name" "no image" one; continue; }
		got='' n=$((n + 1))
		: >"$T/said"
		rm -f "$T/out.raw"
		answer "$name" info "$file"
		answer "$name" check "$file"
		answer "$name" convert "$file" "$T/out.raw"
		# Beside it, for its parents' sake.
		copy=copy-of-$file
		cp --sparse=always "$file" "$copy"
		[ ! -e "$file.journal" ] || cp "$file.journal" "$copy.journal"
		answer "$name" resize "$copy" 16M
		[ "$got" = " $info $check $convert $resize" ] ||
			differs "$name" "exit codes$got" "$info $check $convert $resize"
		[ "$resize" -eq 0 ] || cmp "$file" "$copy" || differs "$name" changed left
		rm -f "$copy" "$copy.journal"
		grep -qF -- "$text" "$T/said" || differs "$name" "$(cat "$T/said")" "$text"
		! LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f]' "$T/said" || differs "$name" "control characters" text
		if [ "$convert" -ne 0 ]; then
			[ ! -e "$T/out.raw" ] || differs "$name" "a file" nothing
		elif [ -e "$name.sum" ]; then
			[ "$(hash_of "$T/out.raw")" = "$(cat "$name.sum")" ] || differs "$name" "another content" "its own"
		fi
	done < <(grep -v '^#' "$BATS_TEST_DIRNAME/../data/broken/expect")
	[ "$n" -ge 1 ] && [ $bad -eq 0 ]
}

@test "footers" { family 'footer*'; }
@test "headers and their tables" { family 'header*'; }
@test "entries of the block table" { family 'bat-*'; }
@test "batmaps" { family 'batmap*'; }
@test "files too long, too short, cut" { family 'fi*'; }
@test "parent locators" { family 'locator*'; }
@test "each platform's locator alone, and the name in the header: none leads to a host file" { family 'alone*'; }
@test "names of parents" { family 'parent*'; }
@test "chains without an end" { family 'loop*' && family 'deep*'; }
@test "journals" { family 'journal*'; }
@test "what a guest writes into its raw disk" { family 'guest*'; }
@test "QCOW2 headers" { family 'qcow2-[^bdpl]*' && family 'qcow2-l1-[^e]*'; }
@test "QCOW2 backing files" { family 'qcow2-b*'; }
@test "QCOW2 images with data or keys elsewhere" { family 'qcow2-d*' && family 'qcow2-luks*'; }
@test "QCOW2 tables and clusters" { family 'qcow2-p*' && family 'qcow2-l?-e*' && family 'qcow2-l2-is*'; }

@test "no header makes us ask for much memory: 64 MiB are enough to say no" {
	local plain status
	plain=$(command -v sm) n=0
	[ ! -x "${plain%/gcc/bin/sm}/musl/bin/sm" ] || plain=${plain%/gcc/bin/sm}/musl/bin/sm
	(ulimit -v 65536; "$plain" version >/dev/null 2>&1 || "$plain" --version >/dev/null) || skip "a build that needs more by itself"
	for f in header*.vhd bat-*.vhd batmap*.vhd qcow2-*.qcow2; do
		status=0
		(ulimit -v 65536; exec "$plain" image check "$f") >"$BATS_TEST_TMPDIR/said" 2>&1 || status=$?
		[ $status -lt 8 ] && ! grep -i 'memory' "$BATS_TEST_TMPDIR/said" || differs "$f" "$status" "an answer"
		n=$((n + 1))
	done
	[ $n -gt 30 ] && [ $bad -eq 0 ]
}

@test "every image has an answer, and every answer an image" {
	for f in *.vhd *.qcow2 guest*.raw guest*.img; do
		case $f in deep-[1-9]* | base.vhd | fifo.vhd | link.vhd) continue ;; esac
		grep -q "^${f%.*} " "$BATS_TEST_DIRNAME/../data/broken/expect" || differs "$f" "no answer" "one"
	done
	[ $bad -eq 0 ]
}

@test "repair believes no journal that is wrong, and changes nothing then" {
	for f in journal-*.vhd; do
		sum=$(hash_of "$f")
		run --separate-stderr sm image repair "$f"
		[ "$status" -eq 6 ] || differs "$f" "$status" 6
		[ "$(hash_of "$f")" = "$sum" ] && [ -e "$f.journal" ] || differs "$f" changed left
	done
	[ $bad -eq 0 ]
}

@test "a name with control characters reaches no terminal" {
	cp base.vhd $'a\e[31mb.vhd'
	run sm image info $'a\e[31mb.vhd'
	[ "$status" -eq 0 ]
	[[ "$output" != *$'\e'* ]]
	# Nor does one that an image says: in its locators, in its header, of a parent that is there or not.
	cp base.vhd aQzb.vhd
	sm image snapshot aQzb.vhd of.vhd
	mv aQzb.vhd aQ31.vhd
	# One byte further on the name in the header is the same in the other order.
	python3 - <<-'END'
		b = open("of.vhd", "rb").read()
		for code in "utf-8", "utf-16-le":
		    assert "aQzb".encode(code) in b
		    b = b.replace("aQzb".encode(code), "a\x1bzb".encode(code))
		assert "a\x1bzb".encode("utf-16-be") in b[512:1536]
		h = bytearray(b[512:1536]); h[36:40] = bytes(4)
		h[36:40] = (~sum(h) & 0xffffffff).to_bytes(4, "big")
		open("evil.vhd", "wb").write(b[:512] + h + b[1536:])
	END
	for verb in info 'info --json' check 'check --json' 'map --any-parent' 'convert --any-parent -O raw' resize; do
		more=
		case $verb in convert*) more=out.raw ;; resize) more=64M ;; esac
		# shellcheck disable=SC2086 # words
		run sm image $verb evil.vhd $more
		[[ -n "$output" && "$output" != *$'\e'* ]] || differs "$verb" "$output" "no control characters"
	done
	rm -f evil.vhd of.vhd aQ31.vhd $'a\e[31mb.vhd'
	run sm image check $'nothing\e[31m.vhd'
	[ "$status" -eq 4 ]
	[[ "$output" != *$'\e'* ]]
	[ $bad -eq 0 ]
}
