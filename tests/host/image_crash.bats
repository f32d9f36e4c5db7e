#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Death and failure at the system calls of the image verbs that change something: ../sweep/at.c.
#
# A run tries some calls of each verb, others each day; SWEEP_EVERY=1 tries all of
# them, and SWEEP_FIRST=N repeats what a failed run printed.

setup_file() {
	load image_helper
	export VEC=$BATS_FILE_TMPDIR/vec
	vectors "$VEC"
	every=${SWEEP_EVERY:-$((61 * ${PACE:-1}))}
	export every first=${SWEEP_FIRST:-$(($(date +%-j) * 7 % every + 1))}
	"$BATS_TEST_DIRNAME/../sweep/build.sh" "$BATS_FILE_TMPDIR" at
	export AT=$BATS_FILE_TMPDIR/at
	# Not the one under AddressSanitizer: it has system calls of its own to fail.
	plain=${SM:-$BATS_TEST_DIRNAME/../../build/bin/sm}
	[ ! -x "${plain%/gcc/bin/sm}/musl/bin/sm" ] || plain=${plain%/gcc/bin/sm}/musl/bin/sm
	export plain
}

setup() {
	[ "$(uname -m)" = x86_64 ] || skip "the tracer knows the registers of x86_64"
	load cli_helper
	load image_helper
	SM=$plain
	cli_setup
	mkdir "$BATS_TEST_TMPDIR/work"
	cd "$BATS_TEST_TMPDIR/work" || return
	echo "SWEEP_FIRST=$first SWEEP_EVERY=$every"
	export AT_COUNT=$BATS_TEST_TMPDIR/count AT_OPEN=$BATS_TEST_TMPDIR/open
	bad=0
}

# sweep HOW PREPARE AFTER SM-ARGUMENT...: the two are functions; AFTER is told the exit code.
sweep() {
	local how=$1 prepare=$2 after=$3 n status tried=0 calls step=$every

	shift 3
	$prepare
	"$AT" 0 kill "$BIN/sm" "$@" >/dev/null 2>&1
	calls=$(cat "$AT_COUNT")
	$after 0 || differs "undisturbed" "not as it should be" "right"
	while [ "$step" -gt 1 ] && [ $((calls / step)) -lt 3 ]; do step=$((step / 2)); done
	for ((n = first % step + 1; n <= calls; n += step)); do
		rm -rf ./* .[!.]*
		$prepare
		status=0
		"$AT" "$n" "$how" "$BIN/sm" "$@" >"$BATS_TEST_TMPDIR/said" 2>&1 || status=$?
		[ $status -le 7 ] || [ $status -eq 137 ] || differs "$how at $n" "status $status" "an answer"
		tried=$((tried + 1))
		$after $status >"$BATS_TEST_TMPDIR/why" 2>&1 ||
			differs "$how at $n of $calls (status $status, $(head -c 300 "$BATS_TEST_TMPDIR/said"))" \
				"$(tail -n 3 "$BATS_TEST_TMPDIR/why")" "old or new"
		[ $((tried % 20)) -ne 1 ] || judge || differs "$how at $n" "what qemu-img does not open" "an image"
	done
	[ ! -e "$AT_OPEN" ] || differs "$how" "$(cat "$AT_OPEN")" "all of them closed"
	case $how in
	kill) how=killed ;;
	*) how=failed ;;
	esac
	echo "# sweep image ${BATS_TEST_DESCRIPTION// /_} $how=$tried bad=$bad" >&3
	[ $tried -gt 2 ] && [ $bad -eq 0 ]
}

# Of what the next verb has left; it knows no check of what it has opened: 63.
judge() {
	local f status

	for f in *.vhd; do
		[ -e "$f" ] || continue
		status=0
		qemu-img check -f vpc "$f" >/dev/null 2>&1 || status=$?
		[ $status -eq 63 ] || return
	done
}

modes() {	# modes PREPARE AFTER SM-ARGUMENT...
	local how

	for how in kill EIO EIO+ ENOSPC short; do
		sweep $how "$@" || return
	done
}

# is FILE HASH: what it holds.
is() {
	sm image convert -q "$1" "$BATS_TEST_TMPDIR/content.raw" && [ "$(hash_of "$BATS_TEST_TMPDIR/content.raw")" = "$2" ]
}

copy() {
	cp --sparse=always "$@" .
}

# Nothing but these; a name that is not there is no matter.
only() {
	local f

	for f in * .[!.]*; do
		[ ! -e "$f" ] || [[ " $* " == *" $f "* ]] || { echo "left: $f"; return 1; }
	done
}

# --- convert: the destination is absent or whole, old or new ------------------------

chain() {
	copy "$VEC/vhd"/chain3-{base,mid,leaf}.vhd
}

absent_or_whole() {
	if [ -e out.vhd ]; then
		sm image check out.vhd && is out.vhd "$(told vhd chain3-leaf sha256)"
	else
		[ "$1" -ne 0 ]
	fi && only chain3-{base,mid,leaf}.vhd out.vhd && [ "$(hash_of chain3-leaf.vhd)" = "$(hash_of "$VEC/vhd/chain3-leaf.vhd")" ]
}

@test "convert to a new file" {
	modes chain absent_or_whole image convert chain3-leaf.vhd out.vhd
}

chain_and_old() {
	chain
	echo old >out.raw
}

old_or_whole() {
	if [ "$(head -c 4 out.raw | tr -d '\0')" = old ]; then
		[ "$1" -ne 0 ]
	else
		is out.raw "$(told vhd chain3-leaf sha256)"
	fi && {
		# The whole new file may have the name of a moment still: the next attempt takes it away.
		sm image convert chain3-leaf.vhd out.raw && only chain3-{base,mid,leaf}.vhd out.raw
	}
}

@test "convert over an old file" {
	modes chain_and_old old_or_whole image convert chain3-leaf.vhd out.raw
}

# --- create, snapshot ---------------------------------------------------------------

made_or_not() {
	if [ -e new.vhd ]; then sm image check new.vhd; else [ "$1" -ne 0 ]; fi && only new.vhd
}

@test "create" {
	modes true made_or_not image create new.vhd --size 100M
}

child_or_not() {
	if [ -e new.vhd ]; then
		sm image check new.vhd && is new.vhd "$(told vhd chain3-leaf sha256)"
	else
		[ "$1" -ne 0 ]
	fi && only chain3-{base,mid,leaf}.vhd new.vhd
}

@test "snapshot" {
	modes chain child_or_not image snapshot chain3-leaf.vhd new.vhd
}

# --- resize -------------------------------------------------------------------------

small() {
	copy "$VEC/vhd/jresize-before.vhd"
}

# Old or new, at the latest when the next verb that writes has been there.
grown_or_not() {
	local size

	sm image resize jresize-before.vhd 700M || return
	sm image check jresize-before.vhd && only jresize-before.vhd || return
	size=$(told vhd jresize-before size)
	sm image convert -q jresize-before.vhd "$BATS_TEST_TMPDIR/content.raw" &&
		[ "$(head -c "$size" "$BATS_TEST_TMPDIR/content.raw" | sha256sum | cut -d' ' -f1)" = "$(told vhd jresize-before sha256)" ]
}

@test "resize with a journal" {
	modes small grown_or_not image resize jresize-before.vhd 600M
}

fast() {
	copy "$VEC/vhd/prealloc.vhd"
}

fast_grown_or_not() {
	sm image resize prealloc.vhd 500M && sm image check prealloc.vhd && only prealloc.vhd
}

@test "resize within the table" {
	modes fast fast_grown_or_not image resize prealloc.vhd 400M
}

# --- coalesce -----------------------------------------------------------------------

# The child holds what it held whatever happened, and the merge can be repeated.
merged_or_not() {
	is chain3-leaf.vhd "$(told vhd chain3-leaf sha256)" || return
	sm image coalesce chain3-leaf.vhd || return
	is chain3-mid.vhd "$(told vhd chain3-leaf sha256)" && sm image check chain3-mid.vhd && only chain3-{base,mid,leaf}.vhd
}

@test "coalesce" {
	modes chain merged_or_not image coalesce chain3-leaf.vhd
}

small_and_child() {
	rm -f ./*
	small
	sm image snapshot jresize-before.vhd child.vhd && sm image resize child.vhd 700M
}

grown_and_merged_or_not() {
	local size

	sm image coalesce child.vhd || return
	sm image check jresize-before.vhd && only jresize-before.vhd child.vhd || return
	size=$(told vhd jresize-before size)
	sm image convert -q jresize-before.vhd "$BATS_TEST_TMPDIR/content.raw" &&
		[ "$(stat -c %s "$BATS_TEST_TMPDIR/content.raw")" -eq $((700 << 20)) ] &&
		[ "$(head -c "$size" "$BATS_TEST_TMPDIR/content.raw" | sha256sum | cut -d' ' -f1)" = "$(told vhd jresize-before sha256)" ]
}

@test "coalesce into a parent whose table must grow" {
	sweep kill small_and_child grown_and_merged_or_not image coalesce child.vhd
	sweep EIO+ small_and_child grown_and_merged_or_not image coalesce child.vhd
}

# --- repair -------------------------------------------------------------------------

killed() {
	copy "$VEC/vhd/footer-killed.vhd"
}

mended_or_not() {
	sm image repair footer-killed.vhd && is footer-killed.vhd "$(told vhd footer-killed sha256)" &&
		sm image resize footer-killed.vhd 1G
}

@test "repair" {
	modes killed mended_or_not image repair footer-killed.vhd
}

# --- any moment ---------------------------------------------------------------------

@test "kill -9 at random moments: the destination is absent or whole" {
	for _ in $(seq 1 10); do head -c 4M /dev/urandom; done >src.raw
	sum=$(hash_of src.raw)
	for i in $(seq 1 30); do
		rm -f out.vhd
		sm image convert src.raw out.vhd 2>/dev/null &
		pid=$!
		sleep "0.0$((RANDOM % 90 + 10))"
		kill -9 $pid 2>/dev/null || true
		wait $pid 2>/dev/null || true
		[ ! -e out.vhd ] || is out.vhd "$sum"
		only src.raw out.vhd
	done
}
