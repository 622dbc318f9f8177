//! Cases to mismatches: read the manifests, ask the judge, compare everything that the case says.

use super::corpus::Corpus;
use super::expect::{Expected, FlowRow, cell};
use super::family::{Families, make_dual, rewrite};
use super::markdown::{Block, Case, Message, Place, Step};
use super::refs::{Side, direction, indexed, policy, sides};
use super::{Judge, Problem, ServiceFlow};
use std::fmt;
use watertight_ingest::{Diagnostic, Input, Loaded, Options, Severity, read};
use watertight_model::{Direction, Flow, FlowVerdict, Half, Origin, PolicyRef, Verdict, World};

/// What a run covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cases, as written.
    pub cases: usize,
    /// Case, family and step: worlds read and judged, or refused.
    pub executions: usize,
    /// Of these, inputs that had to be refused.
    pub refusals: usize,
    /// Flows judged.
    pub flows: usize,
    /// Questions to a Service that the judge could answer.
    pub service_questions: usize,
    /// Questions to a Service that need a query layer, which the judge has not.
    pub needs_query_layer: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { cases, executions, refusals, flows, service_questions, needs_query_layer } = self;
        write!(f, "{cases} cases, {executions} executions ({refusals} refusals), {flows} flows, ")?;
        write!(f, "{service_questions} Service questions, {needs_query_layer} skipped (need a query layer)")
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was run.
    pub counts: Counts,
    /// Everything that does not hold, by file and line.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.iter().try_for_each(|p| writeln!(f, "{p}"))?;
        write!(f, "{} do not hold; {}", self.problems.len(), self.counts)
    }
}

impl Corpus {
    /// Runs every case.
    pub fn run(&self, judge: &dyn Judge) -> Report {
        let mut report = Report::default();
        for case in &self.cases {
            report.counts.cases += 1;
            for family in &case.families {
                for (i, step) in case.steps.iter().enumerate() {
                    // The reader's words name the text as written: once is enough.
                    if step.refused.is_empty() || case.families.first() == Some(family) {
                        Run { corpus: self, case, family: *family, step, number: i, judge, report: &mut report }.step();
                    }
                }
            }
        }
        report.problems.sort();
        report.problems.dedup();
        report
    }
}

struct Run<'r> {
    corpus: &'r Corpus,
    case: &'r Case,
    family: Families,
    step: &'r Step,
    number: usize,
    judge: &'r dyn Judge,
    report: &'r mut Report,
}

impl Run<'_> {
    fn problem(&mut self, line: usize, what: &str) {
        let Case { file, title, steps, .. } = self.case;
        let step = if steps.len() > 1 { format!(", step {}", self.number + 1) } else { String::new() };
        let what = format!("{title} ({}{step})\n    {what}", self.family.name());
        self.report.problems.push(Problem { file: file.clone(), line, what });
    }

    fn step(&mut self) {
        self.report.counts.executions += 1;
        let blocks = match self.blocks() {
            Ok(blocks) => blocks,
            Err(what) => return self.problem(self.case.line, &what),
        };
        let inputs: Vec<Input> = blocks.iter().map(|b| self.input(b)).collect();
        let options =
            Options { strict_cidr: !self.case.lenient, pod_cidrs: self.case.pod_cidrs.clone(), ..Options::default() };
        match (read(&inputs, &options), self.step.refused.is_empty()) {
            (Ok(loaded), true) => self.loaded(loaded),
            (Ok(_), false) => self.problem(self.step.line, "must be refused, was read"),
            (Err(refused), false) => {
                self.report.counts.refusals += 1;
                let errors: Vec<_> = refused.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
                self.messages(&self.step.refused, &errors);
                let odd = errors.iter().filter(|d| !self.step.refused.iter().any(|m| self.is(m, d)));
                let odd: Vec<String> = odd.map(|d| format!("not expected: {}", self.tell(d))).collect();
                odd.iter().for_each(|what| self.problem(self.step.line, what));
            }
            (Err(refused), true) => {
                for d in refused.diagnostics.iter().filter(|d| d.severity == Severity::Error) {
                    let line = d.at.map_or(self.step.line, |o| o.line as usize);
                    self.problem(line, &format!("must be read, was refused: {}", self.tell(d)));
                }
            }
        }
    }

    /// The worlds of the case, then the step's own block.
    fn blocks(&self) -> Result<Vec<Block>, String> {
        let world = |name: &String| {
            self.corpus.world(&self.case.file, name).cloned().ok_or_else(|| format!("there is no world `{name}`"))
        };
        let mut blocks = self.case.worlds.iter().map(world).collect::<Result<Vec<_>, _>>()?;
        blocks.extend(self.step.yaml.clone());
        Ok(blocks)
    }

    /// The text at its line in the Markdown file, so that places are places there.
    fn input(&self, block: &Block) -> Input {
        let text = match self.family {
            Families::V6 => rewrite(&block.text),
            Families::AsWritten | Families::Dual => block.text.clone(),
        };
        Input::Text { name: block.file.clone(), text: format!("{}{text}", "\n".repeat(block.line - 1)) }
    }

    fn loaded(&mut self, loaded: Loaded) {
        let mut world = loaded.world;
        for (line, edit) in &self.step.stored {
            if let Err(what) = edit.apply(&mut world) {
                self.problem(*line, &what);
            }
        }
        if self.family == Families::Dual {
            make_dual(&mut world);
        }
        let warnings: Vec<_> = loaded.diagnostics.iter().collect();
        self.messages(&self.step.warned, &warnings);
        for place in &self.step.origins {
            if let Err(what) = self.place(&world, place) {
                self.problem(place.line, &what);
            }
        }
        for row in &self.step.flows {
            if let Err(what) = self.row(&world, row) {
                self.problem(row.line, &what);
            }
        }
    }

    fn messages(&mut self, wanted: &[Message], got: &[&Diagnostic]) {
        for message in wanted {
            if !got.iter().any(|d| self.is(message, d)) {
                let all: Vec<_> = got.iter().map(|d| format!("\n      {}", self.tell(d))).collect();
                let at = message.at.as_ref().map_or(String::new(), |t| format!(" at `{t}`"));
                let all = if all.is_empty() { "nothing".to_owned() } else { all.concat() };
                self.problem(message.line, &format!("expected: {}{at}\n    got: {all}", message.text));
            }
        }
    }

    fn is(&self, message: &Message, d: &Diagnostic) -> bool {
        let place = message.at.as_ref().is_none_or(|at| d.at.is_some_and(|o| self.text_at(o).starts_with(at.as_str())));
        let with_field = d.field.as_ref().map(|f| format!("{f}: {}", d.message));
        place && (fits(&message.text, &d.message) || with_field.is_some_and(|t| fits(&message.text, &t)))
    }

    fn tell(&self, d: &Diagnostic) -> String {
        let field = d.field.as_ref().filter(|f| !d.message.starts_with(f.as_str()));
        let field = field.map_or(String::new(), |f| format!("{f}: "));
        let at = d.at.map_or(String::new(), |o| format!(" at `{}` (line {})", self.text_at(o), o.line));
        format!("{field}{}{at}", d.message)
    }

    /// The rest of the line at a place, as the case's family has it; inputs are numbered in the order of the blocks.
    fn text_at(&self, origin: Origin) -> String {
        let blocks = self.blocks().unwrap_or_default();
        let inputs = blocks.iter().map(|b| self.input(b)).nth(origin.source.0 as usize);
        let Some(Input::Text { text, .. }) = inputs else { return String::new() };
        let line = text.lines().nth((origin.line as usize).saturating_sub(1)).unwrap_or("");
        line.chars().skip((origin.column as usize).saturating_sub(1)).collect()
    }

    fn place(&self, world: &World, place: &Place) -> Result<(), String> {
        let form = || format!("`{}` is not `ingress POLICY[RULE]`", place.rule);
        let (d, rule) = place.rule.split_once(' ').ok_or_else(form)?;
        let (name, index) = indexed(rule)?;
        let d = direction(d)?;
        let origin = match policy(world, &name)? {
            PolicyRef::Namespaced(i) => world.policies[i as usize].rules(d).get(index).map(|r| r.origin),
            PolicyRef::Cluster(i) => world.cluster_policies[i as usize].rules(d).get(index).map(|r| r.origin),
        };
        let origin = origin.ok_or_else(|| format!("there is no rule `{}`", place.rule))?;
        let text = self.text_at(origin);
        if text.starts_with(&place.at) {
            return Ok(());
        }
        Err(format!("{}\n    expected at `{}`\n    got line {}, `{text}`", place.rule, place.at, origin.line))
    }

    fn row(&mut self, world: &World, row: &FlowRow) -> Result<(), String> {
        for from in &row.from {
            for to in &row.to {
                for (source, destination) in self.pairs(world, from, to)? {
                    for port in &row.ports {
                        let asked = format!("{from} -> {to} {}", port.text);
                        match (source, destination) {
                            (Side::Service(_), _) => return Err(format!("`{from}` opens no connections")),
                            (Side::End(from), Side::End(to)) => {
                                let flow = Flow { from, to, l4: port.l4, via_service: row.via_service };
                                self.report.counts.flows += 1;
                                let got = self.judge.decide(world, &flow);
                                self.compare(world, row, &asked, got.verdict, &[got]);
                            }
                            (Side::End(from), Side::Service(service)) => {
                                let answer = self.judge.service(world, &ServiceFlow { from, service, l4: port.l4 });
                                let Some(answer) = answer else {
                                    self.report.counts.needs_query_layer += 1;
                                    continue;
                                };
                                self.report.counts.service_questions += 1;
                                self.compare(world, row, &asked, answer.verdict, &answer.backends);
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Sources and destinations; two external lists go together only where their address families do.
    fn pairs(&self, world: &World, from: &str, to: &str) -> Result<Vec<(Side, Side)>, String> {
        let (from, to) = (sides(world, from, self.family)?, sides(world, to, self.family)?);
        Ok(from.iter().flat_map(|f| to.iter().map(move |t| (*f, *t))).collect())
    }

    /// Each stated half must be that of one of the answers.
    fn compare(&mut self, world: &World, row: &FlowRow, asked: &str, verdict: Verdict, got: &[FlowVerdict]) {
        let mut wrong = String::new();
        if verdict != row.verdict {
            wrong = format!("{wrong}\n    verdict: expected {}, got {}", row.verdict.name(), verdict.name());
        }
        let of = |d: Direction, v: &FlowVerdict| -> Half {
            match d {
                Direction::Egress => v.egress.clone(),
                Direction::Ingress => v.ingress.clone(),
            }
        };
        for (d, expected) in [(Direction::Egress, &row.egress), (Direction::Ingress, &row.ingress)] {
            let halves: Vec<Half> = got.iter().map(|v| of(d, v)).collect();
            let holds = |e: &Expected| halves.iter().any(|h| e.holds(world, h, d));
            if !expected.is_empty() && !expected.iter().any(holds) {
                let expected: Vec<String> = expected.iter().map(Expected::cell).collect();
                let mut cells: Vec<String> = halves.iter().map(|h| cell(world, h)).collect();
                cells.dedup();
                wrong = format!(
                    "{wrong}\n    {}: expected `{}`, got `{}`",
                    d.name(),
                    expected.join("` or `"),
                    cells.join("` | `")
                );
            }
        }
        // The whole is the conjunction of its halves, whatever they are.
        for v in got.iter().filter(|v| v.verdict != v.egress.verdict.and(v.ingress.verdict)) {
            wrong = format!("{wrong}\n    {} is not what the two halves make together", v.verdict.name());
        }
        if !wrong.is_empty() {
            self.problem(row.line, &format!("{asked}{wrong}"));
        }
    }
}

/// True if the text is the pattern, where `…` stands for anything.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}
