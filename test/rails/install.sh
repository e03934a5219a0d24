#!/bin/sh
# install.sh "apt-get install … | dnf install …": runs the line as root. A
# package of sshd that comes in only to lend its program must not open port 22:
# its service is kept from starting now, and is left disabled.
set -eu
each() { for unit in ssh.service ssh.socket sshd.service; do systemctl "$@" --quiet "$unit" 2>/dev/null || true; done; }
fresh=
case $1 in *openssh-server*) fresh=yes ;; esac
if [ -n "$fresh" ] && [ -d /run/systemd/system ]; then
	each mask --runtime
	trap 'each unmask --runtime' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
case $1 in apt-get*) apt-get update -qq ;; esac
log=$(mktemp)
if ! $1 >"$log" 2>&1 </dev/null; then
	cat "$log" >&2
	rm -f "$log"
	echo "justw: could not install the packages: $1" >&2
	exit 2
fi
rm -f "$log"
if [ -n "$fresh" ]; then
	each unmask --runtime
	each disable
	echo "justw: openssh-server is there for its program only; its service is disabled" >&2
fi
