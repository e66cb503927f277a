#!/usr/bin/env bash
# Writes a small Debian to stdout as a tar archive. It copies this machine's essential packages, apt, certificates and package
# sources, and configures and fetches nothing. It takes seconds (debootstrap takes a minute), and apt-get works in the result.
#
#   deploy/containers/debian-slim.sh | docker import - local/debian-slim
#
# For tests only: the result has this machine's trusted certificates and package sources.
set -euo pipefail
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

installed() { dpkg-query --show --showformat='${db:Status-Abbrev} ${Essential} ${Package}\n' | awk '$1 == "ii"'; }
relations=(--no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances)
mapfile -t essential < <(installed | awk '$2 == "yes" { print $3 }')
mapfile -t packages < <(
  apt-cache depends --recurse --installed "${relations[@]}" "${essential[@]}" mawk apt ca-certificates libstdc++6 |
    grep -v '^[ |<]' | sed 's/:.*//' | sort -u | grep -Fxf <(installed | awk '{ print $3 }')
)

# The files of the packages. Packages list directories that are now symbolic links (/bin, /lib) under their old names.
mkdir -p "$root"/{dev,proc,sys,run,tmp,root,home,etc/apt,var/lib/dpkg/info,var/lib/apt/lists/partial,var/cache/apt/archives/partial,var/log/apt}
chmod 1777 "$root/tmp"
for link in /bin /sbin /lib /lib32 /lib64 /libx32; do
  if [ -L "$link" ]; then cp -a "$link" "$root$link" && mkdir -p "$root/usr$link"; fi
done
dpkg --listfiles "${packages[@]}" | grep '^/' |
  sed -E 's#^/(bin|sbin|lib|lib32|lib64|libx32)(/|$)#/usr/\1\2#' |
  grep -vE '^/(usr/share/(doc|man|info|locale|i18n)|dev|proc|sys|tmp|run)(/|$)' | sort -u |
  while read -r path; do if [ -L "$path" ] || [ -f "$path" ] || [ -d "$path" ]; then echo ".$path"; fi; done |
  tar -C / --no-recursion --ignore-failed-read -cf - --files-from=- | tar -C "$root" -xf -

# Files that packages make when they are configured: the index of libraries, alternatives, users, certificates, package sources.
ln -s mawk "$root/usr/bin/awk"
cp -a /etc/{alternatives,debconf.conf,nsswitch.conf,ld.so.conf,ld.so.conf.d} "$root/etc/"
cp -a /etc/ssl /etc/ca-certificates* "$root/etc/"
# Also copies certificates that somebody added to this machine's bundle by hand, so that an update of the bundle keeps them.
mkdir -p "$root/usr/local/share/ca-certificates"
cp /etc/ssl/certs/ca-certificates.crt "$root/usr/local/share/ca-certificates/of-the-host.crt"
cp -a /etc/apt/. "$root/etc/apt/"
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/docker" # like the official images
rm -f "$root"/etc/apt/apt.conf.d/20packagekit "$root"/etc/apt/apt.conf.d/50appstream
cp /usr/share/base-passwd/passwd.master "$root/etc/passwd"
cp /usr/share/base-passwd/group.master "$root/etc/group"
printf '%s\n' '_apt:*:42:65534::/nonexistent:/usr/sbin/nologin' >>"$root/etc/passwd"
sed -i 's/:\*:/:x:/' "$root/etc/passwd"
cut -d: -f1 "$root/etc/passwd" | sed 's/$/:*:19000:0:99999:7:::/' >"$root/etc/shadow"
find "$root/etc/alternatives" -type l | while read -r link; do
  if ! [ -e "$root$(readlink "$link")" ]; then rm "$link"; fi
done
chroot "$root" /sbin/ldconfig

# dpkg's database, for these packages only.
for package in "${packages[@]}"; do
  for file in /var/lib/dpkg/info/"$package".* /var/lib/dpkg/info/"$package":*; do
    if [ -e "$file" ]; then cp -a "$file" "$root/var/lib/dpkg/info/"; fi
  done
done
cp -a /var/lib/dpkg/info/format "$root/var/lib/dpkg/info/"
printf '%s\n' "${packages[@]}" | awk '
  NR == FNR { wanted[$1] = 1; next }
  { if (match($0, /(^|\n)Package: [^\n]+/)) { name = substr($0, RSTART, RLENGTH); sub(/.*Package: /, "", name)
      if (name in wanted) print $0 "\n" } }' - RS='' /var/lib/dpkg/status >"$root/var/lib/dpkg/status"
touch "$root/var/lib/dpkg/available"
mkdir -p "$root/var/cache/debconf" "$root/var/lib/dpkg/"{updates,triggers,alternatives}

tar -C "$root" -cf - .
