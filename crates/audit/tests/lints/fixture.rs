//! Reads `cases/*.md`. The format stands in `cases/README.md`.

use crate::shorthand;
use std::path::Path;
use watertight_audit::{AuditOptions, Observed, ObservedEdge, ObservedEnd};
use watertight_model::{Protocol, World};

/// One file.
pub(crate) struct Fixture {
    pub(crate) file: String,
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) cases: Vec<Case>,
}

/// One situation.
pub(crate) struct Case {
    pub(crate) line: usize,
    pub(crate) title: String,
    /// Manifests.
    pub(crate) text: String,
    pub(crate) expected: Vec<Expected>,
    options: Vec<String>,
    fires: bool,
}

/// What a case wants.
pub(crate) enum Expected {
    /// A finding of the fixture's lint.
    Finding(Wanted),
    /// Some finding of another lint.
    Instead(String),
    /// No finding of another lint.
    Absent(String),
}

/// A finding as a fixture writes it.
pub(crate) struct Wanted {
    pub(crate) severity: String,
    pub(crate) object: String,
    pub(crate) parts: Vec<String>,
    pub(crate) fixes: Vec<String>,
}

impl Case {
    /// Whether the lint shall fire.
    pub(crate) fn fires(&self) -> bool {
        self.fires
    }

    /// Whether an option is set.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }

    /// Options of the audit: `today=2026-11-24`, `protected=shop/db`, `budget=0.5`, `sensitive-clients=1`.
    pub(crate) fn audit_options(&self) -> AuditOptions {
        let mut out = AuditOptions::default();
        for option in &self.options {
            match option.split_once('=') {
                Some(("today", day)) => out.today = Some(day.to_owned()),
                Some(("protected", name)) => out.protected.push(name.to_owned()),
                Some(("budget", share)) => out.blast_budget = share.parse().ok(),
                Some(("hops", n)) => out.protected_hops = n.parse().unwrap_or(out.protected_hops),
                Some(("sensitive-clients", n)) => out.sensitive_clients = n.parse().unwrap_or(out.sensitive_clients),
                Some(("observed" | "incomplete" | "days", _)) => {}
                _ => assert!(option == "lenient-cidr", "unknown option `{option}`"),
            }
        }
        out
    }

    /// `observed=shop/web>data/db:5432 x912`, `days=2` (else 14) and `incomplete=the recorder lost 3 events`: what was recorded,
    /// in this world.
    pub(crate) fn observed(&self, world: &World) -> Option<Observed> {
        let workload = |name: &str| {
            let (ns, name) = name.split_once('/')?;
            Some(ObservedEnd::Workload(*world.workloads_named(world.namespace(ns)?, name).first()?))
        };
        let edge = |text: &str| {
            let (text, count) = text.split_once(" x").unwrap_or((text, "1"));
            let (from, to) = text.split_once('>')?;
            let (to, port) = to.split_once(':')?;
            Some(ObservedEdge {
                from: workload(from)?,
                to: workload(to)?,
                protocol: Protocol::Tcp,
                port: port.parse().ok()?,
                count: count.parse().ok()?,
                seen: None,
            })
        };
        let all = |key: &str| {
            let own = self.options.iter().filter_map(|o| o.split_once('=')).filter(|(k, _)| *k == key);
            own.map(|(_, v)| v.to_owned()).collect::<Vec<String>>()
        };
        let edges = all("observed");
        let read = |text: &String| {
            let edge = edge(text);
            assert!(edge.is_some(), "`observed={text}` is no edge of this world");
            edge
        };
        let days = all("days").first().map_or(Some(14), |d| d.parse().ok())?;
        (!edges.is_empty()).then(|| Observed {
            edges: edges.iter().filter_map(read).collect(),
            days,
            incomplete: all("incomplete"),
        })
    }
}

impl Fixture {
    /// All files, by name.
    pub(crate) fn all(complaints: &mut Vec<String>) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lints/cases");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            complaints.push("no folder of fixtures".to_owned());
            return Vec::new();
        };
        let mut files: Vec<_> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
        files.sort();
        let mut out = Vec::new();
        for path in files {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if file == "README.md" || !file.ends_with(".md") {
                continue;
            }
            match std::fs::read_to_string(&path) {
                Ok(text) => out.extend(parse(&file, &text, complaints)),
                Err(error) => complaints.push(format!("cases/{file}: {error}")),
            }
        }
        out
    }
}

fn parse(file: &str, text: &str, complaints: &mut Vec<String>) -> Option<Fixture> {
    let mut lines = text.lines().enumerate().peekable();
    let title = lines.next().and_then(|(_, l)| l.strip_prefix("# "));
    let Some((code, name)) = title.and_then(|t| t.split_once(' ')) else {
        complaints.push(format!("cases/{file}: the first line shall be `# WT0021 peer-matches-nothing`"));
        return None;
    };
    let mut fixture =
        Fixture { file: file.to_owned(), code: code.to_owned(), name: name.to_owned(), cases: Vec::new() };
    let mut given = String::new();
    let mut open: Option<Case> = None;
    let mut in_given = false;
    while let Some((n, line)) = lines.next() {
        let place = format!("cases/{file} line {}", n + 1);
        if let Some(heading) = line.strip_prefix("## ") {
            fixture.cases.extend(open.take());
            in_given = heading == "Given";
            let (kind, title) = heading.split_once(": ").unwrap_or((heading, ""));
            let fires = match kind {
                "Fires" => true,
                "Silent" => false,
                "Given" => continue,
                _ => {
                    complaints.push(format!("{place}: want `## Fires: …`, `## Silent: …` or `## Given`"));
                    continue;
                }
            };
            open = Some(Case {
                line: n + 1,
                title: title.to_owned(),
                text: given.clone(),
                expected: Vec::new(),
                options: Vec::new(),
                fires,
            });
        } else if let Some(kind) = line.strip_prefix("```") {
            let mut block = String::new();
            for (_, inner) in lines.by_ref().take_while(|(_, l)| *l != "```") {
                block.push_str(inner);
                block.push('\n');
            }
            let yaml = match kind {
                "world" => shorthand::manifests(&block, &place, complaints),
                "yaml" => format!("---\n{block}"),
                other => {
                    complaints.push(format!("{place}: a block of `{other}`"));
                    continue;
                }
            };
            match &mut open {
                Some(case) => case.text.push_str(&yaml),
                None if in_given => given.push_str(&yaml),
                None => complaints.push(format!("{place}: a block outside of a case")),
            }
        } else if let (Some(case), Some(options)) = (&mut open, line.strip_prefix("Options: ")) {
            case.options.extend(options.split(", ").map(str::to_owned));
        } else if let (Some(case), Some(item)) = (&mut open, line.strip_prefix("- ")) {
            expected(case, item, &place, complaints);
        }
    }
    fixture.cases.extend(open);
    for case in &fixture.cases {
        let findings = case.expected.iter().filter(|e| matches!(e, Expected::Finding(_))).count();
        if case.fires != (findings > 0) {
            complaints.push(format!("cases/{file} line {}: {findings} findings are listed", case.line));
        }
    }
    Some(fixture)
}

fn expected(case: &mut Case, item: &str, place: &str, complaints: &mut Vec<String>) {
    if let Some(rule) = item.strip_prefix("instead ") {
        case.expected.push(Expected::Instead(rule.to_owned()));
        return;
    }
    if let Some(rule) = item.strip_prefix("not ") {
        case.expected.push(Expected::Absent(rule.to_owned()));
        return;
    }
    if let Some(fix) = item.strip_prefix("fix: ") {
        match case.expected.last_mut() {
            Some(Expected::Finding(f)) => f.fixes.push(fix.to_owned()),
            _ => complaints.push(format!("{place}: a fix of what?")),
        }
        return;
    }
    let parts = item.split_once(' ').and_then(|(severity, rest)| Some((severity, rest.split_once(": ")?)));
    let Some((severity, (object, message))) = parts.filter(|(s, _)| ["error", "warning", "note"].contains(s)) else {
        complaints.push(format!("{place}: want `- warning NetworkPolicy shop/db-in: words | more words`"));
        return;
    };
    let parts = message.split(" | ").map(str::to_owned).collect();
    let (severity, object) = (severity.to_owned(), object.to_owned());
    case.expected.push(Expected::Finding(Wanted { severity, object, parts, fixes: Vec::new() }));
}
