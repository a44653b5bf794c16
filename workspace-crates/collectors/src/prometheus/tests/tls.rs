//! TLS with certificates of both sides. The keys in `tests/tls` are for these tests alone.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use definition::{Auth, Server};
use gates::ServerProblemKind::{Setup, Unreachable};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::scripted::{matrix, ok};
use super::{ask_at, question, server};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

/// A server that only talks to clients of the test authority; its address.
fn start() -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = |name| CertificateDer::from_pem_file(fixture(name)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate("authority.pem")).unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(WebPkiClientVerifier::builder(roots.into()).build().unwrap())
        .with_single_cert(
            vec![certificate("server.pem")],
            PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let mut request = [0; 4096];
            // Who shows no certificate gets no answer.
            if stream.read(&mut request).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(ok(&matrix(&[("a", &[(1000.0, "1")])])).as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    url
}

/// A folder with the client's certificate and a key that only its owner can read.
fn client() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["client.pem", "client.key", "authority.pem"] {
        let path = folder.path().join(name);
        std::fs::copy(fixture(name), &path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

fn certificate() -> Option<Auth> {
    Some(Auth::Certificate { cert_file: "client.pem".into(), key_file: "client.key".into() })
}

#[test]
fn both_sides_show_certificates() {
    let (url, folder) = (start(), client());
    let mutual =
        Server { auth: certificate(), ca_file: Some("authority.pem".to_owned()), ..server(&url) };
    let (body, _, shown) = ask_at(folder.path(), mutual, &[question("up", 1)]);
    assert_eq!((&body.problem, &body.answers[0].problem), (&None, &None));
    assert_eq!(body.answers[0].result.len(), 1);
    let key = std::fs::read_to_string(fixture("client.key")).unwrap();
    let hidden: Vec<&str> = key.lines().filter(|line| !line.starts_with('-')).collect();
    assert!(hidden.iter().all(|line| !shown.contains(line)));
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_asked_again() {
    let (url, folder) = (start(), client());
    let untrusted = Server { auth: certificate(), ..server(&url) };
    let (body, slept, _) = ask_at(folder.path(), untrusted, &[question("up", 1)]);
    let problem = body.answers[0].problem.clone().unwrap();
    assert_eq!((problem.kind, slept.len()), (Setup, 0), "{}", problem.text);
    assert!(problem.text.contains("not secure"), "{}", problem.text);
}

#[test]
fn a_client_without_a_certificate_gets_no_answer() {
    let (url, folder) = (start(), client());
    let anonymous = Server {
        ca_file: Some("authority.pem".to_owned()),
        deadline: base::Duration::from_seconds(2),
        ..server(&url)
    };
    let (body, ..) = ask_at(folder.path(), anonymous, &[question("up", 1)]);
    let problem = body.answers[0].problem.clone().unwrap();
    assert!(matches!(problem.kind, Setup | Unreachable), "{}", problem.text);
}

#[test]
fn a_key_that_everybody_can_read_and_authorities_that_are_none_are_refused() {
    let (url, folder) = (start(), client());
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("client.key"), open).unwrap();
    for (auth, ca_file, why) in [
        (certificate(), "authority.pem", "chmod"),
        (None, "client.key", "no certificates"),
        (None, "none.pem", "cannot be read"),
    ] {
        let refused = Server { auth, ca_file: Some(ca_file.to_owned()), ..server(&url) };
        let (body, ..) = ask_at(folder.path(), refused, &[question("up", 1)]);
        let problem = body.problem.unwrap();
        assert_eq!(problem.kind, Setup);
        assert!(problem.text.contains(why), "{}", problem.text);
    }
}
