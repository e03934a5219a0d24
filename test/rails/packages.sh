#!/bin/sh
# packages.sh demo|test: sees to it that this machine has what the recipe needs
# (packages.txt) and installs the packages it lacks, as root or with sudo;
# without either it prints the line to type and exits 2.
set -eu
dir=$(dirname "$0")
PATH=${XDG_CACHE_HOME:-$HOME/.cache}/splitvault/bin:$PATH:/usr/local/go/bin:/usr/sbin:/sbin
has() { case $1 in /*) [ -e "$1" ] ;; *) command -v "$1" >/dev/null ;; esac }
# shellcheck source=/dev/null
id=$(. /etc/os-release && printf '%s' "${ID:-}${VERSION_ID:-}") || id=unknown
missing=
while read -r set needs deb rpm; do
	if [ "$set" = test ] && [ "$1" = demo ] || has "$needs"; then continue; fi
	if ! has apt-get; then deb=$rpm; fi
	if [ "$deb" = - ]; then continue; fi # not packaged there: the test says so
	# Debian 12 has no package of just; where npm is, it serves as well.
	if [ "$needs" = just ]; then
		if has npm; then continue; fi
		case $id in debian12 | ubuntu22.*) deb=npm ;; esac
	fi
	case " $missing " in *" $deb "*) ;; *) missing="$missing $deb" ;; esac
done <"$dir/packages.txt"
[ -n "$missing" ] || exit 0

if has apt-get; then
	install="apt-get install -y --no-install-recommends$missing"
else
	install="dnf install -y$missing"
fi
if [ "$(id -u)" = 0 ]; then
	as=
elif has sudo && { [ -t 0 ] && sudo -v || sudo -n true; } 2>/dev/null; then
	as=sudo
else
	printf 'justw: this machine lacks packages; as root, type:\n\n    %s\n\n' "$install" >&2
	case $install in *openssh-server*) echo 'Only the program sshd is needed; to keep port 22 shut: systemctl disable --now ssh' >&2 ;; esac
	exit 2
fi
echo "justw: installing$missing" >&2
exec $as "$dir/install.sh" "$install"
