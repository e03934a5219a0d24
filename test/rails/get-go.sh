#!/bin/sh
# get-go.sh CACHE VERSION: prints the directory of a `go` that builds this
# project. From 1.21 on any Go fetches by itself the one it is told to. An older
# one is made to fetch that toolchain module here, through the Go proxy that it
# is configured with; the checksum below is what counts.
set -eu
version=$2
current=$(cd / && GOTOOLCHAIN=local go env GOVERSION)
case $current in
go1.[0-9] | go1.[0-9].* | go1.1[0-9]* | go1.20*) ;;
*)
	dirname "$(command -v go)"
	exit 0
	;;
esac
go=$1/go$version
if [ -x "$go/bin/go" ]; then
	printf '%s\n' "$go/bin"
	exit 0
fi
case $(uname -m) in
x86_64) arch=amd64 sum='h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=' ;;
aarch64) arch=arm64 sum='h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc=' ;;
*)
	echo "justw: no Go $version is pinned for $(uname -m): install Go 1.21 or newer by hand and try again" >&2
	exit 2
	;;
esac
mkdir -p "$1"
tmp=$(mktemp -d "$1/go.XXXXXX")
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
echo "justw: fetching Go $version, because $current is older than 1.21" >&2
module=golang.org/toolchain@v0.0.1-go$version.linux-$arch
cd "$tmp" # away from go.mod, which an old Go cannot read
env GOFLAGS= GO111MODULE=on GONOSUMDB=golang.org/toolchain GOMODCACHE="$tmp/mod" go mod download -json "$module" >json
grep -qF "\"Sum\": \"$sum\"" json || { echo "justw: $module is not the pinned one, not used:" >&2 && cat json >&2 && exit 1; }
chmod -R u+w "mod/$module"
chmod 0755 "mod/$module/bin"/* "mod/$module/pkg/tool/linux_$arch"/*
[ -d "$go" ] || mv -T "mod/$module" "$go"
printf '%s\n' "$go/bin"
