#!/bin/sh
# Runs after the package's files are in place, at an installation and at an upgrade.
set -e
if ! getent group smspager >/dev/null; then
  groupadd --system smspager
fi
if ! getent passwd smspager >/dev/null; then
  useradd --system --gid smspager --home-dir /var/lib/smspager --no-create-home --shell /usr/sbin/nologin smspager
fi
install -d -o smspager -g smspager -m 0700 /var/lib/smspager
chown root:smspager /etc/smspager
chmod 0750 /etc/smspager
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  # An upgrade restarts what runs; a first installation has no configuration yet.
  systemctl try-restart smspager.service || true
fi
if [ ! -e /etc/smspager/smspager.yml ]; then
  echo "smspager: write a configuration and the password of your account, check them, then start it:"
  echo "  smspager init --user=acme --to=+33639980001 --outbox=/var/lib/smspager/smspager.db /etc/smspager/smspager.yml"
  echo "  \${EDITOR:-vi} /etc/smspager/textinghouse.password"
  echo "  chgrp -R smspager /etc/smspager && chmod -R g+rX,o= /etc/smspager"
  echo "  runuser -u smspager -- smspager check-config /etc/smspager/smspager.yml"
  echo "  systemctl enable --now smspager"
  echo "What follows: /usr/share/doc/smspager/docs/getting-started.md"
fi
