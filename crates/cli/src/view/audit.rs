//! The audit: grade, coverage, findings.

use super::Head;
use super::finding::{FindingView, concerns, finding};
use crate::diagnostics::PlaceView;
use crate::page::{Page, Table, Text, Tone, toned};
use crate::render::results::{Level, Outcome, Results, Rule};
use crate::render::{Format, LISTED, Report};
use crate::text::{count, number, percent};
use serde::Serialize;
use watertight_audit::cni::Enforces;
use watertight_audit::coverage::Ratio;
use watertight_audit::{Audit, Finding, baseline, catalogue};
use watertight_engine::Engine;
use watertight_model::{NamespaceId, Verdict, World};

/// The report.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    #[serde(flatten)]
    head: Head,
    /// `A` to `F`;
    /// `null` if no workload is in the input, so there is nothing to grade. So is the score.
    pub grade: Option<char>,
    score: Option<f64>,
    not_enforced: bool,
    certainty: CertaintyView,
    coverage: CoverageView,
    depth: DepthView,
    cni: Vec<CniView>,
    /// Worst first.
    pub findings: Vec<FindingView>,
    /// Findings that an annotation or a comment accepts.
    suppressed: Vec<SuppressedView>,
    /// Findings that the baseline holds.
    baselined: Vec<FindingView>,
    #[serde(skip)]
    facts: Vec<(String, Text)>,
    #[serde(skip)]
    detail: Detail,
    /// A baseline was given, be it empty.
    #[serde(skip)]
    against_baseline: bool,
    /// Where findings are shown that stand in no file.
    #[serde(skip)]
    first_source: Option<String>,
}

/// How much of the findings people get to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The worst few.
    Screen,
    /// All, one line or two each.
    List,
    /// All, with the user's lines and fixes.
    Full,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SuppressedView {
    #[serde(flatten)]
    finding: FindingView,
    reason: String,
    until: Option<String>,
    by: String,
}

#[derive(Debug, Serialize)]
struct CertaintyView {
    whole: bool,
    missing: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CoverageView {
    ingress: RatioView,
    egress: RatioView,
    host_network_workloads: usize,
    pairs: PairsView,
    namespaces: Vec<NamespaceView>,
    workloads: Vec<WorkloadView>,
}

#[derive(Debug, Serialize)]
struct RatioView {
    covered: usize,
    unclear: usize,
    total: usize,
    share: f64,
}

#[derive(Debug, Serialize)]
struct PairsView {
    open: usize,
    possible: usize,
    all: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NamespaceView {
    namespace: String,
    ingress: RatioView,
    egress: RatioView,
    default_deny_ingress: &'static str,
    default_deny_egress: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkloadView {
    workload: String,
    kind: &'static str,
    ingress: &'static str,
    egress: &'static str,
    host_network: bool,
}

#[derive(Debug, Serialize)]
struct DepthView {
    level: &'static str,
    next: &'static str,
    costs: String,
    buys: String,
}

#[derive(Debug, Serialize)]
struct CniView {
    name: &'static str,
    enforces: &'static str,
    note: &'static str,
    evidence: Vec<EvidenceView>,
}

#[derive(Debug, Serialize)]
struct EvidenceView {
    what: String,
    #[serde(flatten)]
    place: Option<PlaceView>,
}

/// Fingerprints of all findings, so numbered that a finding has the same one with a baseline and without.
struct Prints {
    old: Vec<String>,
    new: Vec<String>,
    suppressed: Vec<String>,
}

impl Prints {
    fn of(world: &World, audit: &Audit, old: &[Finding]) -> Self {
        let all: Vec<&Finding> = old.iter().chain(&audit.findings).collect();
        let mut old_prints = baseline::fingerprints(world, &all);
        let new = old_prints.split_off(old.len());
        let suppressed: Vec<&Finding> = audit.suppressed.iter().map(|s| &s.finding).collect();
        Self { old: old_prints, new, suppressed: baseline::fingerprints(world, &suppressed) }
    }
}

/// What coverage calls a verdict: `allow` stands for "isolated".
fn isolated(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "yes",
        Verdict::Deny => "no",
        Verdict::Depends => "depends",
    }
}

fn ratio(ratio: &Ratio) -> RatioView {
    RatioView { covered: ratio.covered, unclear: ratio.unclear, total: ratio.total, share: ratio.share() }
}

fn ratio_text(ratio: &Ratio) -> Text {
    let tone = match ratio.share() {
        s if s >= 0.9 => Tone::Good,
        s if s >= 0.5 => Tone::Warn,
        _ => Tone::Bad,
    };
    let unclear = if ratio.unclear == 0 { String::new() } else { format!(", {} unclear", ratio.unclear) };
    toned(tone, percent(ratio.share()))
        .and(Tone::Plain, format!(" of workloads ({}/{}{unclear})", ratio.covered, ratio.total))
}

fn enforces(value: Enforces) -> &'static str {
    match value {
        Enforces::Yes => "yes",
        Enforces::No => "no",
        Enforces::OnlyWith(_) => "conditional",
        Enforces::Unknown => "unknown",
    }
}

impl AuditView {
    /// The auditor's report, limited to what concerns `scope`. Grade and totals are those of the whole cluster.
    /// `old`: findings that a baseline holds, if one was given.
    pub fn of(
        engine: &Engine<'_>,
        audit: &Audit,
        old: Option<&[Finding]>,
        scope: Option<NamespaceId>,
        detail: Detail,
    ) -> Self {
        let world = engine.world();
        let prints = Prints::of(world, audit, old.unwrap_or_default());
        let name = |id: NamespaceId| world.namespaces[id.index()].name.to_string();
        let mine = |id: NamespaceId| scope.is_none_or(|ns| ns == id);
        let coverage = &audit.coverage;
        let namespaces = coverage.namespaces.iter().filter(|n| mine(n.namespace)).map(|n| NamespaceView {
            namespace: name(n.namespace),
            ingress: ratio(&n.ingress),
            egress: ratio(&n.egress),
            default_deny_ingress: isolated(n.default_deny_ingress),
            default_deny_egress: isolated(n.default_deny_egress),
        });
        let workloads = coverage.workloads.iter().filter(|w| mine(world.workloads[w.workload.index()].namespace));
        let workloads = workloads.map(|w| WorkloadView {
            workload: world.workload_name(w.workload),
            kind: world.workloads[w.workload.index()].kind.name(),
            ingress: isolated(w.ingress),
            egress: isolated(w.egress),
            host_network: w.host_network,
        });
        let scope_name = scope.map(name);
        // Nothing is neither good nor bad; a share of nothing is not a pass.
        let graded = !coverage.workloads.is_empty();
        let concerns = |f: &&Finding| scope_name.as_deref().is_none_or(|ns| concerns(&f.object, ns));
        Self {
            head: Head::new("Audit"),
            grade: graded.then_some(audit.grade.letter),
            score: graded.then_some(audit.grade.score),
            not_enforced: audit.grade.not_enforced,
            certainty: CertaintyView { whole: audit.certainty.whole, missing: audit.certainty.missing.clone() },
            coverage: CoverageView {
                ingress: ratio(&coverage.ingress),
                egress: ratio(&coverage.egress),
                host_network_workloads: coverage.host_network,
                pairs: PairsView {
                    open: coverage.pairs.open,
                    possible: coverage.pairs.possible,
                    all: coverage.pairs.all,
                },
                namespaces: namespaces.collect(),
                workloads: workloads.collect(),
            },
            depth: DepthView {
                level: audit.depth.level.name(),
                next: audit.depth.next.name(),
                costs: audit.depth.costs.clone(),
                buys: audit.depth.buys.clone(),
            },
            cni: audit.cni.iter().map(|c| cni(world, c)).collect(),
            findings: audit
                .findings
                .iter()
                .zip(&prints.new)
                .filter(|(f, _)| concerns(f))
                .map(|(f, print)| finding(engine, f, print, detail))
                .collect(),
            suppressed: audit
                .suppressed
                .iter()
                .zip(&prints.suppressed)
                .filter(|(s, _)| concerns(&&s.finding))
                .map(|(s, print)| SuppressedView {
                    finding: finding(engine, &s.finding, print, detail),
                    reason: s.reason.clone(),
                    until: s.until.clone(),
                    by: s.by.clone(),
                })
                .collect(),
            baselined: old
                .unwrap_or_default()
                .iter()
                .zip(&prints.old)
                .filter(|(f, _)| concerns(f))
                .map(|(f, print)| finding(engine, f, print, detail))
                .collect(),
            facts: facts(world, audit),
            detail,
            against_baseline: old.is_some(),
            first_source: world.sources.first().map(|s| s.name.to_string()),
        }
    }

    /// How bad the worst finding is.
    pub fn worst(&self) -> Option<crate::args::FailOn> {
        let level = |f: &FindingView| match f.severity {
            "error" => crate::args::FailOn::Error,
            "warning" => crate::args::FailOn::Warning,
            _ => crate::args::FailOn::Note,
        };
        self.findings.iter().map(level).max()
    }
}

fn cni(world: &World, found: &watertight_audit::cni::CniFinding) -> CniView {
    let evidence = found.evidence.iter().map(|(what, at)| EvidenceView {
        what: what.clone(),
        place: at.and_then(|at| PlaceView::of(&world.sources, at)),
    });
    CniView {
        name: found.name,
        enforces: enforces(found.enforces),
        note: found.source_note,
        evidence: evidence.collect(),
    }
}

fn facts(world: &World, audit: &Audit) -> Vec<(String, Text)> {
    let coverage = &audit.coverage;
    let grade_tone = match audit.grade.letter {
        'A' | 'B' => Tone::Good,
        'C' | 'D' => Tone::Warn,
        _ => Tone::Bad,
    };
    let none = coverage.workloads.is_empty();
    // Nothing is neither good nor bad.
    let unless_none = |text: Text| if none { "unknown (no workload in the input)".into() } else { text };
    let mut grade = toned(grade_tone, audit.grade.letter.to_string());
    if audit.grade.not_enforced {
        grade = grade.and(Tone::Plain, "  policies exist and nothing enforces them");
    }
    let plugins: Vec<String> = audit
        .cni
        .iter()
        .map(|c| match c.enforces {
            Enforces::Yes => format!("{}, enforces NetworkPolicy", c.name),
            Enforces::No => format!("{}, does not enforce NetworkPolicy", c.name),
            Enforces::OnlyWith(what) => format!("{}, enforces NetworkPolicy only if {what}", c.name),
            Enforces::Unknown => format!("{}, not known to enforce NetworkPolicy", c.name),
        })
        .collect();
    let plugins =
        if plugins.is_empty() { "unknown (nothing in the input tells)".to_owned() } else { plugins.join("; ") };
    let pairs = coverage.pairs;
    #[expect(clippy::cast_precision_loss, reason = "counts of pairs are far below 2^52")]
    let share = if pairs.all == 0 { 0.0 } else { pairs.possible as f64 / pairs.all as f64 };
    let live = coverage.workloads.len();
    let size = format!(
        "{}, {}, {}, {}",
        count(world.pods.len(), "pod"),
        count(live, "workload"),
        count(world.namespaces.len(), "namespace"),
        count(world.policies.len() + world.cluster_policies.len(), "policy"),
    );
    let fact = |name: &str, text: Text| (name.to_owned(), text);
    let mut facts = vec![
        fact("Cluster", size.into()),
        fact("CNI", plugins.into()),
        fact("Grade", unless_none(grade)),
        fact("Ingress", unless_none(ratio_text(&coverage.ingress).and(Tone::Plain, " isolated"))),
        fact("Egress", unless_none(ratio_text(&coverage.egress).and(Tone::Plain, " isolated"))),
        fact(
            "Reachable",
            format!("{} of {} workload pairs ({})", number(pairs.possible), number(pairs.all), percent(share)).into(),
        ),
        fact("Depth", format!("{}; next: {}", audit.depth.level.name(), audit.depth.next.name()).into()),
        fact("  costs", audit.depth.costs.clone().into()),
        fact("  buys", audit.depth.buys.clone().into()),
    ];
    for missing in &audit.certainty.missing {
        facts.push(fact("Not known", toned(Tone::Warn, missing.clone())));
    }
    facts
}

impl Report for AuditView {
    const FORMATS: &'static [Format] = LISTED;

    fn page(&self) -> Page {
        /// Findings on the first screen.
        const TOP: usize = 5;
        let mut page = Page::default();
        page.facts(self.facts.clone());
        if self.detail != Detail::Screen {
            page.table(self.namespaces());
        }
        let shown = if self.detail == Detail::Screen { TOP } else { usize::MAX };
        if self.detail == Detail::Full {
            for f in &self.findings {
                f.full(&mut page);
            }
            page.table(self.set_aside());
        } else if !self.findings.is_empty() {
            let mut table = Table::new(["RULE", "SEVERITY", "FINDING"]);
            for f in self.findings.iter().take(shown) {
                let place = f.place.as_ref().map_or_else(String::new, |p| format!(" ({})", p.words()));
                table.row([
                    f.rule.into(),
                    toned(f.tone(), f.severity),
                    format!("{}: {}{place}", f.named, f.message).into(),
                ]);
            }
            page.table(table);
        }
        let left = self.findings.len().saturating_sub(shown);
        if left > 0 {
            page.line(format!("and {} more: `watertight audit`", number(left)));
        }
        if self.findings.is_empty() {
            page.line(toned(Tone::Good, "No findings."));
        }
        let set_aside = [(self.suppressed.len(), "suppressed"), (self.baselined.len(), "in the baseline")];
        let set_aside: Vec<String> = set_aside
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{} {what}", count(n, "finding")))
            .collect();
        if !set_aside.is_empty() && self.detail != Detail::Full {
            page.line(format!("Not shown: {} (`-o json` lists them)", set_aside.join(", ")));
        }
        page
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![
            ["rule", "name", "severity", "object", "file", "line", "column", "message", "help"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for f in &self.findings {
            let (file, line, column) = f
                .place
                .as_ref()
                .map_or_else(Default::default, |p| (p.file.clone(), p.line.to_string(), p.column.to_string()));
            let help = f.help.clone().unwrap_or_default();
            rows.push(vec![
                f.rule.to_owned(),
                f.name.to_owned(),
                f.severity.to_owned(),
                f.named.clone(),
                file,
                line,
                column,
                f.message.clone(),
                help,
            ]);
        }
        rows
    }

    fn results(&self) -> Results {
        let rules = catalogue().iter().map(|l| Rule {
            code: l.code.to_owned(),
            name: l.name.to_owned(),
            summary: l.summary.to_owned(),
            page: watertight_audit::page(l.code).unwrap_or_default(),
            level: Level::parse(l.severity.name()),
            score: l.severity.score(),
        });
        let suppressed = self.suppressed.iter().map(|s| s.finding.item(Outcome::Suppressed(s.reason.clone())));
        let items = self.findings.iter().map(|f| f.item(Outcome::Fail)).chain(suppressed);
        Results {
            command: "audit",
            rules: rules.collect(),
            items: items.chain(self.baselined.iter().map(|f| f.item(Outcome::Baselined))).collect(),
            failed: None,
            baseline: self.against_baseline,
            fallback: self.first_source.clone(),
        }
    }

    fn title(&self) -> &'static str {
        "Watertight audit"
    }
}

impl AuditView {
    /// Findings that do not count, and why.
    fn set_aside(&self) -> Table {
        let mut table = Table::new(["RULE", "SEVERITY", "ACCEPTED FINDING", "WHY"]);
        let mut row = |f: &FindingView, why: String| {
            table.row([f.rule.into(), f.severity.into(), format!("{}: {}", f.named, f.message).into(), why.into()]);
        };
        for s in &self.suppressed {
            let until = s.until.as_ref().map_or_else(String::new, |day| format!("; until {day}"));
            row(&s.finding, format!("{} ({}){until}", s.reason, s.by));
        }
        self.baselined.iter().for_each(|f| row(f, "in the baseline".to_owned()));
        table
    }

    fn namespaces(&self) -> Table {
        let mut table = Table::new(["NAMESPACE", "WORKLOADS", "INGRESS", "EGRESS", "DEFAULT DENY"]);
        let share = |r: &RatioView| match r.unclear {
            0 => percent(r.share),
            unclear => format!("{} ({unclear} unclear)", percent(r.share)),
        };
        for n in self.coverage.namespaces.iter().filter(|n| n.ingress.total > 0) {
            let deny = format!("ingress {}, egress {}", n.default_deny_ingress, n.default_deny_egress);
            table.row(
                [n.namespace.clone(), n.ingress.total.to_string(), share(&n.ingress), share(&n.egress), deny]
                    .map(Text::from),
            );
        }
        table
    }
}
