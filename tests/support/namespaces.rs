//! Namespaces in which a container engine lives: what it mounts, what networks and rules for packets it makes and
//! which processes it starts exist there only, and end with it.
//!
//! The network namespace reaches the network through `slirp4netns`, a user-space NAT which changes nothing on this
//! machine. Loopback stays what a test expects: a TCP connection to 127.0.0.1 from inside arrives at this machine's.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Outside: `$1` is the engine's directory, the others are for [`INSIDE`], which is `$0`.
///
/// Descriptor 3 is the pipe of the test: a shell gives what it starts in the background no standard input.
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

/// Inside: `$1` is the engine's directory, `$2` the size of its disk and `$3` a directory which it does not see, both
/// may be empty, and the rest is the engine's command line.
///
/// 10.0.2.2 is this machine's loopback and 10.0.2.3 its resolver, as `slirp4netns` has them.
const INSIDE: &str = r#"
    folder=$1
    ip link set lo up
    mount -t tmpfs tmpfs /run
    mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni
    echo 'nameserver 10.0.2.3' >"$folder/resolv.conf"
    mount --bind "$folder/resolv.conf" /etc/resolv.conf
    [ -z "$2" ] || mount -t tmpfs -o "size=$2" tmpfs "$folder/data"
    [ -z "$3" ] || mount -t tmpfs tmpfs "$3"
    : >"$folder/inside"
    until ip -4 route show default | grep -q tap0; do sleep 0.02; done
    echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
    iptables -w -t nat -A OUTPUT -p tcp -d 127.0.0.1 -j DNAT --to-destination 10.0.2.2
    iptables -w -t nat -A POSTROUTING -o tap0 -j MASQUERADE
    shift 3
    TMPDIR="$folder/temp" "$@" &
    engine=$!
    while read -r signal; do kill "-$signal" "$engine"; done
    kill "$engine"
    wait "$engine"
"#;

/// A program in namespaces of its own. They end with it when this is dropped, or with this process, however it ends:
/// the shells read a pipe of ours.
pub(crate) struct Namespaces {
    shell: Child,
    folder: PathBuf,
}

/// What else is different inside.
#[derive(Clone, Copy, Default)]
pub(crate) struct Inside<'a> {
    /// The size of the file system at `data` below the directory.
    pub(crate) disk: Option<&'a str>,
    /// A directory which is empty there.
    pub(crate) hidden: Option<&'a Path>,
}

impl Namespaces {
    /// Starts a program, whose directory is given to `command` to name paths in.
    ///
    /// # Panics
    /// When there is no shell or no directory for temporary files.
    pub(crate) fn start<S: AsRef<OsStr>>(kind: &str, inside: Inside<'_>, command: impl FnOnce(&Path) -> Vec<S>) -> Self {
        // A socket's path has to be short.
        let folder = tempfile::Builder::new().prefix(&format!("{kind}-")).tempdir().expect("a temporary folder can be made").keep();
        for below in ["data", "temp"] {
            std::fs::create_dir(folder.join(below)).expect("the folder is ours");
        }
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(OUTSIDE).arg(INSIDE).arg(&folder).arg(inside.disk.unwrap_or_default());
        shell.arg(inside.hidden.unwrap_or(Path::new(""))).args(command(&folder));
        // Ctrl-C in a terminal ends this process alone, and so what is inside in its order.
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Self { shell: shell.spawn().expect("`sh` starts"), folder }
    }

    /// The directory that is removed at the end.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the program has printed.
    pub(crate) fn log(&self) -> String {
        let log = |name| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        format!("{}{}", log("log"), log("slirp.log"))
    }

    /// Whether it has ended by itself, which it should not.
    pub(crate) fn ended(&mut self) -> bool {
        self.shell.try_wait().is_ok_and(|status| status.is_some())
    }

    /// The network namespace, as `/proc/self/ns/net` names it there.
    ///
    /// # Panics
    /// When it has ended.
    pub(crate) fn network(&self) -> String {
        let process = std::fs::read_to_string(self.folder.join("namespaces")).expect("it has started");
        let link = std::fs::read_link(format!("/proc/{}/ns/net", process.trim())).expect("it runs");
        link.display().to_string()
    }

    /// Lets connections to a port of this machine's loopback arrive at a port inside.
    ///
    /// # Panics
    /// When that port is taken.
    pub(crate) fn forward(&self, outside: u16, inside: u16) {
        let mut answer = String::new();
        let asked = format!(
            r#"{{"execute":"add_hostfwd","arguments":{{"proto":"tcp","host_addr":"127.0.0.1","host_port":{outside},"guest_port":{inside}}}}}"#
        );
        let mut socket = UnixStream::connect(self.folder.join("network")).expect("it has started");
        socket.write_all(asked.as_bytes()).and_then(|()| socket.shutdown(std::net::Shutdown::Write)).expect("the socket is open");
        socket.read_to_string(&mut answer).expect("an answer comes");
        assert!(answer.contains("return"), "port {outside} cannot be forwarded: {answer}");
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
