//! `pipeline/roles.toml`.

use base::{GateId, PrincipalId};
use diagnostics::{Diagnostic, Location, codes, suggestion};

use crate::model::{Policy, Principal, PrincipalKind, Role, Roles, Text};
use crate::raw::{report_duplicates, schema_is_known};
use crate::shape::{Shape, Sink, parse_id, wrong_type};
use crate::{Entry, Value, ValueKind};

const POLICIES: [(&str, Policy); 2] = [("solo", Policy::Solo), ("quorum", Policy::Quorum)];

const KINDS: [(&str, PrincipalKind); 3] = [
    ("human", PrincipalKind::Human),
    ("ci", PrincipalKind::Ci),
    ("organisation", PrincipalKind::Organisation),
];

/// The principals and roles; nothing when the policy could not be read.
pub(crate) fn read(document: &Value, sink: &Sink) -> Option<Roles> {
    let shape = Shape::of(document, "the file of roles", sink)?;
    if !schema_is_known(&shape, sink) {
        return None;
    }
    let policy = shape.choice("policy", &POLICIES);
    let mut ids = Vec::new();
    let mut principals = Vec::new();
    for item in shape.list("principal") {
        let Some(shape) = Shape::of(item, "a principal", sink) else { continue };
        let id = shape.id::<PrincipalId>("id");
        ids.extend(id.clone());
        principals.extend(read_principal(&shape, id.map(|(id, _)| id)));
    }
    report_duplicates("principal", ids.iter().map(|(id, at)| (id.as_str(), at)), sink);
    let entries = shape.entries("role");
    let roles = entries.iter().filter_map(|entry| read_role(entry, &ids, sink)).collect();
    shape.finish();
    Some(Roles { policy: policy?, principals, roles })
}

fn read_principal(shape: &Shape<'_>, id: Option<PrincipalId>) -> Option<Principal> {
    let kind = shape.choice("kind", &KINDS);
    let title = shape.text("title");
    let keys = shape.texts("keys").into_iter().map(|key| key.value).collect();
    shape.finish();
    Some(Principal { id: id?, kind: kind?, title: title?.value, keys })
}

fn read_role(
    entry: &Entry,
    ids: &[(PrincipalId, Location)],
    sink: &Sink,
) -> Option<(String, Role)> {
    let name = Text { value: entry.key.clone(), location: entry.key_location.clone() };
    let id: Option<GateId> = parse_id(&name, sink);
    let shape = Shape::of(&entry.value, "a role", sink)?;
    let of = shape.required("of").map(|_| shape.texts("of"));
    let threshold = shape.required("threshold");
    shape.finish();
    let of = of?;
    let names = of.iter().map(|text| (text.value.as_str(), &text.location));
    report_duplicates("member", names, sink);
    let members = of.iter().filter_map(|name| member(name, ids, sink)).collect();
    // A role whose threshold is wrong is still a role: gates that it owns are not to blame.
    let threshold = threshold.and_then(|it| read_threshold(it, of.len(), sink)).unwrap_or(1);
    Some((id?.as_str().to_owned(), Role { of: members, threshold }))
}

fn member(name: &Text, ids: &[(PrincipalId, Location)], sink: &Sink) -> Option<PrincipalId> {
    let known = ids.iter().map(|(id, _)| id.as_str());
    let found = ids.iter().find(|(id, _)| id.as_str() == name.value);
    if found.is_none() {
        let message = format!("there is no principal `{}`", name.value);
        sink.push(
            Diagnostic::error(codes::UNKNOWN_PRINCIPAL, message)
                .at(&name.location)
                .help_if(suggestion(&name.value, known)),
        );
    }
    found.map(|(id, _)| id.clone())
}

fn read_threshold(value: &Value, members: usize, sink: &Sink) -> Option<u32> {
    let ValueKind::Integer(number) = value.kind else {
        sink.push(wrong_type(value, "an integer"));
        return None;
    };
    match u32::try_from(number) {
        Ok(threshold) if threshold >= 1 && threshold as usize <= members => Some(threshold),
        _ => {
            let message = format!("a threshold of {number} cannot be met by a role of {members}");
            let help = match members {
                0 => "name the members of the role in `of`".to_owned(),
                _ => format!("write a number from 1 to {members}"),
            };
            let diagnostic = Diagnostic::error(codes::BAD_THRESHOLD, message).help(help);
            sink.push(diagnostic.at(&value.location));
            None
        }
    }
}
