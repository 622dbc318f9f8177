//! What a watch has to say: one value per event.

use super::audit::AuditView;
use super::diff::{DiffView, Two};
use super::finding::FindingView;
use super::{Head, UnreadView};
use crate::diagnostics::ErrorView;
use crate::exit::Failure;
use crate::page::{Page, Table, Text, Tone, toned};
use crate::render::{Format, Report};
use crate::text::count;
use serde::Serialize;
use std::time::Duration;

/// One event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchView<'a> {
    #[serde(flatten)]
    head: Head,
    event: Event,
    /// It is a live cluster that is watched.
    #[serde(skip)]
    live: bool,
    /// When, in UTC.
    at: String,
    /// Before and after; equal for the first look and where nothing could be read.
    grade: Two<Option<char>>,
    /// Findings of the state that stands.
    findings: usize,
    new_findings: Vec<&'a FindingView>,
    gone_findings: Vec<&'a FindingView>,
    /// What can connect now and could not, and the other way round; `null`: the same as before.
    diff: Option<DiffView>,
    /// Why the files could not be read; `null` if they could.
    error: Option<ErrorView>,
    /// How old the state is that stands, if it is not the one that was just read.
    state_age_seconds: Option<u64>,
    /// Kinds of a live cluster that may have changed without our knowledge.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lost: Vec<LostView>,
    /// What of a live cluster could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<UnreadView>,
}

/// A kind that is not followed at the moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LostView {
    /// The kind, such as `networkpolicies.networking.k8s.io`.
    pub what: String,
    /// For how long.
    pub seconds: u64,
    /// What is in the way.
    pub why: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// The first look.
    Started,
    /// Files changed, and something is different.
    Changed,
    /// Files changed and cannot be understood; the state before stands.
    Refused,
    /// Files can be understood again, a cluster is followed again.
    Restored,
    /// A live cluster cannot be followed; the state before stands.
    Lost,
}

impl<'a> WatchView<'a> {
    /// The first look.
    pub fn first(at: String, audit: &'a AuditView) -> Self {
        Self::new(at, Event::Started, audit, audit)
    }

    /// From one state to the next.
    pub fn between(at: String, event: Event, before: &'a AuditView, after: &'a AuditView, diff: DiffView) -> Self {
        let only = |these: &'a AuditView, those: &AuditView| -> Vec<&'a FindingView> {
            let known = |f: &FindingView| those.findings.iter().any(|o| o.fingerprint == f.fingerprint);
            these.findings.iter().filter(|f| !known(f)).collect()
        };
        Self {
            new_findings: only(after, before),
            gone_findings: only(before, after),
            diff: diff.differs().then_some(diff),
            ..Self::new(at, event, before, after)
        }
    }

    /// The files are not understood; the state of `audit` stands, and is so old.
    pub fn refused(at: String, failure: &Failure, audit: &'a AuditView, age: Duration) -> Self {
        Self {
            error: Some(ErrorView::of(failure)),
            state_age_seconds: Some(age.as_secs()),
            ..Self::new(at, Event::Refused, audit, audit)
        }
    }

    /// A cluster is not followed, or is again; the state of `audit` stands.
    pub fn following(at: String, event: Event, audit: &'a AuditView) -> Self {
        Self::new(at, event, audit, audit)
    }

    /// The same with what is known of a live cluster: kinds that are not followed, and what could not be read.
    pub fn with_gaps(mut self, lost: Vec<LostView>, unread: Vec<UnreadView>) -> Self {
        if let Some(age) = lost.iter().map(|l| l.seconds).max() {
            self.state_age_seconds = Some(age);
        }
        (self.live, self.lost, self.unread) = (true, lost, unread);
        if let Some(diff) = &mut self.diff {
            // What is missing before and after is said here, not with each change.
            diff.unread.retain(|gap| gap.side != "both");
        }
        self
    }

    fn new(at: String, event: Event, before: &'a AuditView, after: &'a AuditView) -> Self {
        Self {
            head: Head::new("Watch"),
            event,
            live: false,
            at,
            grade: Two { before: before.grade, after: after.grade },
            findings: after.findings.len(),
            new_findings: Vec::new(),
            gone_findings: Vec::new(),
            diff: None,
            error: None,
            state_age_seconds: None,
            lost: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// Nothing is different.
    pub fn is_nothing(&self) -> bool {
        self.grade.before == self.grade.after
            && self.new_findings.is_empty()
            && self.gone_findings.is_empty()
            && self.diff.is_none()
    }

    /// Of a state that is partly old: how old, and what of it.
    fn old(&self) -> String {
        match (self.lost.as_slice(), self.state_age_seconds) {
            ([first, rest @ ..], Some(age)) => {
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                format!(", not current: {}{more} may be {age} s old", first.what)
            }
            _ => String::new(),
        }
    }

    fn summary(&self) -> Text {
        let letter = |grade: Option<char>| grade.map_or_else(|| "none".to_owned(), |g| g.to_string());
        let Two { before, after } = self.grade;
        let standing = format!("grade {}, {}", letter(after), count(self.findings, "finding"));
        let old = self.old();
        match self.event {
            Event::Started => return format!("watching: {standing}{old}").into(),
            Event::Lost => {
                let why = self.lost.first().map_or("no answer", |lost| lost.why.as_str());
                let age = self.state_age_seconds.unwrap_or_default();
                let text = format!("not followed ({why}); the state of {age} s ago stands: {standing}");
                return toned(Tone::Bad, text);
            }
            Event::Refused => {
                let age = self.state_age_seconds.unwrap_or_default();
                let text = format!("not understood; the state of {age} s ago stands: {standing}");
                return toned(Tone::Bad, text);
            }
            Event::Restored if self.is_nothing() && self.live => {
                return format!("followed again: {standing}").into();
            }
            Event::Restored if self.is_nothing() => {
                return format!("understood again, nothing is different: {standing}").into();
            }
            Event::Changed | Event::Restored => {}
        }
        let mut parts = vec![if before == after {
            format!("grade {} as before", letter(after))
        } else {
            format!("grade {} -> {}", letter(before), letter(after))
        }];
        let worse = after > before;
        for (list, word) in [(&self.new_findings, "new"), (&self.gone_findings, "gone")] {
            if !list.is_empty() {
                parts.push(format!("{} {word}", count(list.len(), "finding")));
            }
        }
        if let Some(diff) = &self.diff {
            for (n, word) in [(diff.summary.opens, "opened"), (diff.summary.closes, "closed")] {
                if n > 0 {
                    parts.push(format!("{} {word}", count(n, "connection")));
                }
            }
        }
        if !old.is_empty() {
            parts.push(old.trim_start_matches(", ").to_owned());
        }
        let tone = if worse || !self.new_findings.is_empty() { Tone::Warn } else { Tone::Plain };
        toned(tone, parts.join(", "))
    }
}

impl Report for WatchView<'_> {
    const FORMATS: &'static [Format] = &[Format::Table, Format::Json];

    fn page(&self) -> Page {
        let mut page = Page::default();
        // The time of day is for who comes back to the terminal; a first look is now.
        let time = self.at.get(11..19).filter(|_| self.event != Event::Started);
        let summary = self.summary();
        page.line(match time {
            Some(time) => {
                let mut line = Text::from(format!("{time}  "));
                line.spans.extend(summary.spans);
                line
            }
            None => summary,
        });
        let mut table = Table::new(["CHANGE", "CODE", "OBJECT", "FINDING"]);
        for (list, mark) in [(&self.new_findings, "+ new"), (&self.gone_findings, "- gone")] {
            for finding in list {
                let tone = if mark == "+ new" { finding.tone() } else { Tone::Good };
                table.row([
                    toned(tone, mark),
                    finding.rule.into(),
                    finding.named.clone().into(),
                    finding.message.clone().into(),
                ]);
            }
        }
        if !(self.new_findings.is_empty() && self.gone_findings.is_empty()) {
            page.table(table);
        }
        if let Some(diff) = &self.diff {
            page.details("Connections", diff.page());
        }
        page
    }
}
