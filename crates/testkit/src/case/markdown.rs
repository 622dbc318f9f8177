//! Lines of Markdown to cases. Every line has one meaning or is an error.

use super::Problem;
use super::expect::{FlowRow, header, row};
use super::family::Families;
use super::stored::Edit;
use std::collections::BTreeMap;
use watertight_model::Cidr;

/// A fenced block of YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// File below `cases/`.
    pub file: String,
    /// 1-based line of the first line of text.
    pub line: usize,
    /// The text between the fences.
    pub text: String,
}

/// One case: a heading, a sentence, and one or more steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// File below `cases/`.
    pub file: String,
    /// 1-based line of the heading.
    pub line: usize,
    /// The heading.
    pub title: String,
    /// Rows of the semantics table that it makes executable.
    pub rows: Vec<u16>,
    /// Names of the worlds that it builds on.
    pub worlds: Vec<String>,
    /// Address families that it is run for.
    pub families: Vec<Families>,
    /// Read as an old server would, that is without strict checks of address blocks.
    pub lenient: bool,
    /// `Options::pod_cidrs`.
    pub pod_cidrs: Vec<Cidr>,
    /// What to read and what to ask, in order.
    pub steps: Vec<Step>,
}

/// Manifests, and what must come of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// 1-based line where it starts.
    pub line: usize,
    /// The manifests, beside those of the case's worlds; `None`: nothing beside those.
    pub yaml: Option<Block>,
    /// What is changed after reading: what only a server can hold.
    pub stored: Vec<(usize, Edit)>,
    /// Errors for which the input must be refused; empty: it must be read.
    pub refused: Vec<Message>,
    /// Warnings that must be given (others may be).
    pub warned: Vec<Message>,
    /// Places where a rule must have been found.
    pub origins: Vec<Place>,
    /// Flows and their verdicts.
    pub flows: Vec<FlowRow>,
}

/// A diagnostic that must be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// 1-based line in the file.
    pub line: usize,
    /// `path: text`, with `…` for anything.
    pub text: String,
    /// What stands at its place.
    pub at: Option<String>,
}

/// Where a rule must have been found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// 1-based line in the file.
    pub line: usize,
    /// `ingress shop/db-in[0]`.
    pub rule: String,
    /// How the text at its place starts.
    pub at: String,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) worlds: BTreeMap<String, Block>,
    pub(super) cases: Vec<Case>,
}

/// Reads a file. All problems at once.
pub(super) fn parse(file: &str, text: &str) -> Result<Contents, Vec<Problem>> {
    let mut parser =
        Parser { file, lines: text.lines().collect(), at: 0, contents: Contents::default(), open: Open::Top };
    let mut problems = Vec::new();
    while parser.at < parser.lines.len() {
        let line = parser.at + 1;
        if let Err(what) = parser.line() {
            problems.push(Problem { file: file.to_owned(), line, what });
        }
    }
    if let Err(what) = parser.close() {
        problems.push(Problem { file: file.to_owned(), line: parser.lines.len(), what });
    }
    if parser.contents.cases.is_empty() && parser.contents.worlds.is_empty() {
        let what = "a file of cases without a case".to_owned();
        problems.push(Problem { file: file.to_owned(), line: 1, what });
    }
    if problems.is_empty() { Ok(parser.contents) } else { Err(problems) }
}

/// What the lines read belong to.
enum Open {
    /// The start of the file.
    Top,
    /// A world; its block once read.
    World(String, Option<Block>),
    /// A case, and whether it has said anything in words.
    Case(Box<Case>, bool),
}

struct Parser<'t> {
    file: &'t str,
    lines: Vec<&'t str>,
    /// Index of the next line.
    at: usize,
    contents: Contents,
    open: Open,
}

impl Parser<'_> {
    fn line(&mut self) -> Result<(), String> {
        let line = self.lines[self.at];
        self.at += 1;
        if let Some(info) = line.strip_prefix("```") {
            let block = self.fence()?;
            return if info == "yaml" { self.block(block) } else { Err("a fenced block is ```yaml".to_owned()) };
        }
        if let Some(title) = line.strip_prefix("## ") {
            self.close()?;
            return self.heading(title.trim());
        }
        match &mut self.open {
            _ if line.trim().is_empty() => Ok(()),
            _ if line.starts_with("# ") && self.at == 1 => Ok(()),
            Open::Case(case, _) if line.starts_with("### ") => {
                // A named step: what follows is new.
                case.steps.push(Step { line: self.at, ..Step::default() });
                Ok(())
            }
            _ if line.starts_with('#') => {
                Err("headings are `# title` (first line), `## case` and `### step`".to_owned())
            }
            Open::Case(case, _) if line.starts_with("- ") => directive(case, &line[2..], self.at),
            Open::Case(..) if line.starts_with('|') => self.table(line),
            _ if line.starts_with(['|', '-', '*', '>', ' ', '\t']) => {
                Err("neither a sentence nor a directive, table or block of a case".to_owned())
            }
            Open::Case(_, said) => {
                *said = true;
                Ok(())
            }
            Open::Top | Open::World(..) => Ok(()),
        }
    }

    fn heading(&mut self, title: &str) -> Result<(), String> {
        if let Some(name) = title.strip_prefix("World: ") {
            self.open = Open::World(name.to_owned(), None);
            return Ok(());
        }
        let (rows, rest) = match title.strip_prefix("Row ").or_else(|| title.strip_prefix("Rows ")) {
            None => (Vec::new(), title),
            Some(rest) => {
                let (numbers, rest) = rest.split_once(": ").ok_or("a row's heading is `## Row N: title`")?;
                let number = |n: &str| n.trim().parse().map_err(|_| format!("`{n}` is not the number of a row"));
                (numbers.split(',').map(number).collect::<Result<Vec<u16>, _>>()?, rest)
            }
        };
        if rest.trim().is_empty() {
            return Err("a heading without words".to_owned());
        }
        let case = Case {
            file: self.file.to_owned(),
            line: self.at,
            title: title.to_owned(),
            rows,
            worlds: Vec::new(),
            families: vec![Families::AsWritten, Families::V6, Families::Dual],
            lenient: false,
            pod_cidrs: Vec::new(),
            steps: Vec::new(),
        };
        self.open = Open::Case(Box::new(case), false);
        Ok(())
    }

    /// The text up to the closing fence.
    fn fence(&mut self) -> Result<Block, String> {
        let start = self.at;
        let end = self.lines[start..].iter().position(|l| l.starts_with("```"));
        let end = start + end.unwrap_or(self.lines.len() - start);
        let closed = self.lines.get(end).is_some_and(|l| *l == "```");
        self.at = (end + 1).min(self.lines.len());
        let text: String = self.lines[start..end].iter().flat_map(|l| [*l, "\n"]).collect();
        if !closed {
            return Err("the fence is not closed by a line of ```".to_owned());
        }
        Ok(Block { file: self.file.to_owned(), line: start + 1, text })
    }

    fn block(&mut self, block: Block) -> Result<(), String> {
        match &mut self.open {
            Open::Top => Err("a block outside of worlds and cases".to_owned()),
            Open::World(_, Some(_)) => Err("a world has one block".to_owned()),
            Open::World(_, slot) => {
                *slot = Some(block);
                Ok(())
            }
            Open::Case(case, _) => {
                // After a question, a block starts the next step.
                match case.steps.last_mut() {
                    Some(step) if step.yaml.is_none() && !asks(step) => step.yaml = Some(block),
                    Some(step) if !asks(step) => return Err("two blocks, and nothing asked of the first".to_owned()),
                    Some(_) | None => {
                        case.steps.push(Step { line: block.line, yaml: Some(block), ..Step::default() });
                    }
                }
                Ok(())
            }
        }
    }

    fn table(&mut self, first: &str) -> Result<(), String> {
        let start = self.at;
        let more = self.lines[start..].iter().take_while(|l| l.starts_with('|')).count();
        self.at += more;
        let rows = &self.lines[start..start + more];
        let (ruler, rows) = rows.split_first().ok_or("a table without rows")?;
        let via = header(first, ruler)?;
        if rows.is_empty() {
            return Err("a table without rows".to_owned());
        }
        let parse = |(i, text): (usize, &&str)| row(text, start + 2 + i, via).map_err(|e| format!("{text}\n    {e}"));
        let rows = rows.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
        if let Open::Case(case, _) = &mut self.open {
            step(case, start).flows.extend(rows);
        }
        Ok(())
    }

    /// Puts what was open where it belongs.
    fn close(&mut self) -> Result<(), String> {
        match std::mem::replace(&mut self.open, Open::Top) {
            Open::Top => Ok(()),
            Open::World(name, None) => Err(format!("the world `{name}` has no block")),
            Open::World(name, Some(block)) => match self.contents.worlds.insert(name.clone(), block) {
                Some(_) => Err(format!("the world `{name}` is there twice")),
                None => Ok(()),
            },
            Open::Case(case, said) => {
                let (file, line, title) = (&case.file, case.line, &case.title);
                let idle = case.steps.iter().any(|s| !asks(s));
                let empty = case.steps.iter().any(|s| s.yaml.is_none()) && case.worlds.is_empty();
                let both = case.steps.iter().any(|s| !s.refused.is_empty() && !s.flows.is_empty());
                let twice = case.families.iter().enumerate().any(|(i, f)| case.families[..i].contains(f));
                let wrong = match () {
                    () if !said => Some("says nothing in words"),
                    () if case.steps.is_empty() => Some("has no step"),
                    () if idle => Some("has a step that asks nothing"),
                    () if empty => Some("has a step without manifests"),
                    () if both => Some("expects a step to be refused and to have verdicts"),
                    () if twice => Some("names an address family twice"),
                    () => None,
                };
                if let Some(wrong) = wrong {
                    return Err(format!("the case `{title}` ({file}:{line}) {wrong}"));
                }
                self.contents.cases.push(*case);
                Ok(())
            }
        }
    }
}

fn asks(step: &Step) -> bool {
    !(step.refused.is_empty() && step.flows.is_empty())
}

/// The step that a line belongs to.
fn step(case: &mut Case, line: usize) -> &mut Step {
    let new = Step { line, ..Step::default() };
    if case.steps.is_empty() {
        case.steps.push(new);
    }
    let last = case.steps.len() - 1;
    &mut case.steps[last]
}

/// `Key: value`.
fn directive(case: &mut Case, text: &str, line: usize) -> Result<(), String> {
    let (key, value) = text.split_once(": ").ok_or("a list entry is a directive, `- Key: value`")?;
    let value = value.trim();
    let started = !case.steps.is_empty();
    match key {
        "World" | "Families" | "Server" | "Pod CIDRs" if started => {
            return Err(format!("`{key}` is said before the first block"));
        }
        "World" => case.worlds.extend(value.split(',').map(|w| w.trim().to_owned())),
        "Families" => {
            let family = |w: &str| Families::parse(w).ok_or_else(|| format!("a family is v4, v6 or dual, not `{w}`"));
            case.families = value.split_whitespace().map(family).collect::<Result<_, _>>()?;
        }
        "Server" if value == "lenient" => case.lenient = true,
        "Server" => return Err("the only other server is `lenient`".to_owned()),
        "Pod CIDRs" => {
            let cidr = |w: &str| w.parse().map_err(|_| format!("`{w}` is not a canonical CIDR"));
            case.pod_cidrs = value.split_whitespace().map(cidr).collect::<Result<_, _>>()?;
        }
        "Stored" => {
            let edit = Edit::parse(value)?;
            step(case, line).stored.push((line, edit));
        }
        "Refused" | "Warned" => {
            let (text, at) = quoted(value)?;
            let message = Message { line, text, at };
            let step = step(case, line);
            if key == "Refused" { step.refused.push(message) } else { step.warned.push(message) }
        }
        "Origin" => {
            let (rule, at) = value.split_once(" at ").ok_or("`- Origin: ingress POLICY[RULE] at `text``")?;
            let at = at.strip_prefix('`').and_then(|t| t.strip_suffix('`')).ok_or("the text is in backticks")?;
            step(case, line).origins.push(Place { line, rule: rule.to_owned(), at: at.to_owned() });
        }
        other => return Err(format!("there is no directive `{other}`")),
    }
    Ok(())
}

/// "`text`" or "`text` at `other text`". A text that holds backticks is in double backticks.
fn quoted(value: &str) -> Result<(String, Option<String>), String> {
    let form = "want `text` or `text` at `what stands there`, in backticks";
    let (fence, rest) = match value.strip_prefix("`` ") {
        Some(rest) => (" ``", rest),
        None => ("`", value.strip_prefix('`').ok_or(form)?),
    };
    let (text, rest) = rest.split_once(fence).ok_or(form)?;
    if rest.is_empty() {
        return Ok((text.to_owned(), None));
    }
    let at = rest.strip_prefix(" at `").and_then(|r| r.strip_suffix('`')).ok_or(form)?;
    Ok((text.to_owned(), Some(at.to_owned())))
}
