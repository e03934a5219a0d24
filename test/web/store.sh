#!/bin/sh
# A store of passwords for the pages of the test.
set -eu
mkdir -m 700 -p .gnupg
printf '%s\n' batch no-tty 'trust-model always' >.gnupg/gpg.conf
gpg --batch --passphrase '' --quick-generate-key 'Test Vault <vault@example.invalid>' future-default default never
pass init "$(gpg --list-keys --with-colons | awk -F: '$1=="fpr"{print $10; exit}')"
put() { pass insert -m "$1" >/dev/null; }
for user in alice bob; do
	printf 'hunter2-%s\nlogin: %s\nurl: shop.example.com\nnotes: dear diary\n' "$user" "$user" | put "web/shop.example.com/$user"
done
printf 'not for work\nlogin: root\n' | put private/shop.example.com/root
