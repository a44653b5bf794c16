use std::collections::BTreeMap;

use base::{Duration, GateId};
use diagnostics::{Diagnostic, Location, codes};

use crate::model::{Auth, Product, Secret, Server, Text};
use crate::shape::{Shape, Sink, parse_choice, parse_duration, parse_id, wrong_type};
use crate::{Entry, Value, ValueKind};

/// The servers by name; nothing for one that could not be read, so that naming it is not reported
/// as a second mistake.
pub(crate) type RawServers = BTreeMap<String, Option<Server>>;

/// Reads the tables `[servers.<name>]`.
pub(crate) fn read_servers(entries: &[Entry], sink: &Sink) -> RawServers {
    entries.iter().map(|entry| (entry.key.clone(), read_server(entry, sink))).collect()
}

/// Reads every key before it gives up, so that all of a server's mistakes are reported.
fn read_server(entry: &Entry, sink: &Sink) -> Option<Server> {
    let shape = Shape::of(&entry.value, "a server", sink)?;
    let name = Text { value: entry.key.clone(), location: entry.key_location.clone() };
    // A server is named like a gate.
    let name: Option<GateId> = parse_id(&name, sink);
    let url = shape.text("url");
    let product =
        optional(shape.optional_text("product"), |text| parse_choice(text, &Product::ALL, sink));
    let max_points = match shape.optional("max_points") {
        Some(entry) => read_points(&entry.value, sink),
        None => Some(Server::MAX_POINTS_DEFAULT),
    };
    let timeout = read_length(&shape, "timeout", Server::TIMEOUT_DEFAULT, sink);
    let deadline = read_length(&shape, "deadline", Server::DEADLINE_DEFAULT, sink);
    let auth = optional(shape.optional_table("auth"), |table| read_auth(table, sink));
    let ca_file = shape.optional_text("ca_file");
    let has_auth = shape.table.get("auth").is_some();
    shape.finish();
    let url = read_url(&entry.key, &url?, has_auth, sink);
    name?;
    Some(Server {
        url: url?,
        product: product?,
        max_points: max_points?,
        timeout: timeout?,
        deadline: deadline?,
        auth: auth?,
        ca_file: ca_file.map(|text| text.value),
        location: entry.key_location.clone(),
    })
}

/// `Some(None)` when there is nothing to read, nothing when it cannot be read.
fn optional<T, R>(found: Option<T>, read: impl Fn(&T) -> Option<R>) -> Option<Option<R>> {
    match found {
        None => Some(None),
        Some(found) => read(&found).map(Some),
    }
}

fn read_points(value: &Value, sink: &Sink) -> Option<u32> {
    let ValueKind::Integer(number) = &value.kind else {
        sink.push(wrong_type(value, "an integer"));
        return None;
    };
    let points = u32::try_from(*number).ok().filter(|points| *points > 0);
    if points.is_none() {
        let message = format!("{number} is no number of points; write an integer from 1 on");
        sink.push(Diagnostic::error(codes::BAD_VALUE, message).at(&value.location));
    }
    points
}

fn read_length(
    shape: &Shape<'_>,
    key: &'static str,
    default: Duration,
    sink: &Sink,
) -> Option<Duration> {
    match shape.optional_text(key) {
        Some(text) => parse_duration(&text, sink),
        None => Some(default),
    }
}

fn read_auth(table: &Value, sink: &Sink) -> Option<Auth> {
    let shape = Shape::of(table, "`auth`", sink)?;
    let bearer_file = shape.optional_text("bearer_file");
    let basic_user = shape.optional_text("basic_user");
    let password_file = shape.optional_text("password_file");
    let cert = shape.optional_text("client_cert");
    let key = shape.optional_text("client_key");
    let keyring = optional(shape.optional_text("keyring"), |text| read_keyring(text, sink));
    shape.finish();
    let file = |text: Text| Secret::File(text.value);
    let auth = match (bearer_file, basic_user, password_file, cert, key, keyring?) {
        (Some(token), None, None, None, None, None) => Auth::Bearer(file(token)),
        (None, None, None, None, None, Some(entry)) => Auth::Bearer(entry),
        (None, Some(user), Some(password), None, None, None) => {
            Auth::Basic { user: user.value, password: file(password) }
        }
        (None, Some(user), None, None, None, Some(entry)) => {
            Auth::Basic { user: user.value, password: entry }
        }
        (None, None, None, Some(cert), Some(key), None) => {
            Auth::Certificate { cert_file: cert.value, key_file: key.value }
        }
        _ => {
            sink.push(
                Diagnostic::error(codes::CONFLICT, "these keys are no way to say who asks")
                    .at(shape.location)
                    .help("write `{ bearer_file }`, `{ basic_user, password_file }`, `{ client_cert, client_key }`, `{ keyring }` for a token, or `{ basic_user, keyring }`"),
            );
            return None;
        }
    };
    Some(auth)
}

fn read_keyring(text: &Text, sink: &Sink) -> Option<Secret> {
    match text.value.split_once('/') {
        Some((service, user)) if !service.is_empty() && !user.is_empty() => {
            Some(Secret::Keyring { service: service.to_owned(), user: user.to_owned() })
        }
        _ => {
            let message = format!("`{}` names no entry of a keyring", text.value);
            sink.push(
                Diagnostic::error(codes::BAD_VALUE, message)
                    .at(&text.location)
                    .help("write `\"<service>/<user>\"`"),
            );
            None
        }
    }
}

/// The address without its final slashes, when it is one that a record may show.
fn read_url(name: &str, text: &Text, has_auth: bool, sink: &Sink) -> Option<String> {
    let url = text.value.as_str();
    if url.contains(['@', '?', '#']) {
        // The line itself must not be shown: it may hold a password.
        let at = Location::whole_file(text.location.file.clone());
        sink.push(
            Diagnostic::error(
                codes::BAD_VALUE,
                format!("the address of the server `{name}` has an `@`, `?` or `#`, where credentials stand"),
            )
            .at(&at)
            .help("write the address alone, and `auth` for the credentials"),
        );
        return None;
    }
    let refuse = |message: String, help: &str| {
        sink.push(Diagnostic::error(codes::BAD_VALUE, message).at(&text.location).help(help));
        None
    };
    let (is_plain, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => {
            let message = format!("`{url}` is not the address of a server");
            return refuse(message, "begin it with `https://`, or `http://` on this machine");
        }
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let strange = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if authority.is_empty() || authority.starts_with(':') || url.contains(strange) {
        let message = format!("`{}` is not the address of a server", url.escape_debug());
        return refuse(message, "write `https://<host>[:<port>][/<path>]`");
    }
    if is_plain && has_auth && !is_loopback(authority) {
        return refuse(
            format!("`{url}` would carry the credentials over the network for all to read"),
            "use `https://`; `http://` with `auth` is for this machine only",
        );
    }
    Some(url.trim_end_matches('/').to_owned())
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["localhost", "localhost:9090", "127.0.0.1:80", "127.8.8.8", "[::1]:9090"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "[fe80::1]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
