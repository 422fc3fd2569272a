#!/bin/sh
# SeaweedFS reads its users from a file; this writes the one user that .env names, then makes the bucket.
set -eu
umask 077
cat >/etc/seaweedfs-users.json <<JSON
{"identities": [{"name": "loyalty",
  "credentials": [{"accessKey": "${S3_ACCESS_KEY:?}", "secretKey": "${S3_SECRET_KEY:?}"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
JSON
(
    until wget -q -O /dev/null http://127.0.0.1:8333/status; do sleep 1; done
    echo "s3.bucket.create -name loyalty" | weed shell -master=127.0.0.1:9333
) &
exec weed server -dir=/data -ip=127.0.0.1 -ip.bind=0.0.0.0 -volume.max=100 -master.telemetry=false \
    -s3 -s3.port=8333 -s3.config=/etc/seaweedfs-users.json
