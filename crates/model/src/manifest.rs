//! NetworkPolicies as YAML text, the way a careful person writes them. The same policy gives the same bytes, and reading
//! the text back gives the same policy.

use crate::policy::{BlockCidr, NetworkPolicy, Peer, PeerKind, Peers, PortEntry, Ports, Rule};
use crate::port::PortMatch;
use crate::selector::{Op, Selector};
use std::fmt::Write;

/// A whole NetworkPolicy. `annotations` are printed sorted as given; `comments` go above the rules they belong to, by
/// (is it an egress rule, index of the rule).
pub fn network_policy(
    namespace: &str,
    policy: &NetworkPolicy,
    comments: &dyn Fn(bool, usize) -> Vec<String>,
) -> String {
    let mut out = String::from("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n");
    line(&mut out, 1, &format!("name: {}", scalar(&policy.name)));
    line(&mut out, 1, &format!("namespace: {}", scalar(namespace)));
    if !policy.annotations.is_empty() {
        line(&mut out, 1, "annotations:");
        for (key, value) in policy.annotations.iter() {
            line(&mut out, 2, &format!("{}: {}", scalar(key), scalar(value)));
        }
    }
    out.push_str("spec:\n");
    selector(&mut out, 1, "podSelector", &policy.subject);
    line(&mut out, 1, "policyTypes:");
    for (isolates, name) in [(policy.isolates_ingress, "Ingress"), (policy.isolates_egress, "Egress")] {
        if isolates {
            line(&mut out, 1, &format!("- {name}"));
        }
    }
    for (egress, name, rules) in [(false, "ingress", &policy.ingress), (true, "egress", &policy.egress)] {
        if !rules.is_empty() {
            line(&mut out, 1, &format!("{name}:"));
            for (i, this) in rules.iter().enumerate() {
                for comment in comments(egress, i) {
                    line(&mut out, 1, &format!("# {comment}"));
                }
                rule(&mut out, 1, this, egress);
            }
        }
    }
    out
}

/// One rule as an entry of `ingress` or `egress`, without indentation.
pub fn rule_entry(this: &Rule, egress: bool) -> String {
    let mut out = String::new();
    rule(&mut out, 0, this, egress);
    out
}

fn rule(out: &mut String, depth: usize, rule: &Rule, egress: bool) {
    let mut body = String::new();
    if let Peers::Of(peers) = &rule.peers {
        line(&mut body, 0, if egress { "to:" } else { "from:" });
        peers.iter().for_each(|p| peer(&mut body, p));
    }
    if let Ports::Of(ports) = &rule.ports {
        line(&mut body, 0, "ports:");
        ports.iter().for_each(|p| port(&mut body, p));
    }
    item(out, depth, &body);
}

/// Puts a dash before a block of lines; an empty block is `{}`.
fn item(out: &mut String, depth: usize, body: &str) {
    if body.is_empty() {
        line(out, depth, "- {}");
    }
    for (i, text) in body.lines().enumerate() {
        let lead = if i == 0 { "- " } else { "  " };
        line(out, depth, &format!("{lead}{text}"));
    }
}

fn peer(out: &mut String, peer: &Peer) {
    let mut body = String::new();
    match &peer.kind {
        PeerKind::Pods { namespaces, pods } => {
            if let Some(namespaces) = namespaces {
                selector(&mut body, 0, "namespaceSelector", namespaces);
            }
            if let Some(pods) = pods {
                selector(&mut body, 0, "podSelector", pods);
            }
        }
        PeerKind::Block(block) => {
            let text = |b: &BlockCidr| scalar(&b.cidr.to_string());
            line(&mut body, 0, "ipBlock:");
            line(&mut body, 1, &format!("cidr: {}", text(&block.cidr)));
            if !block.except.is_empty() {
                line(&mut body, 1, "except:");
                block.except.iter().for_each(|e| line(&mut body, 1, &format!("- {}", text(e))));
            }
        }
    }
    item(out, 0, &body);
}

fn port(out: &mut String, entry: &PortEntry) {
    let mut body = format!("protocol: {}\n", entry.protocol);
    match &entry.port {
        PortMatch::Any => {}
        PortMatch::Range(first, last) if first == last => line(&mut body, 0, &format!("port: {first}")),
        PortMatch::Range(first, last) => {
            line(&mut body, 0, &format!("port: {first}"));
            line(&mut body, 0, &format!("endPort: {last}"));
        }
        PortMatch::Named(name) => line(&mut body, 0, &format!("port: {}", scalar(name))),
    }
    item(out, 0, &body);
}

fn selector(out: &mut String, depth: usize, field: &str, selector: &Selector) {
    if selector.is_everything() {
        return line(out, depth, &format!("{field}: {{}}"));
    }
    line(out, depth, &format!("{field}:"));
    let single = |op: &Op| match op {
        Op::In(values) if values.len() == 1 => values.first().cloned(),
        _ => None,
    };
    let labels: Vec<_> =
        selector.requirements.iter().filter_map(|r| single(&r.op).filter(|_| r.from_labels).map(|v| (r, v))).collect();
    if !labels.is_empty() {
        line(out, depth + 1, "matchLabels:");
        for (requirement, value) in &labels {
            line(out, depth + 2, &format!("{}: {}", scalar(&requirement.key), scalar(value)));
        }
    }
    let others: Vec<_> = selector.requirements.iter().filter(|r| !(r.from_labels && single(&r.op).is_some())).collect();
    if !others.is_empty() {
        line(out, depth + 1, "matchExpressions:");
        for requirement in others {
            let (op, values) = match &requirement.op {
                Op::In(values) => ("In", Some(values)),
                Op::NotIn(values) => ("NotIn", Some(values)),
                Op::Exists => ("Exists", None),
                Op::DoesNotExist => ("DoesNotExist", None),
                Op::Unknown(op) => (&**op, None),
            };
            line(out, depth + 1, &format!("- key: {}", scalar(&requirement.key)));
            line(out, depth + 2, &format!("operator: {}", scalar(op)));
            if let Some(values) = values {
                line(out, depth + 2, "values:");
                values.iter().for_each(|v| line(out, depth + 2, &format!("- {}", scalar(v))));
            }
        }
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{:1$}{text}", "", depth * 2);
}

/// A string as a YAML scalar that every reader takes for that string: quoted where plain text could be read as something else.
pub fn scalar(text: &str) -> String {
    const WORDS: [&str; 12] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "~", ".nan", ".inf"];
    let lower = text.to_ascii_lowercase();
    let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let slash_number = text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | '/'))
        && text.contains('.')
        && text.contains('/');
    if (starts && text.chars().all(plain) && !WORDS.contains(&lower.as_str())) || slash_number {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_stay_strings() {
        for plain in ["web", "app.kubernetes.io/name", "10.0.0.0/8", "a-b_c.d"] {
            assert_eq!(scalar(plain), plain);
        }
        for quoted in ["true", "Yes", "1.10", "8080", "", "1e3", "0x50", "null", "-a", "a:b", "2001:db8::/32"] {
            assert_eq!(scalar(quoted), format!("\"{quoted}\""), "{quoted}");
        }
        assert_eq!(scalar("a\"b\u{1b}"), "\"a\\\"b\\u001b\"");
    }
}
