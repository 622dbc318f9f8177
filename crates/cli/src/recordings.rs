//! Recorded flows: from files of records, from standard input, or from a ledger.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::host::Stdin;
use crate::text::count;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use watertight_audit::{Observed, ObservedEdge, ObservedEnd};
use watertight_flows::{Edge, End, Format, ImportStats, Ledger, LedgerError, Resolved, completeness, resolve};
use watertight_model::World;

/// Formats of records on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RecordFormat {
    /// Hubble JSON, one flow a line (`hubble observe -o jsonpb`)
    Hubble,
    /// Calico flow logs
    Calico,
}

impl RecordFormat {
    /// The importer's name for it.
    pub fn of(self) -> Format {
        match self {
            RecordFormat::Hubble => Format::Hubble,
            RecordFormat::Calico => Format::Calico,
        }
    }
}

/// Where recorded flows are.
#[derive(clap::Args, Clone, Debug)]
pub struct FlowsFrom {
    /// File of flow records, `-` for standard input, or a ledger that `flows import` made; repeatable
    #[arg(long, value_name = "FILE", required = true)]
    pub flows: Vec<PathBuf>,
    /// Format of the records; found out by itself if left out
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<RecordFormat>,
}

/// Reads recordings into one ledger, and warns about what was lost or could not be read.
pub fn read(from: &FlowsFrom, ctx: &mut Ctx<'_, '_>) -> Result<Ledger, Failure> {
    let mut ledgers = Vec::new();
    for path in &from.flows {
        if is_ledger(path)? {
            ledgers.push(path);
        }
    }
    match (ledgers.as_slice(), from.flows.len()) {
        ([one], 1) => return Ledger::open(one).map_err(|e| failure(&e)),
        ([], _) => {}
        _ => {
            return Err(Failure::usage(
                "a ledger stands for itself: it cannot be combined with other recordings",
                "add recordings to a ledger with `watertight flows import`",
            ));
        }
    }
    let mut ledger = Ledger::memory();
    for path in &from.flows {
        add(&mut ledger, path, from.format, ctx)?;
    }
    Ok(ledger)
}

/// Imports one recording and says what was wrong with it.
pub fn add(
    ledger: &mut Ledger,
    path: &Path,
    format: Option<RecordFormat>,
    ctx: &mut Ctx<'_, '_>,
) -> Result<ImportStats, Failure> {
    let name = path.display().to_string();
    let progress = ctx.progress(&format!("importing {name}"));
    let input: Box<dyn Read> = match (&ctx.host.stdin, path.as_os_str() == "-") {
        (Stdin::Given(bytes), true) => Box::new(std::io::Cursor::new(bytes.clone())),
        (Stdin::Process, true) => Box::new(std::io::stdin()),
        (_, false) => Box::new(open(path)?),
    };
    let stats = ledger.import(&name, input, format.map(RecordFormat::of)).map_err(|e| failure(&e))?;
    drop(progress);
    warn(&name, &stats, ctx);
    Ok(stats)
}

fn open(path: &Path) -> Result<File, Failure> {
    let cannot =
        |why: String| Failure::new(Exit::Unreachable, "read", format!("cannot read `{}`: {why}", path.display()), None);
    let file = File::open(path).map_err(|e| cannot(e.to_string()))?;
    let is_directory = file.metadata().map_err(|e| cannot(e.to_string()))?.is_dir();
    if is_directory { Err(cannot("it is a directory".to_owned())) } else { Ok(file) }
}

/// A ledger is recognised by the first bytes of its store.
fn is_ledger(path: &Path) -> Result<bool, Failure> {
    const MAGIC: &[u8; 4] = b"redb";
    if path.as_os_str() == "-" {
        return Ok(false);
    }
    // Only a regular file can be one; what is read from a pipe would be gone.
    let regular = std::fs::metadata(path).is_ok_and(|m| m.is_file());
    let mut head = [0; 4];
    Ok(regular && open(path)?.read_exact(&mut head).is_ok() && &head == MAGIC)
}

/// A ledger's error as a failure.
pub fn failure(error: &LedgerError) -> Failure {
    let (exit, code) = match error {
        LedgerError::File { .. } => (Exit::Unreachable, "ledger"),
        LedgerError::Layout { .. } => (Exit::BadInput, "ledger-layout"),
        LedgerError::Damaged { .. } => (Exit::BadInput, "ledger-damaged"),
        LedgerError::Input { .. } => (Exit::Unreachable, "read"),
    };
    Failure::new(exit, code, error.to_string(), Some(error.help().to_owned()))
}

fn warn(name: &str, stats: &ImportStats, ctx: &mut Ctx<'_, '_>) {
    let lines = |n: u64| count(usize::try_from(n).unwrap_or(usize::MAX), "line");
    if stats.malformed > 0 {
        ctx.warn(&format!("{} of `{name}` could not be read and did not count", lines(stats.malformed)));
        for (line, why) in &stats.faults {
            ctx.note(&format!("  line {line}: {why}"));
        }
        let more = stats.malformed.saturating_sub(stats.faults.len() as u64);
        if more > 0 {
            ctx.note(&format!("  and {more} more"));
        }
    }
    if stats.lost_events_reported > 0 {
        let events = count(usize::try_from(stats.lost_events_reported).unwrap_or(usize::MAX), "event");
        ctx.warn(&format!("the recorder of `{name}` lost {events}: what they would have shown is not known"));
    }
    if stats.already_known {
        ctx.note(&format!("`{name}` was imported before: nothing was added"));
    }
}

/// Edges as the learner takes them.
pub fn edges(resolved: &Resolved) -> Vec<watertight_learn::Edge> {
    let end = |end: &End| match end {
        End::Workload(id) => watertight_learn::End::Workload(*id),
        End::Node(id) => watertight_learn::End::Node(*id),
        End::External { ip, names } => watertight_learn::End::External { ip: *ip, names: names.clone() },
    };
    let edge = |e: &Edge| watertight_learn::Edge {
        from: end(&e.from),
        to: end(&e.to),
        protocol: e.protocol,
        port: e.port,
        id: e.id.clone(),
        count: e.count,
        denied: e.denied,
        first: e.first,
        last: e.last,
        days: e.days,
    };
    resolved.edges.iter().map(edge).collect()
}

/// A recording as the auditor takes it.
pub fn observed(world: &World, ledger: &Ledger) -> Observed {
    let resolved = resolve(world, ledger);
    let complete = completeness(world, ledger, &resolved);
    let end = |end: &End| match end {
        End::Workload(id) => ObservedEnd::Workload(*id),
        End::Node(id) => ObservedEnd::Node(*id),
        End::External { ip, .. } => ObservedEnd::External(*ip),
    };
    let edges = resolved.edges.iter().filter(|e| e.count > 0).map(|e| ObservedEdge {
        from: end(&e.from),
        to: end(&e.to),
        protocol: e.protocol,
        port: e.port,
        count: e.count,
        seen: time(e.first).zip(time(e.last)),
    });
    let number = |n: u64, what: &str| count(usize::try_from(n).unwrap_or(usize::MAX), what);
    let sum = |of: fn(&ImportStats) -> u64| ledger.inputs().map(|i| of(&i.stats)).sum::<u64>();
    let mut incomplete = Vec::new();
    let mut lacks = |n: u64, what: &str, words: &str| {
        if n > 0 {
            incomplete.push(format!("{} {words}", number(n, what)));
        }
    };
    lacks(complete.lost, "event", "lost by the recorder");
    lacks(sum(|s| s.malformed), "line", "could not be read");
    lacks(sum(|s| s.unknown_direction), "line", "without a direction");
    lacks(resolved.unresolved.len() as u64, "edge", "could not be placed and judged");
    for job in &complete.unseen_schedules {
        let next = job.next.and_then(time).map(|t| format!(", and runs next at {t}")).unwrap_or_default();
        incomplete.push(format!(
            "{} ran {} in it{next}",
            world.workload_name(job.workload),
            number(job.runs as u64, "time")
        ));
    }
    let days = u64::try_from((complete.last - complete.first) / 86_400).unwrap_or_default();
    Observed { edges: edges.collect(), days, incomplete }
}

/// A time in seconds since the Unix epoch, as RFC 3339; `None` for 0, which stands for "never".
pub fn time(seconds: i64) -> Option<String> {
    if seconds == 0 {
        return None;
    }
    jiff::Timestamp::from_second(seconds).ok().map(|t| t.to_string())
}

/// `7d`, `12h`, `30m`, `45s` in seconds.
pub fn duration(text: &str) -> Result<i64, String> {
    const WANT: &str = "want a duration such as 7d, 12h, 30m or 45s";
    let unit = text.chars().next_back().ok_or(WANT)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(WANT.to_owned()),
    };
    let number = text.strip_suffix(unit).and_then(|n| n.parse::<i64>().ok()).filter(|n| *n > 0).ok_or(WANT)?;
    number.checked_mul(seconds).ok_or_else(|| WANT.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations() {
        assert_eq!(super::duration("7d"), Ok(604_800));
        assert_eq!(super::duration("45s"), Ok(45));
        for bad in ["", "d", "7", "-1d", "0h", "7w", "1.5d", "9223372036854775807d", "7é"] {
            assert!(super::duration(bad).is_err(), "{bad}");
        }
        assert_eq!(super::time(0), None);
        assert_eq!(super::time(1_795_500_000).as_deref(), Some("2026-11-24T06:00:00Z"));
    }
}
