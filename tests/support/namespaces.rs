//! Linux namespaces for a container engine. Its mounts, networks, packet filter rules and processes exist only in them,
//! and end with it.
//!
//! The network namespace reaches the network through `slirp4netns`, a user-space NAT that does not change this machine.
//! A TCP connection to 127.0.0.1 from inside is forwarded to this machine's loopback.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The script outside of the namespaces: `$0` is [`INSIDE`], `$1` the engine's directory, the rest is passed to [`INSIDE`].
///
/// Descriptor 3 is the pipe of the test, since a shell starts background processes without standard input.
const OUTSIDE: &str = r#"
    exec 3<&0
    unshare --mount --net --pid --fork --kill-child --mount-proc sh -c "$0" sh "$@" <&3 >"$1/log" 2>&1 &
    namespaces=$!
    until [ -e "$1/inside" ]; do
        kill -0 "$namespaces" || exit
        sleep 0.02
    done
    slirp4netns --configure --mtu=65520 --api-socket "$1/network" "$namespaces" tap0 >"$1/slirp.log" 2>&1 3<&- &
    network=$!
    echo "$namespaces" >"$1/namespaces"
    wait "$namespaces"
    kill "$network"
    wait "$network"
    find /sys/fs/cgroup -depth -type d -path "*/${1##*/}*" -exec rmdir {} \;
    rm -rf "$1"
"#;

/// The script in the namespaces: `$1` is the engine's directory, `$2` the size of its disk and `$3` a hidden directory,
/// which both may be empty; the rest is the engine's command line.
///
/// 10.0.2.2 is this machine's loopback and 10.0.2.3 its resolver, by the defaults of `slirp4netns`.
const INSIDE: &str = r#"
    directory=$1
    ip link set lo up
    mount -t tmpfs tmpfs /run
    mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni
    echo 'nameserver 10.0.2.3' >"$directory/resolv.conf"
    mount --bind "$directory/resolv.conf" /etc/resolv.conf
    [ -z "$2" ] || mount -t tmpfs -o "size=$2" tmpfs "$directory/data"
    [ -z "$3" ] || mount -t tmpfs tmpfs "$3"
    : >"$directory/inside"
    until ip -4 route show default | grep -q tap0; do sleep 0.02; done
    echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
    iptables -w -t nat -A OUTPUT -p tcp -d 127.0.0.1 -j DNAT --to-destination 10.0.2.2
    iptables -w -t nat -A POSTROUTING -o tap0 -j MASQUERADE
    shift 3
    TMPDIR="$directory/temp" "$@" &
    engine=$!
    while read -r signal; do kill "-$signal" "$engine"; done
    kill "$engine"
    wait "$engine"
"#;

/// A program in its own namespaces. It is stopped when this is dropped and when this process exits in any way, since the
/// shells read a pipe of this process.
pub(crate) struct Namespaces {
    shell: Child,
    directory: PathBuf,
}

/// Options of the namespaces.
#[derive(Clone, Copy, Default)]
pub(crate) struct Inside<'a> {
    /// The size of the file system at `data` below the directory.
    pub(crate) disk: Option<&'a str>,
    /// A directory that is empty inside.
    pub(crate) hidden: Option<&'a Path>,
}

impl Namespaces {
    /// Starts a program. `command` returns its command line for the directory that it gets.
    ///
    /// # Panics
    /// When there is no shell or no directory for temporary files.
    pub(crate) fn start<S: AsRef<OsStr>>(
        kind: &str,
        inside: Inside<'_>,
        command: impl FnOnce(&Path) -> Vec<S>,
    ) -> Self {
        // A socket's path has to be short.
        let directory = tempfile::Builder::new()
            .prefix(&format!("{kind}-"))
            .tempdir()
            .expect("a temporary directory can be created")
            .keep();
        for below in ["data", "temp"] {
            std::fs::create_dir(directory.join(below)).expect("the directory is writable");
        }
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(OUTSIDE)
            .arg(INSIDE)
            .arg(&directory)
            .arg(inside.disk.unwrap_or_default());
        shell
            .arg(inside.hidden.unwrap_or(Path::new("")))
            .args(command(&directory));
        // Ctrl-C in a terminal reaches only this process, so that the scripts can stop the engine in order.
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        Self {
            shell: shell.spawn().expect("`sh` starts"),
            directory,
        }
    }

    /// The directory of the program, which is removed at the end.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The output of the program.
    pub(crate) fn log(&self) -> String {
        let log = |name| std::fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        format!("{}{}", log("log"), log("slirp.log"))
    }

    /// Whether the program has exited.
    pub(crate) fn ended(&mut self) -> bool {
        self.shell.try_wait().is_ok_and(|status| status.is_some())
    }

    /// The network namespace, as the target of `/proc/self/ns/net`.
    ///
    /// # Panics
    /// When it has ended.
    pub(crate) fn network(&self) -> String {
        let process =
            std::fs::read_to_string(self.directory.join("namespaces")).expect("it has started");
        let link = std::fs::read_link(format!("/proc/{}/ns/net", process.trim())).expect("it runs");
        link.display().to_string()
    }

    /// Forwards a port of this machine's loopback to a port inside.
    ///
    /// # Panics
    /// When the port is in use.
    pub(crate) fn forward(&self, outside: u16, inside: u16) {
        let mut response = String::new();
        let request = format!(
            r#"{{"execute":"add_hostfwd","arguments":{{"proto":"tcp","host_addr":"127.0.0.1","host_port":{outside},"guest_port":{inside}}}}}"#
        );
        let mut socket =
            UnixStream::connect(self.directory.join("network")).expect("it has started");
        socket
            .write_all(request.as_bytes())
            .and_then(|()| socket.shutdown(std::net::Shutdown::Write))
            .expect("the socket is open");
        socket
            .read_to_string(&mut response)
            .expect("slirp4netns responds");
        assert!(
            response.contains("return"),
            "port {outside} cannot be forwarded: {response}"
        );
    }

    /// Sends a signal to the program.
    ///
    /// # Panics
    /// When it has ended.
    pub(crate) fn signal(&self, name: &str) {
        let mut pipe = self.shell.stdin.as_ref().expect("it is piped");
        writeln!(pipe, "{name}").expect("it runs");
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        drop(self.shell.wait());
    }
}
