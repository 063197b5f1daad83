#!/bin/sh
# Registers qemu for arm64 binaries with the kernel, and takes that back when its last user goes.
# Usage: emulation.sh up|down NUMBER-PID, naming the user. Callers hold a lock, so two of them never run at once.
# A handler that was there before is left as it is.
set -eu

action=$1 user=$2
# Debian's name for it; by the -P qemu knows that the kernel passes argv[0] on.
interpreter=/usr/libexec/qemu-binfmt/aarch64-binfmt-P
binfmt=/proc/sys/fs/binfmt_misc
state=/run/archfarm-emulation

prune_dead_users() {
  for file in "$state"/user-*; do
    [ -e "$file" ] && [ ! -d "/proc/${file##*-}" ] && rm -f "$file"
  done
  return 0
}

case $action in
up)
  mkdir -p "$state"
  prune_dead_users
  if [ ! -e "$binfmt/register" ]; then
    [ -d "$binfmt" ] || modprobe binfmt_misc
    mount -t binfmt_misc binfmt_misc "$binfmt"
    touch "$state/mounted"
  fi
  if [ ! -e "$binfmt/qemu-aarch64" ]; then
    # O: open the binary for qemu, C: keep its credentials, P: keep argv[0], by which busybox knows what to be,
    # F: hold qemu open, so containers need no copy of it.
    magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s' ":qemu-aarch64:M::$magic:$mask:$interpreter:OCPF" >"$binfmt/register"
    touch "$state/registered"
  fi
  touch "$state/user-$user"
  ;;
down)
  rm -f "$state/user-$user"
  prune_dead_users
  for file in "$state"/user-*; do [ -e "$file" ] && exit 0; done
  if [ -e "$state/registered" ]; then echo -1 >"$binfmt/qemu-aarch64"; fi
  if [ -e "$state/mounted" ]; then umount "$binfmt"; fi
  rm -rf "$state"
  ;;
esac
