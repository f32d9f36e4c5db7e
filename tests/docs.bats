#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the documentation shows is what the program does.

pages() { (cd "$BATS_TEST_DIRNAME/.." && ls README.md docs/*.md drivers/README.md); }

setup_file() {
	load helpers/lab
	lab_start --disk a:1G
	cp -r "$BATS_TEST_DIRNAME/docs/console.sh" "$BATS_TEST_DIRNAME/../docs" "$LAB_DIR/a/share/"
}

teardown_file() {
	load helpers/lab
	lab_stop
}

setup() {
	load helpers/lab
	needs SR_FILE SR_DUMMY DATAPATH_LOOP FRONT_CLI FRONT_SRAPI1 FRONT_SMAPI1
	guest_ok 'judge mkfs.ext4 -qF /dev/ubda && mount /dev/ubda /srv && rm -rf /srv/lost+found'
}

teardown() {
	guest 'umount /run/sr-mount/*; judge losetup -D; umount /srv
		rm -rf /etc/smtab /run/sm /dev/sm /run/sr-mount/* /var/lock/sm/*' >/dev/null 2>&1 || true
}

# page NAME: every console block of docs/NAME.md, in a shell that starts afresh.
page() {
	guest_ok -t 120 "cd / && bash /share/console.sh /share/docs/$1.md"
}

@test "docs/cli.md" {
	page cli
}

@test "docs/gc.md" {
	page gc
}

@test "docs/agents.md" {
	page agents
}

@test "docs/layout.md" {
	page layout
}

@test "every verb that the pages name is one, and docs/cli.md names every verb" {
	local verb verbs

	verbs=$("$SM_BUILD/bin/sm" help | sed -n 's/^  \(\(sr\|vdi\|vg\|gc\) [a-z]*\)  .*/\1/p')
	[ "$(wc -l <<<"$verbs")" -gt 20 ]
	cd "$BATS_TEST_DIRNAME/.."
	# shellcheck disable=SC2046 # no page has a blank in its name
	grep -ohE '\bsm (sr|vdi|vg|gc) [a-z]+' $(pages) | cut -d' ' -f2- | sort -u >"$BATS_TEST_TMPDIR/named"
	while read -r verb; do
		grep -qx "$verb" <<<"$verbs" || grep -qx "$verb" <<<"vdi creat" || {
			echo "no such verb: $verb" >&2
			return 1
		}
	done <"$BATS_TEST_TMPDIR/named"
	while read -r verb; do
		grep -qE "^\| .*\`${verb}[ \`]" docs/cli.md || {
			echo "docs/cli.md lacks: $verb" >&2
			return 1
		}
	done <<<"$verbs"
}

@test "every link of the pages leads to a file" {
	local page link

	cd "$BATS_TEST_DIRNAME/.."
	for page in $(pages); do
		for link in $(grep -oE '\]\([^)#]+' "$page" | cut -c3-); do
			[[ $link == http* ]] || [ -e "$(dirname "$page")/$link" ] || {
				echo "$page: $link" >&2
				return 1
			}
		done
	done
}

@test "every promise of docs/security.md has its test" {
	local file name n=0

	cd "$BATS_TEST_DIRNAME/.."
	while IFS=: read -r file name; do
		name=${name# }
		grep -F -e "@test \"$name\" {" -e "TEST($name)" "$file" >/dev/null || {
			echo "docs/security.md: no test in $file: $name" >&2
			return 1
		}
		n=$((n + 1))
	done < <(grep -oE '`tests/[^`]+: [^`]+`' docs/security.md | tr -d '`')
	[ $n -gt 40 ]
	# And no promise without one.
	! sed -n '/^## A guest/,$p' docs/security.md | grep '^| ' | grep -v '^| promise ' | grep -v '`tests/'
}
