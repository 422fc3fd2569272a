#!/usr/bin/env bash
# Install the Debian programs that the tests start, where that is possible; else say what is skipped.
# Set LOYALTY_NO_APT=1 to leave the system alone.
set -euo pipefail

packages=()
skipped=()
want() { # program (a path pattern or a name), Debian package, what is skipped without it
    if ! command -v "$1" >/dev/null && ! compgen -G "$1" >/dev/null; then
        packages+=("$2")
        skipped+=("$3")
    fi
}
PATH=$PATH:/usr/sbin:/sbin
want '/usr/lib/postgresql/*/bin/postgres' postgresql "tests on PostgreSQL"
want mariadbd mariadb-server "tests on MariaDB"
want redis-server redis-server "tests on Celery workers"
want sshd openssh-server "tests on OpenSSH"
want exim4 exim4-daemon-light "tests on Exim, a real mail server"
want chromium chromium "tests in a browser"
want gpg gnupg "tests of OpenPGP"
want age age "tests with the age program"
want 7zz 7zip "tests with 7-Zip"
want node nodejs "tests on Azure"
want npm npm "tests on Azure"
want soffice libreoffice-calc "tests that LibreOffice opens our files"
want java openjdk-17-jre-headless "tests on Spark"
want xmllint libxml2-utils "tests of the schema of XML"
[[ ${#packages[@]} -eq 0 ]] && exit 0

as_root=()
[[ $(id -u) -eq 0 ]] || as_root=(sudo -n)
if [[ -z ${LOYALTY_NO_APT:-} ]] && command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
    echo "test: installing ${packages[*]}"
    # The tests start their own servers on loopback; nothing else is to run because of this.
    policy=/usr/sbin/policy-rc.d
    made_policy=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod +x "$policy"
        made_policy=yes
        trap '[[ -z $made_policy ]] || "${as_root[@]}" rm -f "$policy"' EXIT
    fi
    apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    if "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${packages[@]}" >/dev/null; then
        exit 0
    fi
fi
printf 'test: missing, so skipped: %s\n' "${skipped[@]}" >&2
printf 'test: to run them: apt-get install %s\n' "${packages[*]}" >&2
