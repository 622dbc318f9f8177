//! Tables of flows: one row is a question (or several: cells may hold lists) and what the answer must be.

use crate::compare::kind;
use watertight_model::{DependsOn, Direction, Half, L4, Protocol, Reason, Verdict, World};

/// What every column is called; `via` may be left out.
const COLUMNS: [&str; 6] = ["from", "to", "port", "verdict", "egress", "ingress"];

/// Words that stand for an IP protocol without ports.
const OTHER: [&str; 6] = ["icmp", "esp", "ah", "gre", "igmp", "ipip"];

const REASONS: [Reason; 11] = [
    Reason::OwnAddress,
    Reason::NotSubject,
    Reason::LocalNode,
    Reason::DefaultAllow,
    Reason::AdminAccept,
    Reason::AdminDeny,
    Reason::PolicyAllow,
    Reason::PolicyDeny,
    Reason::BaselineAccept,
    Reason::BaselineDeny,
    Reason::Unclear,
];

/// Kinds of [`DependsOn`], as cells write them.
const KINDS: [&str; 10] = [
    "podAddress",
    "nodeAddress",
    "namespaceLabels",
    "hostNetwork",
    "nodeOfPod",
    "unreadableSelector",
    "mappedBlock",
    "otherProtocol",
    "domainName",
    "foreignPolicy",
];

/// One row of a table of flows. Names are looked up when the case runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRow {
    /// 1-based line in the file.
    pub line: usize,
    /// Sources, as written.
    pub from: Vec<String>,
    /// Destinations, as written.
    pub to: Vec<String>,
    /// Protocols and ports.
    pub ports: Vec<PortCell>,
    /// The flow came through a Service address.
    pub via_service: bool,
    /// The verdict.
    pub verdict: Verdict,
    /// What decides at the source, or may (`a or b`: the readings agree on the verdict and differ in the reason); empty
    /// (`-`, only towards a Service): not stated.
    pub egress: Vec<Expected>,
    /// What decides at the destination; likewise.
    pub ingress: Vec<Expected>,
}

/// A protocol and port, and how the table wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortCell {
    /// As written.
    pub text: String,
    /// As asked.
    pub l4: L4,
}

/// What must decide one half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The reason.
    pub reason: Reason,
    /// Deciding rules as `policy[rule]`, or `policy` as a whole; sorted.
    pub rules: Vec<String>,
    /// Kinds of missing facts; sorted. Not empty: the half depends.
    pub kinds: Vec<String>,
}

impl Expected {
    /// Reads a cell: a reason, then rules and kinds of missing facts, in any order.
    pub(super) fn parse(cell: &str) -> Result<Self, String> {
        let mut words = cell.split([' ', ',']).filter(|w| !w.is_empty());
        let name = words.next().unwrap_or("");
        let reason = REASONS.into_iter().find(|r| r.name() == name);
        let Some(reason) = reason else {
            let all: Vec<_> = REASONS.iter().map(|r| r.name()).collect();
            return Err(format!("no reason is called `{name}`; there are {}", all.join(", ")));
        };
        let (mut kinds, mut rules): (Vec<_>, Vec<_>) =
            words.map(str::to_owned).partition(|w| KINDS.contains(&w.as_str()));
        if let Some(odd) = rules.iter().find(|r| r.chars().any(char::is_uppercase)) {
            return Err(format!("`{odd}` is neither a rule nor one of {}", KINDS.join(", ")));
        }
        let names_rules = match reason {
            Reason::OwnAddress | Reason::NotSubject | Reason::LocalNode | Reason::DefaultAllow => false,
            Reason::AdminAccept
            | Reason::AdminDeny
            | Reason::PolicyAllow
            | Reason::PolicyDeny
            | Reason::BaselineAccept
            | Reason::BaselineDeny => true,
            Reason::Unclear => !rules.is_empty(),
        };
        if names_rules == rules.is_empty() {
            let must = if names_rules { "must name its rules" } else { "has no rules" };
            return Err(format!("`{name}` {must}"));
        }
        if reason == Reason::Unclear && kinds.is_empty() {
            return Err(format!("`unclear` must say on what it depends: {}", KINDS.join(", ")));
        }
        kinds.sort();
        rules.sort();
        Ok(Self { reason, rules, kinds })
    }

    /// The verdict of a half that is decided so.
    pub(super) fn verdict(&self) -> Verdict {
        match self.reason {
            _ if !self.kinds.is_empty() => Verdict::Depends,
            Reason::Unclear => Verdict::Depends,
            Reason::AdminDeny | Reason::PolicyDeny | Reason::BaselineDeny => Verdict::Deny,
            Reason::OwnAddress
            | Reason::NotSubject
            | Reason::LocalNode
            | Reason::DefaultAllow
            | Reason::AdminAccept
            | Reason::PolicyAllow
            | Reason::BaselineAccept => Verdict::Allow,
        }
    }

    /// True if the half was decided so. Where readings differ, rules are compared only if the cell names some.
    pub(super) fn holds(&self, world: &World, half: &Half, direction: Direction) -> bool {
        let same_rules = self.rules == rules(world, half) || (self.reason == Reason::Unclear && self.rules.is_empty());
        let same_direction = half.decided_by.iter().all(|r| r.direction == direction);
        same_rules
            && same_direction
            && self.reason == half.reason
            && self.verdict() == half.verdict
            && self.kinds == kinds(&half.depends_on)
    }

    /// As a cell writes it.
    pub(super) fn cell(&self) -> String {
        let mut out = self.reason.name().to_owned();
        for kind in &self.kinds {
            out = format!("{out} {kind}");
        }
        for (i, rule) in self.rules.iter().enumerate() {
            out = format!("{out}{}{rule}", if i == 0 { " " } else { ", " });
        }
        out
    }
}

/// A half as a cell would write it.
pub(super) fn cell(world: &World, half: &Half) -> String {
    Expected { reason: half.reason, rules: rules(world, half), kinds: kinds(&half.depends_on) }.cell()
}

fn kinds(on: &[DependsOn]) -> Vec<String> {
    let mut out: Vec<String> = on.iter().map(|d| kind(d).to_owned()).collect();
    out.sort();
    out.dedup();
    out
}

fn rules(world: &World, half: &Half) -> Vec<String> {
    let name = |r: &watertight_model::RuleRef| match r.rule {
        Some(i) => format!("{}[{i}]", world.policy_name(r.policy)),
        None => world.policy_name(r.policy),
    };
    let mut out: Vec<String> = half.decided_by.iter().map(name).collect();
    out.sort();
    out
}

/// The cells of a table line, without the outer bars.
pub(super) fn cells(line: &str) -> Result<Vec<String>, String> {
    let inner = line.trim_end().strip_prefix('|').and_then(|l| l.strip_suffix('|'));
    let inner = inner.ok_or("a table row starts and ends with `|`")?;
    Ok(inner.split('|').map(|c| c.trim().to_owned()).collect())
}

/// Checks the header and the ruler of a table; returns whether it has a `via` column at the end.
pub(super) fn header(first: &str, ruler: &str) -> Result<bool, String> {
    let names = cells(first)?;
    let rest = names.strip_prefix(&COLUMNS.map(String::from));
    let via = match rest {
        Some([]) => false,
        Some([last]) if last == "via" => true,
        Some(_) | None => return Err(format!("the columns of a table are {} (and via)", COLUMNS.join(", "))),
    };
    let dashes = cells(ruler)?;
    if dashes.len() != names.len() || dashes.iter().any(|c| c.is_empty() || c.chars().any(|c| c != '-' && c != ':')) {
        return Err("the second line of a table is `|---|` for each column".to_owned());
    }
    Ok(via)
}

/// Reads one row below the header.
pub(super) fn row(text: &str, line: usize, via: bool) -> Result<FlowRow, String> {
    let all = cells(text)?;
    if all.len() != COLUMNS.len() + usize::from(via) {
        return Err(format!("{} cells in a table of {} columns", all.len(), COLUMNS.len() + usize::from(via)));
    }
    let mut all = all.into_iter();
    let mut next = || all.next().unwrap_or_default();
    let (from, to, port, verdict, egress, ingress, via) = (next(), next(), next(), next(), next(), next(), next());
    let (from, to) = (list(&from)?, list(&to)?);
    let ports = list(&port)?.iter().map(|p| self::port(p)).collect::<Result<Vec<_>, _>>()?;
    let verdict = match verdict.as_str() {
        "allow" => Verdict::Allow,
        "deny" => Verdict::Deny,
        "depends" => Verdict::Depends,
        other => return Err(format!("a verdict is allow, deny or depends, not `{other}`")),
    };
    let via_service = match via.as_str() {
        "" => false,
        "service" => true,
        other => return Err(format!("`via` is `service` or empty, not `{other}`")),
    };
    let to_service = to.iter().all(|t| t.starts_with("service:"));
    if to_service && via_service {
        return Err("a row towards a Service goes through it anyway: leave `via` empty".to_owned());
    }
    let half = |cell: &str| match cell {
        "-" if to_service => Ok(Vec::new()),
        cell => cell.split(" or ").map(Expected::parse).collect::<Result<Vec<_>, _>>(),
    };
    let (egress, ingress) = (half(&egress)?, half(&ingress)?);
    for (e, i) in egress.iter().flat_map(|e| ingress.iter().map(move |i| (e, i))).filter(|_| !to_service) {
        let both = e.verdict().and(i.verdict());
        if both != verdict {
            return Err(format!(
                "the row contradicts itself: its reasons make {}, not {}",
                both.name(),
                verdict.name()
            ));
        }
    }
    Ok(FlowRow { line, from, to, ports, via_service, verdict, egress, ingress })
}

fn list(cell: &str) -> Result<Vec<String>, String> {
    let all: Vec<String> = cell.split(',').map(|c| c.trim().to_owned()).collect();
    if all.iter().any(String::is_empty) { Err("an empty cell".to_owned()) } else { Ok(all) }
}

fn port(text: &str) -> Result<PortCell, String> {
    let l4 = match text.split_once('/') {
        None if OTHER.contains(&text) => L4::Other,
        None => return Err(format!("`{text}` is not `PORT/PROTOCOL` or one of {}", OTHER.join(", "))),
        Some((number, protocol)) => {
            let protocol = Protocol::parse(protocol).ok_or_else(|| format!("`{protocol}` is not TCP, UDP or SCTP"))?;
            L4::Port(protocol, number.parse().map_err(|_| format!("`{number}` is not a port"))?)
        }
    };
    Ok(PortCell { text: text.to_owned(), l4 })
}
