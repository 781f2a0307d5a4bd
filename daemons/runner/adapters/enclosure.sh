#!/bin/sh
# Runs a program as nobody of this machine: in a user namespace whose root is an unprivileged user outside, with its own
# mounts, devices and user list. Begins as root in namespaces of its own for mounts, processes, IPC and host name; all
# mounts made here end with them.
#
# enclosure.sh FIRST_ID COUNT JOB_FOLDER STORE_FOLDER GROUPS PROGRAM ARGUMENT...
#   JOB_FOLDER and STORE_FOLDER are there as /mnt/job and /mnt/store. GROUPS are cgroup folders, separated by colons.
set -eu
first=$1 count=$2 job=$3 store=$4 groups=$5
shift 5

IFS=:
for group in $groups; do
    echo $$ >"$group/cgroup.procs"
done
unset IFS

mount -t tmpfs -o mode=0755,size=1m tmpfs /mnt
mkdir /mnt/job /mnt/store /mnt/dev /mnt/dev/pts /mnt/dev/shm
mount --bind "$job" /mnt/job
mount --bind "$store" /mnt/store

# The devices every container has, instead of this machine's.
for device in null zero full random urandom tty; do
    : >"/mnt/dev/$device"
    mount --bind "/dev/$device" "/mnt/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /mnt/dev/pts
mount -t tmpfs -o mode=1777,size=64m tmpfs /mnt/dev/shm
ln -s pts/ptmx /mnt/dev/ptmx
ln -s /proc/self/fd /mnt/dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${stream%:*}" "/mnt/dev/${stream#*:}"
done
mount --rbind /mnt/dev /dev

# Programs look up the home folder of the user they think they run as.
echo "enclosed:x:$first:$first::/mnt/job:/bin/false" >/mnt/passwd
mount --bind /mnt/passwd /etc/passwd

mkfifo -m 0600 /mnt/mapped
chown "$first" /mnt/mapped
# shellcheck disable=SC2016 # expanded by the shell within
unshare --user --mount --propagation slave --keep-caps -- sh -c 'read -r _ <&3; exec 3<&-
    exec setpriv --reuid=0 --regid=0 --clear-groups --inh-caps=-all --ambient-caps=-all -- "$@"' sh "$@" 3<>/mnt/mapped &
inside=$!
own=$(readlink /proc/self/ns/user)
while [ "$(readlink "/proc/$inside/ns/user")" = "$own" ]; do
    kill -0 "$inside"
done
echo "0 $first $count" >"/proc/$inside/uid_map"
echo "0 $first $count" >"/proc/$inside/gid_map"
echo mapped >/mnt/mapped
code=0
wait "$inside" || code=$?
exit "$code"
