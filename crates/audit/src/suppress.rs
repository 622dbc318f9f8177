//! Suppressions: findings that somebody has looked at and accepted, with a reason and if wanted a last day.
//!
//! Written as the annotation `watertight.dev/ignore` of the object, or of its namespace for all objects in it, or as a comment
//! `# watertight: ignore CODE=reason` at the line of the finding or of its object (or just above it). One entry:
//! `WT0018=reason` or `WT0018,WT0019=reason; until 2027-03-31`; several entries are separated by lines or `|`.

use crate::finding::Finding;
use crate::rules::{SUPPRESSION, table};
use watertight_model::origin::SourceId;
use watertight_model::{Labels, Origin, PolicyRef, World};

/// The annotation.
pub const ANNOTATION: &str = "watertight.dev/ignore";
/// What begins a comment that suppresses.
pub const COMMENT: &str = "watertight: ignore";

/// A finding that is not shown, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppressed {
    /// The finding.
    pub finding: Finding,
    /// Why it is accepted.
    pub reason: String,
    /// The last day of the acceptance, `YYYY-MM-DD`.
    pub until: Option<String>,
    /// `annotation of NetworkPolicy shop/db` or `comment`.
    pub by: String,
}

/// One entry of an annotation or a comment.
struct Entry {
    codes: Vec<String>,
    reason: String,
    until: Option<String>,
    scope: Scope,
    at: Option<Origin>,
    /// The object that a complaint about the entry is about.
    object: String,
    /// The whole entry as written.
    text: String,
    used: bool,
}

enum Scope {
    /// Findings about this object.
    Object(String),
    /// Findings about anything in this namespace, and about itself.
    Namespace(String),
    /// Findings at one of these two lines of a source, or about the object that begins there.
    Line(SourceId, u32, u32),
}

/// Takes suppressed findings out of the list, and adds findings about suppressions that do not hold. `today`: the day, as
/// `YYYY-MM-DD`; without it no suppression expires.
pub(crate) fn apply(world: &World, today: Option<&str>, findings: &mut Vec<Finding>) -> Vec<Suppressed> {
    let mut entries = annotations(world);
    entries.extend(comments(world));
    let mut complaints: Vec<Finding> = entries.iter().filter_map(|e| unsound(e, today)).collect();
    let mut suppressed = Vec::new();
    let mut kept = Vec::with_capacity(findings.len());
    for finding in findings.drain(..) {
        let mut covering = entries.iter_mut().filter(|e| e.covers(world, &finding)).peekable();
        if covering.peek().is_none() {
            kept.push(finding);
            continue;
        }
        let mut by: Option<(String, Option<String>, String)> = None;
        for entry in covering {
            entry.used = true;
            if unsound(entry, today).is_none() && by.is_none() {
                by = Some((entry.reason.clone(), entry.until.clone(), entry.by()));
            }
        }
        match by {
            Some((reason, until, by)) => suppressed.push(Suppressed { finding, reason, until, by }),
            None => kept.push(finding),
        }
    }
    *findings = kept;
    for entry in entries.iter().filter(|e| !e.used && unsound(e, today).is_none()) {
        let message = format!("`{}` suppresses nothing: there is no such finding any more", entry.text);
        complaints.push(complaint(entry, message, "delete it, so that it does not hide the next one"));
    }
    findings.append(&mut complaints);
    suppressed
}

impl Entry {
    fn covers(&self, world: &World, finding: &Finding) -> bool {
        self.codes.iter().any(|c| c == finding.rule)
            && match &self.scope {
                Scope::Object(object) => finding.object == *object,
                Scope::Namespace(name) => finding.is_in_namespace(name),
                Scope::Line(source, own, next) => {
                    let here = |at: Origin| at.source == *source && (at.line == *own || at.line == *next);
                    finding.at.is_some_and(here) || object_begins(world, &finding.object).is_some_and(here)
                }
            }
    }

    fn by(&self) -> String {
        match &self.scope {
            Scope::Object(object) => format!("annotation of {object}"),
            Scope::Namespace(name) => format!("annotation of namespace {name}"),
            Scope::Line(..) => "comment".to_owned(),
        }
    }
}

/// Why an entry has no force; `None`: it has.
fn unsound(entry: &Entry, today: Option<&str>) -> Option<Finding> {
    let say = |message: String, help: &str| Some(complaint(entry, message, help));
    if entry.codes.is_empty() {
        return say(format!("`{}` names no lint, so it suppresses nothing", entry.text), "write `WT0018=reason`");
    }
    if let Some(code) = entry.codes.iter().find(|c| !table().iter().any(|l| l.code == **c)) {
        return say(format!("there is no lint {code}"), "`docs/lints.md` lists them");
    }
    if entry.reason.is_empty() {
        let codes = entry.codes.join(",");
        return say(
            format!("{codes} is to be ignored without a reason, so it is not"),
            &format!("write `{codes}=reason`, for whoever reads it next"),
        );
    }
    match &entry.until {
        Some(day) if !is_day(day) => {
            say(format!("`{day}` is not a day, so the suppression has no force"), "write it as 2027-03-31")
        }
        Some(day) if today.is_some_and(|t| t > day.as_str()) => say(
            format!("the suppression of {} expired on {day}", entry.codes.join(",")),
            "mend what it was about, or renew it with a reason",
        ),
        Some(_) | None => None,
    }
}

fn complaint(entry: &Entry, message: String, help: &str) -> Finding {
    let mut finding = SUPPRESSION.finding(entry.object.clone(), entry.at, message);
    finding.help = Some(help.to_owned());
    finding.affected = 1;
    finding
}

fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |t: &str, len: usize, max: u32| {
        t.len() == len
            && t.bytes().all(|b| b.is_ascii_digit())
            && t.parse::<u32>().is_ok_and(|n| (1..=max).contains(&n))
    };
    number(year, 4, 9999) && number(month, 2, 12) && number(day, 2, 31)
}

fn parse(text: &str, scope: impl Fn() -> Scope, at: Option<Origin>, object: &str) -> Vec<Entry> {
    text.split(['\n', '|'])
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(|entry| {
            let (codes, rest) = entry.split_once('=').unwrap_or((entry, ""));
            let (reason, until) = match rest.rsplit_once("until ") {
                Some((reason, day)) => (reason.trim().trim_end_matches([';', ',']).trim(), Some(day.trim().to_owned())),
                None => (rest.trim(), None),
            };
            let codes = codes.split([',', ' ']).map(str::trim).filter(|c| !c.is_empty());
            Entry {
                codes: codes.filter(|c| c.len() == 6 && c.starts_with("WT")).map(str::to_owned).collect(),
                reason: reason.to_owned(),
                until,
                scope: scope(),
                at,
                object: object.to_owned(),
                text: entry.to_owned(),
                used: false,
            }
        })
        .collect()
}

fn annotations(world: &World) -> Vec<Entry> {
    let mut out = Vec::new();
    let mut add = |labels: &Labels, object: String, at: Option<Origin>, namespace: Option<&str>| {
        if let Some(text) = labels.get(ANNOTATION) {
            let scope = || namespace.map_or(Scope::Object(object.clone()), |n| Scope::Namespace(n.to_owned()));
            out.extend(parse(text, scope, at, &object));
        }
    };
    for namespace in &world.namespaces {
        let object = format!("namespace {}", namespace.name);
        add(&namespace.annotations, object, namespace.origin, Some(&namespace.name));
    }
    objects(world).for_each(|(labels, object, at)| add(labels, object, Some(at), None));
    out
}

/// Objects that may carry the annotation, with the name by which findings speak of them.
fn objects(world: &World) -> impl Iterator<Item = (&Labels, String, Origin)> {
    let index = |i: usize| u32::try_from(i).unwrap_or(u32::MAX);
    let policies = world.policies.iter().enumerate().map(move |(i, p)| {
        let name = world.policy_name(PolicyRef::Namespaced(index(i)));
        (&p.annotations, format!("NetworkPolicy {name}"), p.origin)
    });
    let cluster =
        world.cluster_policies.iter().map(|p| (&p.annotations, format!("{} {}", p.kind.name(), p.name), p.origin));
    let workloads = world.workloads.iter().map(|w| {
        let name = format!("{} {}/{}", w.kind.name(), world.namespaces[w.namespace.index()].name, w.name);
        (&w.annotations, name, w.origin)
    });
    policies.chain(cluster).chain(workloads)
}

fn object_begins(world: &World, object: &str) -> Option<Origin> {
    objects(world).find(|(_, name, _)| name == object).map(|(_, _, at)| at)
}

fn comments(world: &World) -> Vec<Entry> {
    let mut out = Vec::new();
    for (i, source) in world.sources.iter().enumerate() {
        let Some(text) = source.text.as_deref().filter(|t| t.contains(COMMENT)) else { continue };
        let id = SourceId(u32::try_from(i).unwrap_or(u32::MAX));
        let lines: Vec<&str> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let Some((before, rest)) =
                line.split_once('#').and_then(|(b, c)| Some((b, c.trim().strip_prefix(COMMENT)?)))
            else {
                continue;
            };
            let number = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
            let is_content = |l: &&str| !l.trim().is_empty() && !l.trim_start().starts_with('#') && l.trim() != "---";
            let next = lines.iter().enumerate().skip(n + 1).find(|(_, l)| is_content(l)).map_or(n, |(m, _)| m);
            let next = if before.trim().is_empty() { next } else { n };
            let column = u32::try_from(before.chars().count() + 1).unwrap_or(1);
            let end = u32::try_from(line.chars().count() + 1).unwrap_or(1);
            let at = Origin { source: id, line: number(n), column, end_line: number(n), end_column: end };
            let scope = || Scope::Line(id, number(n), number(next));
            out.extend(parse(
                rest.trim_start_matches(':').trim(),
                scope,
                Some(at),
                &format!("comment in {}", source.name),
            ));
        }
    }
    out
}
