# splitvault: every step of development. `just` alone lists them; `./justw` gets just itself.

set shell := ["bash", "-euo", "pipefail", "-c"]

# DESTDIR: where `install` puts the tree (`just install DESTDIR=/some/dir`, or DESTDIR=/ for this very machine).
# version: what `--version` prints.
# CGO_ENABLED: shipped programs are static; only the race detector needs a C compiler.
# GOFLAGS: a clone that belongs to another user has no commit that Go may read.
# plain, booting: packages whose tests boot no qube, and those that do (they import the bench).

DESTDIR := env('DESTDIR', '')
version := env('SPLITVAULT_VERSION', `GIT_OPTIONAL_LOCKS=0 git describe --tags --always --dirty 2>/dev/null || echo devel`)
tools := env('XDG_CACHE_HOME', env('HOME', '/root') / '.cache') / 'splitvault/bin'
golangci := 'v2.15.0'
clef := 'v1.17.3'
nfpm := 'v2.45.2'
export CGO_ENABLED := '0'
export GOFLAGS := env('GOFLAGS', '') + ' -buildvcs=false'
imports := "go list -f '{{.ImportPath}} {{join .Imports \" \"}} {{join .TestImports \" \"}} {{join .XTestImports \" \"}} ' ./..."
plain := imports + " | grep -vE '/test/(scripts|figures|packages|qubes/bench) ' | cut -d' ' -f1"
booting := imports + " | grep -E '/test/qubes/bench ' | cut -d' ' -f1"
gotest := 'go run ./test/rails/cmd/gotest -count=1'

# List the recipes
[group('about')]
default:
    @{{ quote(just_executable()) }} --justfile {{ quote(justfile()) }} --list --unsorted

# Show SSH and passwords through two make-believe qubes on this machine, without root
[group('about')]
demo *ARGS: build
    @mkdir -p build/test
    @go build -trimpath -o build/test/ ./test/demo ./test/qubes/cmd/qrexec
    @build/test/demo -build build {{ ARGS }}

# Build daemons into build/lib and commands into build/bin
[group('build')]
build to='build':
    @mkdir -p {{ to }}/lib {{ to }}/bin
    @go build -trimpath -buildvcs=false -ldflags='-s -w -X github.com/splitvault/splitvault/pkg/version.linked={{ version }}' -o {{ to }}/lib/ ./daemons/...
    @go build -trimpath -buildvcs=false -ldflags='-s -w -X github.com/splitvault/splitvault/pkg/version.linked={{ version }}' -o {{ to }}/bin/ ./cmd/...

# Install daemons, commands, units, the template's files and man pages under DESTDIR
[group('build')]
install dest=DESTDIR: build
    go run ./test/rails/cmd/install {{ quote(trim_start_match(dest, 'DESTDIR=')) }}

# A release in build/dist: archives for amd64, arm64 and arm (v7), packages, source, a list of what is linked, checksums; signed with KEY, a file
[group('build')]
dist key='':
    rm -rf build/dist
    go run ./test/rails/cmd/dist "$(go run ./test/rails/cmd/package -version)" build/dist
    {{ quote(just_executable()) }} package build/dist
    {{ quote(just_executable()) }} source build/dist
    go run ./test/rails/cmd/package -seal -key {{ quote(key) }} -out build/dist

# The template's .deb and .rpm and dom0's policy .rpm, into OUT
[group('build')]
package out='build/packages': nfpm
    SPLITVAULT_VERSION="$(go run ./test/rails/cmd/package -version)" {{ quote(just_executable()) }} build build/release
    go run ./test/rails/cmd/package -nfpm {{ quote(tools / 'nfpm') }} -out {{ quote(trim_start_match(out, 'OUT=')) }}

# The source archive with its modules in vendor/, as qubes-builder takes it, into OUT
[group('build')]
source out='build/packages':
    go run ./test/rails/cmd/package -source -out {{ quote(trim_start_match(out, 'OUT=')) }}

[private]
nfpm:
    @go version -m {{ quote(tools / 'nfpm') }} 2>/dev/null | grep -qw {{ quote(nfpm) }} || GOBIN={{ quote(tools) }} go install github.com/goreleaser/nfpm/v2/cmd/nfpm@{{ nfpm }}

# Remove what `build` made (caches under ~/.cache stay)
[group('build')]
clean:
    rm -rf build

# Install the packages of this machine that `test` needs (root or sudo)
[group('build')]
deps:
    test/rails/packages.sh test

# Everything that CI runs; ends with what could not be run
[group('test')]
test:
    go run ./test/rails/cmd/gate {{ quote(just_executable()) }}

# The real Clef for tests, in its last release, built once into the cache
[group('test')]
clef:
    @[ -x {{ quote(tools / '../clef-' + clef / 'clef') }} ] || GOBIN={{ quote(tools / '../clef-' + clef) }} go install -trimpath -ldflags='-s -w' github.com/ethereum/go-ethereum/cmd/clef@{{ clef }}

# The real geth for tests, of the same release, built once into the cache
[group('test')]
geth:
    @[ -x {{ quote(tools / '../geth-' + clef / 'geth') }} ] || GOBIN={{ quote(tools / '../geth-' + clef) }} go install -trimpath -ldflags='-s -w' github.com/ethereum/go-ethereum/cmd/geth@{{ clef }}

# What we judge against what the real Clef's own decoder reads
[group('test')]
clef-decoder time='5s':
    cd test/clef && go vet ./... && go test -count=1 ./... && go test -run '^$' -fuzz FuzzRequests -fuzztime {{ quote(time) }} .

# Unit tests
[group('test')]
unit: clef
    {{ gotest }} $({{ plain }})

# Unit tests under the race detector
[group('test')]
race: clef
    CGO_ENABLED=1 {{ gotest }} -race $({{ plain }})

# Every fuzz target for TIME each, or those that match ONLY (`FuzzParse .*/rules`)
[group('test')]
fuzz time='5s' only='.':
    #!/usr/bin/env bash
    set -euo pipefail
    targets=$(go test -list '^Fuzz' $({{ plain }}) | awk '/^Fuzz/ {name[++n] = $1} /^ok/ {for (i = 1; i <= n; i++) print name[i], $2; n = 0}' | { grep -E {{ quote(only) }} || true; })
    [ -n "$targets" ] || { echo 'no fuzz target found' >&2; exit 1; }
    try() { go test -run '^$' -fuzz "^$1\$" -fuzztime "$3" "$2" </dev/null 2>&1 | tee "$log"; }
    failed='' log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    while read -r name package; do
        try "$name" "$package" {{ quote(time) }} && continue
        # Go may take the end of the time itself for a failure, in a slow target. Then
        # no input is written down, and it must get through without a clock.
        grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log" && try "$name" "$package" 200x || failed+="  $name $package"$'\n'
    done <<<"$targets"
    [ -z "$failed" ] || { printf 'failed:\n%s' "$failed" >&2; exit 1; }

# Ten minutes of each fuzz target, a night in all; goes on after a finding, which is written to testdata/fuzz
[group('test')]
fuzz-long time='10m' only='.':
    #!/usr/bin/env bash
    set -uo pipefail
    just() { {{ quote(just_executable()) }} --justfile {{ quote(justfile()) }} "$@"; }
    failed=0
    just fuzz {{ quote(time) }} {{ quote(only) }} || failed=1
    [ {{ quote(only) }} != . ] || just clef-decoder {{ quote(time) }} || failed=1
    exit $failed

# The built programs against real ssh, git and the qrexec emulator
[group('test')]
scripts: build
    {{ gotest }} ./test/scripts

# The packages: contents, lintian, rpmlint, and built from source in a Debian 13 (root)
[group('test')]
packages:
    {{ gotest }} ./test/packages

# The two-qube bench: real systemd on Debian 12 and 13 (root)
[group('test')]
qubes: build clef geth
    {{ gotest }} -p 1 -timeout 20m $({{ booting }})

# One scenario of the bench on both roots: `just scenario ssh-list`
[group('test')]
scenario NAME: build clef
    go test -count=1 -v -run {{ quote('Scenarios/.*/' + NAME + '$') }} ./test/qubes

# Ten thousand mutated requests through a booted client qube to the real Clef; `qubes` sends the first of them (root)
[group('test')]
clef-mutants n='10000': build clef
    MUTATED={{ quote(n) }} go test -count=1 -v -timeout 60m -run 'ClefAttacks/at_once/mutants$' ./test/clefattacks

# Every fault for every service on both roots, and what comes of it (root; WHAT: a pattern of names, or `clock`, which turns this machine's clock by an hour)
[group('test')]
faults what='all': build clef
    FAULTS={{ quote(what) }} go test -count=1 -v -timeout 90m ./test/faults

# Random faults under load for TIME, then 10,000 requests of each kind (root; SEED: of an earlier run)
[group('test')]
soak time='10m' seed='': build clef
    SOAK={{ quote(time) }} SOAK_SEED={{ quote(seed) }} GROWTH=10000 go test -count=1 -v -timeout 0 ./test/faults

# Figures: every Go benchmark for TIME each, then whole connections in booted qubes (root; ARGS: -short)
[group('test')]
bench time='1s' *ARGS: build clef
    go test -run '^$' -bench . -benchmem -benchtime {{ quote(time) }} $({{ plain }}) | grep -vE '^(PASS|ok |goos|goarch)|no test files'
    go run ./test/figures {{ ARGS }}

# More than anybody asks at once, on both Debians: nothing lost, nothing hung (root, ten minutes; ARGS: -docs docs)
[group('test')]
load *ARGS: build clef
    go run ./test/figures -only crowd {{ ARGS }}

# The pictures of real prompts in docs/prompts, and of pages in docs/clef, drawn anew (root)
[group('build')]
screenshots: build clef
    go run ./test/screenshots docs/prompts
    SHOTS={{ quote(justfile_directory() / 'docs/clef') }} go test -count=1 -run 'Clients/trixie/browser$' ./test/web

# The pictures of docs/*.diagram, drawn anew
[group('build')]
diagrams:
    go run ./test/diagrams docs

# What `just demo` shows, really run, as docs/demo.txt
[group('build')]
record: build
    @{{ quote(just_executable()) }} demo 2>&1 | sed 's/\x1b\[[0-9;]*m//g' >docs/demo.txt.new
    @mv docs/demo.txt.new docs/demo.txt

# All checks of source, units, policy, shell and manual pages
[group('check')]
lint: fmt-check vet golangci mod shell units policy man

# Format Go, shell and this file
[group('check')]
fmt:
    go tool gofumpt -w .
    go tool shfmt -w justw .ci/run $(go tool shfmt -f units templatevm dom0 test)
    {{ quote(just_executable()) }} --unstable --fmt

# Formatting: gofumpt and just (shfmt is part of `shell`)
[group('check')]
fmt-check:
    @files=$(go tool gofumpt -l .); [ -z "$files" ] || { printf 'not formatted (just fmt): %s\n' $files >&2; exit 1; }
    {{ quote(just_executable()) }} --unstable --fmt --check

# go vet and staticcheck
[group('check')]
vet:
    go vet ./...
    go tool staticcheck ./...

# golangci-lint at its pinned version, fetched once into the cache
[group('check')]
golangci:
    @[ "$({{ quote(tools / 'golangci-lint') }} version --short 2>/dev/null)" = {{ quote(trim_start_match(golangci, 'v')) }} ] || GOBIN={{ quote(tools) }} go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@{{ golangci }}
    {{ quote(tools / 'golangci-lint') }} run ./...

# go.mod is tidy and builds with nothing but what it names
[group('check')]
mod:
    go mod tidy -diff
    @! grep -nE '^[[:space:]]*(replace|exclude|toolchain)\>' go.mod

# shellcheck, shfmt and the length of every shell file
[group('check')]
shell:
    #!/usr/bin/env bash
    set -euo pipefail
    files=$(go tool shfmt -f . | grep -v '^build/')
    go tool shfmt -d $files
    shellcheck --shell=sh $files
    wc -l $files | awk '$2 != "total" && $1 > 40 {print $2 ": " $1 " lines of shell; over 40 it is a Go program"; bad = 1} END {exit bad}' >&2

# systemd-analyze over the units as installed; any word it prints is a failure
[group('check')]
units: build
    go run ./test/rails/cmd/unitcheck

# The dom0 policy, read as a qube's dom0 would
[group('check')]
policy:
    go run ./test/qubes/cmd/policycheck dom0/policy.d

# mandoc over every manual page; a warning is a failure
[group('check')]
man:
    @pages=$(find templatevm/usr/share/man -name '*.[1-9]'); [ -n "$pages" ] || { echo 'no manual pages found' >&2; exit 1; }; mandoc -T lint -W warning $pages
