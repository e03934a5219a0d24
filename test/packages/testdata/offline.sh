#!/bin/sh
# offline.sh DEBIAN GO DIR ARCHIVE: in namespaces of its own, builds the source archive
# in a Debian with that Go, as an ordinary user; leaves what was made in DIR/build.
set -eu
debian=$1 go=$2 dir=$3 archive=$4
mount --make-rprivate /
mkdir -p "$dir/upper" "$dir/work" "$dir/root" "$dir/build"
mount -t overlay -o "lowerdir=$debian,upperdir=$dir/upper,workdir=$dir/work" build "$dir/root"
mkdir -p "$dir/root/usr/lib/go-1.26" "$dir/root/build"
mount --bind -o ro "$go" "$dir/root/usr/lib/go-1.26"
mount --bind "$dir/build" "$dir/root/build"
mount -t proc proc "$dir/root/proc"
cp "$archive" "$dir/build/"
chown -R 65534:65534 "$dir/build"
# shellcheck disable=SC2016 # the other shell is to expand it
exec chroot "$dir/root" setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all env -i \
	PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TZ=UTC sh -euc '
		[ "$(grep -c : /proc/net/dev)" = 1 ] # lo, and it is down
		cd /build
		tar -xzf splitvault_*.orig.tar.gz
		cd splitvault-*/
		dpkg-buildpackage -us -uc -d 2>&1' # -d: no C compiler is needed
