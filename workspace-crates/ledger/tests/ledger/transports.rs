//! The same ledger through every kind of address that git knows.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ledger::{Expectations, GitStore, Ledger, StoreError};

use crate::children::{append, events};
use crate::git::{create, fast, git};

/// Two clones append in turn through the remote at `address`, and to what was in between.
fn is_shared_through(address: &str, folder: &Path, remote: &Path, configure: impl Fn(&Path)) {
    let store = |clone: &str| {
        let path = folder.join(clone);
        let store = fast(&path);
        configure(&path);
        store.with_remote(address)
    };
    let mut first = create(store("first"));
    let mut second = Ledger::open(store("second"), &Expectations::default()).unwrap();
    append(&mut first, "deploy").unwrap();
    assert!(append(&mut second, "announce").unwrap_err().is_conflict());
    assert_eq!(second.refresh().unwrap(), 1);
    append(&mut second, "announce").unwrap();
    assert_eq!(first.refresh().unwrap(), 1);
    let stranger = Ledger::open(GitStore::open(remote).unwrap(), &Expectations::default()).unwrap();
    assert_eq!(events(&stranger), ["deploy", "announce"]);
    git(remote, &["fsck", "--strict", "--no-dangling"]);
}

fn bare(folder: &Path) -> PathBuf {
    git(folder, &["init", "-q", "--bare", "remote.git"]);
    folder.join("remote.git")
}

#[test]
fn a_ledger_is_shared_through_a_file_address() {
    let folder = tempfile::tempdir().unwrap();
    let remote = bare(folder.path());
    let address = format!("file://{}", remote.display());
    is_shared_through(&address, folder.path(), &remote, |_| {});
}

/// In place of ssh: leaves the host aside and runs the command here.
const HERE: &str = "shift\nexec sh -c \"$*\"\n";

fn program(path: &Path, lines: &str) -> PathBuf {
    std::fs::write(path, format!("#!/bin/sh\n{lines}")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.to_owned()
}

fn use_ssh(clone: &Path, ssh: &Path) {
    git(clone, &["config", "core.sshCommand", ssh.to_str().unwrap()]);
    git(clone, &["config", "ssh.variant", "simple"]);
}

#[test]
fn a_connection_that_breaks_is_tried_again_and_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let remote = bare(folder.path());
    let clone = folder.path().join("clone");
    let address = format!("ssh://host.invalid{}", remote.display());
    create(fast(&clone).with_remote(format!("file://{}", remote.display())));
    // Breaks as often as there are lines in the file, and takes one away each time.
    let breaks = folder.path().join("breaks");
    let lines = format!(
        "if [ -s '{0}' ]; then sed -i 1d '{0}'; echo 'the line is down' >&2; exit 1; fi\n{HERE}",
        breaks.display()
    );
    let ssh = program(&folder.path().join("ssh"), &lines);
    use_ssh(&clone, &ssh);
    let open = || Ledger::open(fast(&clone).with_remote(&address), &Expectations::default());
    std::fs::write(&breaks, "1\n2\n").unwrap();
    let mut ledger = open().unwrap();
    std::fs::write(&breaks, "1\n2\n").unwrap();
    append(&mut ledger, "deploy").unwrap();
    std::fs::write(&breaks, "1\n".repeat(20)).unwrap();
    let error = append(&mut ledger, "announce").unwrap_err();
    assert!(error.to_string().contains("the line is down"), "{error}");
    // Three times for the push, and three more to see whether it arrived nevertheless.
    assert_eq!(std::fs::read_to_string(&breaks).unwrap().lines().count(), 20 - 6);
    std::fs::write(&breaks, "").unwrap();
    append(&mut ledger, "announce").unwrap();
    assert_eq!(events(&open().unwrap()), ["deploy", "announce"]);
}

#[test]
fn a_ledger_is_shared_through_ssh() {
    let folder = tempfile::tempdir().unwrap();
    let remote = bare(folder.path());
    let ssh = program(&folder.path().join("ssh"), HERE);
    let configure = |clone: &Path| use_ssh(clone, &ssh);
    for (clones, address) in [
        ("long", format!("ssh://git@host.invalid{}", remote.display())),
        ("short", format!("git@host.invalid:{}", remote.display())),
    ] {
        git(&remote, &["update-ref", "-d", ledger::LEDGER_BRANCH]);
        let clones = folder.path().join(clones);
        is_shared_through(&address, &clones, &remote, configure);
    }
}

const PASSWORD: &str = "canary-password";

/// `git http-backend` behind a server on this machine, which asks for a password.
struct Server {
    port: u16,
}

impl Server {
    /// Nothing when git has no such program here.
    fn start(root: &Path) -> Option<Self> {
        let programs = PathBuf::from(git(root, &["--exec-path"])?);
        let backend = programs.join("git-http-backend");
        if !backend.exists() || !programs.join("git-remote-http").exists() {
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let root = root.to_owned();
        // The thread ends with the test program.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that went away is no matter of the server.
                let _ = answer(stream.unwrap(), &backend, &root);
            }
        });
        Some(Self { port })
    }
}

/// One request, one answer, one connection.
fn answer(stream: TcpStream, backend: &Path, root: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut headers = std::collections::BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let length = header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    // `git:canary-password` in base64.
    if header("authorization") != "Basic Z2l0OmNhbmFyeS1wYXNzd29yZA==" {
        let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";
        return (&stream).write_all(refusal.as_bytes());
    }
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut backend = Command::new(backend)
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "git")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", length.to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    backend.stdin.take().unwrap().write_all(&body)?;
    let output = backend.wait_with_output()?.stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&output[..end]);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let length = output.len() - end - 4;
    let head = format!(
        "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    (&stream).write_all(head.as_bytes())?;
    (&stream).write_all(&output[end + 4..])
}

#[test]
fn a_ledger_is_shared_through_http_and_no_password_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let remote = bare(folder.path());
    let Some(server) = Server::start(folder.path()) else {
        println!(
            "skipped: a_ledger_is_shared_through_http_and_no_password_is_told (no http-backend)"
        );
        return;
    };
    let address =
        |password: &str| format!("http://git:{password}@127.0.0.1:{}/remote.git", server.port);
    is_shared_through(&address(PASSWORD), folder.path(), &remote, |clone| {
        git(clone, &["config", "credential.helper", ""]);
    });

    let store = |address: String| fast(&folder.path().join("first")).with_remote(address);
    let wrong = store(address("canary-wrong")).fetch().unwrap_err();
    assert!(matches!(wrong, StoreError::Unreachable { .. }), "{wrong}");
    assert!(wrong.to_string().contains("uthentication failed"), "{wrong}");
    assert!(!format!("{wrong} {wrong:?}").contains("canary"), "{wrong:?}");
    program(&remote.join("hooks/pre-receive"), "exit 1\n");
    let mut ledger = Ledger::open(store(address(PASSWORD)), &Expectations::default()).unwrap();
    let refused = append(&mut ledger, "missed").unwrap_err();
    assert!(refused.to_string().contains("refused the entry"), "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("canary"), "{refused:?}");
}
