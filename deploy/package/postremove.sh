#!/bin/sh
# The outbox in /var/lib/smspager and the configuration stay, unless the package is purged (deb).
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
if [ "$1" = purge ]; then
  rm -rf /var/lib/smspager /etc/smspager
fi
