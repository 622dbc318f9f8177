//! The files of `cases/`, and which rows of the semantics table they cover.

use super::Problem;
use super::expect::cells;
use super::markdown::{Block, Case, parse};
use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

/// The rows of the semantics table.
pub const ROWS: RangeInclusive<u16> = 1..=174;

/// Rows that are not verdicts.
const ELSEWHERE: &str = "elsewhere.md";

/// All cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corpus {
    /// In the order of files, then lines.
    pub cases: Vec<Case>,
    /// Rows that are covered by something else.
    pub elsewhere: Vec<Elsewhere>,
    /// By file, then name; the name alone for those of `worlds/`.
    worlds: BTreeMap<(String, String), Block>,
}

/// A row that is not a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// 1-based line.
    pub line: usize,
    /// The row.
    pub row: u16,
    /// Why it is not a case.
    pub why: String,
    /// Names of tests, or `datapath`.
    pub covered_by: Vec<String>,
}

impl Corpus {
    /// Reads `cases/` (or another folder of the same shape).
    ///
    /// # Errors
    /// Every line that has no meaning, of all files; a file that cannot be read.
    pub fn load(dir: &Path) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut files = Vec::new();
        for folder in ["", "worlds"] {
            let place = dir.join(folder);
            let unreadable = |e: &dyn std::fmt::Display| {
                vec![Problem { file: place.display().to_string(), line: 0, what: e.to_string() }]
            };
            for entry in fs::read_dir(&place).map_err(|e| unreadable(&e))? {
                let path = entry.map_err(|e| unreadable(&e))?.path();
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                if path.is_file() && name != "README.md" {
                    let text = fs::read_to_string(&path).map_err(|e| unreadable(&e))?;
                    files.push((if folder.is_empty() { name } else { format!("{folder}/{name}") }, text));
                }
            }
        }
        files.sort();
        let files: Vec<(&str, &str)> = files.iter().map(|(f, t)| (f.as_str(), t.as_str())).collect();
        let corpus = Self::of(&files, &mut problems);
        if problems.is_empty() { Ok(corpus) } else { Err(problems) }
    }

    /// The corpus of these files (name below `cases/`, text); what is wrong goes to `problems`.
    pub fn of(files: &[(&str, &str)], problems: &mut Vec<Problem>) -> Self {
        let mut corpus = Corpus::default();
        for (file, text) in files {
            if *file == ELSEWHERE {
                corpus.elsewhere = elsewhere(text, problems);
                continue;
            }
            match parse(file, text) {
                Err(more) => problems.extend(more),
                Ok(contents) => {
                    let shared = file.starts_with("worlds/");
                    for (name, block) in contents.worlds {
                        let scope = if shared { String::new() } else { (*file).to_owned() };
                        let line = block.line;
                        if corpus.worlds.insert((scope, name.clone()), block).is_some() {
                            let what = format!("the world `{name}` is there twice");
                            problems.push(Problem { file: (*file).to_owned(), line, what });
                        }
                    }
                    corpus.cases.extend(contents.cases);
                }
            }
        }
        corpus
    }

    /// The world of this name for a file: its own, else a shared one.
    pub(super) fn world(&self, file: &str, name: &str) -> Option<&Block> {
        let find = |scope: &str| self.worlds.get(&(scope.to_owned(), name.to_owned()));
        find(file).or_else(|| find(""))
    }

    /// Rows that are missing, unknown or there twice.
    pub fn row_problems(&self) -> Vec<Problem> {
        let mut places: BTreeMap<u16, Vec<(String, usize)>> = BTreeMap::new();
        for case in &self.cases {
            for row in &case.rows {
                places.entry(*row).or_default().push((case.file.clone(), case.line));
            }
        }
        for entry in &self.elsewhere {
            places.entry(entry.row).or_default().push((ELSEWHERE.to_owned(), entry.line));
        }
        let problem = |file: &str, line, what| Problem { file: file.to_owned(), line, what };
        let missing = ROWS.filter(|r| !places.contains_key(r));
        let mut out: Vec<_> =
            missing.map(|r| problem(ELSEWHERE, 0, format!("row {r} is neither a case nor explained"))).collect();
        for (row, places) in &places {
            for (file, line) in places {
                if !ROWS.contains(row) {
                    out.push(problem(file, *line, format!("there is no row {row}")));
                } else if places.len() > 1 {
                    out.push(problem(file, *line, format!("row {row} is there {} times", places.len())));
                }
            }
        }
        out
    }
}

/// Tables `| row | why | covered by |`; everything else is prose.
fn elsewhere(text: &str, problems: &mut Vec<Problem>) -> Vec<Elsewhere> {
    let mut out = Vec::new();
    let mut in_table = false;
    for (i, line) in text.lines().enumerate() {
        let row = || -> Result<Option<Elsewhere>, String> {
            let cells = cells(line)?;
            let [row, why, covered] = cells.as_slice() else {
                return Err("three columns: row, why, covered by".into());
            };
            let row = row.parse().map_err(|_| format!("`{row}` is not the number of a row"))?;
            let covered_by: Vec<String> = covered.split(',').map(|c| c.trim().trim_matches('`').to_owned()).collect();
            if why.is_empty() || covered_by.iter().any(String::is_empty) {
                return Err("a row says why, and what covers it".to_owned());
            }
            Ok(Some(Elsewhere { line: i + 1, row, why: why.clone(), covered_by }))
        };
        if line == "| row | why | covered by |" {
            in_table = true;
        } else if !line.starts_with('|') {
            in_table = false;
        } else if in_table && !line.starts_with("|---") {
            match row() {
                Ok(entry) => out.extend(entry),
                Err(what) => problems.push(Problem { file: ELSEWHERE.to_owned(), line: i + 1, what }),
            }
        } else if !in_table {
            let what = "a table here has the columns row, why, covered by".to_owned();
            problems.push(Problem { file: ELSEWHERE.to_owned(), line: i + 1, what });
        }
    }
    out
}
