#!/bin/sh
# The host key lies in a volume, so that clients that pinned it still know this server after a rebuild.
set -eu
[ -f /etc/ssh/keys/ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/keys/ed25519
echo "loyalty:${SFTP_PASSWORD:?}" | chpasswd
chown loyalty /srv/sftp/incoming
exec /usr/sbin/sshd -D -e
