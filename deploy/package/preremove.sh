#!/bin/sh
# Stops smspager when the package is removed, not when it is upgraded. $1 is "remove" (deb), or the number
# of versions that stay (rpm).
set -e
case "$1" in
  upgrade | 1) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
  systemctl disable --now smspager.service || true
fi
