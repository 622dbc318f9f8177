//! A baseline: findings that were there when somebody began to look, so that only new ones are shown.
//!
//! A text of one line per finding, sorted: lint, fingerprint, object. The fingerprint is made of the lint, the object and the
//! text at the finding's place, never of line numbers, so that it stands when lines move.

use crate::finding::Finding;
use std::collections::{BTreeMap, BTreeSet};
use watertight_model::World;

/// First line of the text.
const HEADING: &str =
    "# watertight baseline v1: findings accepted for now, one per line. Delete a line when it is mended.";

/// A fingerprint of 16 hexadecimal digits for each finding, in order. Findings that are alike get different ones, by their
/// order.
pub fn fingerprints(world: &World, findings: &[&Finding]) -> Vec<String> {
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    findings
        .iter()
        .map(|finding| {
            let mut hash = Fnv::new();
            [finding.rule, &finding.object, &text_at(world, finding)].into_iter().for_each(|part| hash.add(part));
            let same = seen.entry(hash.0).or_default();
            *same += 1;
            if *same > 1 {
                hash.add(&same.to_string());
            }
            format!("{:016x}", hash.0)
        })
        .collect()
}

/// The first line of what the finding points at, without its indentation.
fn text_at(world: &World, finding: &Finding) -> String {
    let line = finding.at.and_then(|at| {
        let text = world.sources.get(at.source.0 as usize)?.text.as_deref()?;
        text.lines().nth((at.line as usize).checked_sub(1)?)
    });
    line.map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default()
}

/// FNV-1a with 64 bits: stable over versions and machines, and nobody gains by forging it.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// A baseline that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// Fingerprint to `WT0046 namespace dev`.
    entries: BTreeMap<String, String>,
}

/// What a baseline makes of findings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Against {
    /// Findings that it holds.
    pub old: Vec<Finding>,
    /// Its entries without a finding: mended.
    pub mended: Vec<String>,
}

impl Baseline {
    /// Reads the text of a baseline.
    ///
    /// # Errors
    /// The number and text of the first line that is none of a baseline.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut entries = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.splitn(3, ' ');
            let (rule, print, object) = (words.next(), words.next(), words.next().unwrap_or_default());
            let hex = |p: &&str| p.len() == 16 && p.bytes().all(|b| b.is_ascii_hexdigit());
            match (rule.filter(|r| r.starts_with("WT") && r.len() == 6), print.filter(hex)) {
                (Some(rule), Some(print)) => {
                    entries.insert(print.to_owned(), format!("{rule} {object}").trim_end().to_owned())
                }
                _ => return Err((i + 1, line.to_owned())),
            };
        }
        Ok(Self { entries })
    }

    /// Takes the findings that the baseline holds out of the list.
    pub fn apply(&self, world: &World, findings: &mut Vec<Finding>) -> Against {
        let prints = fingerprints(world, &findings.iter().collect::<Vec<_>>());
        let mut out = Against::default();
        let seen: BTreeSet<&String> = prints.iter().collect();
        out.mended = self.entries.iter().filter(|(p, _)| !seen.contains(p)).map(|(_, words)| words.clone()).collect();
        let mut kept = Vec::new();
        for (finding, print) in findings.drain(..).zip(&prints) {
            if self.entries.contains_key(print) {
                out.old.push(finding);
            } else {
                kept.push(finding);
            }
        }
        *findings = kept;
        out
    }
}

/// The text of a baseline that holds these findings.
pub fn write(world: &World, findings: &[&Finding]) -> String {
    let prints = fingerprints(world, findings);
    let mut lines: Vec<String> =
        findings.iter().zip(prints).map(|(f, print)| format!("{} {print} {}", f.rule, f.object)).collect();
    lines.sort();
    format!("{HEADING}\n{}{}", lines.join("\n"), if lines.is_empty() { "" } else { "\n" })
}
