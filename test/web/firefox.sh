#!/bin/sh
# A screen, the pages, and Firefox with the host set up as the documents tell.
set -eu
splitvault browserpass --install firefox
systemd-run --user --quiet --unit=screen Xvfb :7 -noreset -screen 0 1000x700x24
systemd-run --user --quiet --unit=pages python3 -m http.server 8000 --bind 127.0.0.1 --directory pages
until [ -S /tmp/.X11-unix/X7 ]; do sleep 0.05; done
systemd-run --user --quiet --unit=firefox --setenv=DISPLAY=:7 \
	firefox-esr --profile "$PWD/profile" --no-remote --marionette --remote-allow-system-access about:blank
until ss -tln | grep -q '127.0.0.1:2828 '; do sleep 0.05; done
DISPLAY=:7 xdotool search --sync --onlyvisible --class firefox windowfocus --sync >/dev/null
