//! The edge ledger: what was seen, folded by edge, in one embedded file or in memory.
//!
//! A file holds two tables: edges by key, and inputs by content mark, so that the same file imported twice counts once.
//! Every import is one transaction: after a crash it is there whole or not at all.

use crate::import::{Fold, Format, ImportStats, fold};
use crate::record::Who;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// Who opened connections to whom, on which port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgeKey {
    /// Opener.
    pub from: Who,
    /// Receiver.
    pub to: Who,
    /// IP protocol: 6, 17 or 132.
    pub protocol: u8,
    /// The receiver's port.
    pub port: u16,
}

impl EdgeKey {
    /// A stable id: 16 hexadecimal digits that depend on the key alone.
    pub fn id(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        // FNV-1a, 64 bits: ids name evidence, they protect nothing.
        let hash =
            text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        format!("{hash:016x}")
    }
}

/// What was seen of an edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeData {
    /// Records that went through, weighted as the recorder aggregated them.
    pub count: u64,
    /// Attempts that a policy denied.
    pub denied: u64,
    /// Nanoseconds since the Unix epoch.
    pub first_ns: i64,
    /// Nanoseconds since the Unix epoch.
    pub last_ns: i64,
    /// UTC days since the epoch, at most [`DAYS_KEPT`]; further days are counted in `days_more`.
    pub days: BTreeSet<i32>,
    /// Records on days beyond those kept.
    pub days_more: u64,
    /// DNS names of the receiver, at most [`NAMES_KEPT`].
    pub names: BTreeSet<String>,
}

/// Two years of days: longer windows change nothing that is concluded from them.
pub const DAYS_KEPT: usize = 731;
/// Names of one address: more do not help a person.
pub const NAMES_KEPT: usize = 8;

impl EdgeData {
    pub(crate) fn merge(&mut self, other: EdgeData) {
        if self.count + self.denied == 0 {
            *self = other;
            return;
        }
        self.count += other.count;
        self.denied += other.denied;
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        self.days_more += other.days_more;
        self.days.extend(other.days);
        // The smallest stay, so that the order of imports does not matter.
        while self.days.len() > DAYS_KEPT {
            self.days.pop_last();
            self.days_more += 1;
        }
        self.names.extend(other.names);
        while self.names.len() > NAMES_KEPT {
            self.names.pop_last();
        }
    }
}

/// What an import was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputInfo {
    /// Its name, as given.
    pub name: String,
    /// What it held.
    pub stats: ImportStats,
}

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be opened or written.
    #[error("ledger `{path}`: {source}")]
    File {
        /// The file.
        path: String,
        /// What the store says.
        #[source]
        source: Box<redb::Error>,
    },
    /// The file is of another version.
    #[error("ledger `{path}` has layout {found}, this program knows layout {known}")]
    Layout {
        /// The file.
        path: String,
        /// Layout in the file.
        found: u64,
        /// Layout of this program.
        known: u64,
    },
    /// An entry cannot be read.
    #[error("ledger `{path}` is damaged: {why}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The input cannot be read.
    #[error("cannot read `{name}`: {source}")]
    Input {
        /// The input.
        name: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl LedgerError {
    /// What to do, in one line.
    pub fn help(&self) -> &'static str {
        match self {
            LedgerError::File { .. } => "check the path and its permissions; one program at a time may use a ledger",
            LedgerError::Layout { .. } => "use the program that wrote it, or import the recordings into a new ledger",
            LedgerError::Damaged { .. } => "import the recordings into a new ledger",
            LedgerError::Input { .. } => "check the path and its permissions",
        }
    }
}

const LAYOUT: u64 = 1;
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const EDGES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("edges");
const INPUTS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("inputs");

/// Edges and the inputs they came from.
pub struct Ledger {
    edges: BTreeMap<EdgeKey, EdgeData>,
    inputs: BTreeMap<u128, InputInfo>,
    file: Option<(Database, String)>,
}

impl Ledger {
    /// A ledger that lives as long as the value.
    pub fn memory() -> Self {
        Self { edges: BTreeMap::new(), inputs: BTreeMap::new(), file: None }
    }

    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// [`LedgerError`] if it cannot be opened, is of another layout, or is damaged.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let name = path.display().to_string();
        let failed = |source: redb::Error| LedgerError::File { path: name.clone(), source: Box::new(source) };
        let database = Database::create(path).map_err(|e| failed(e.into()))?;
        let mut this = Self { edges: BTreeMap::new(), inputs: BTreeMap::new(), file: None };
        let write = database.begin_write().map_err(|e| failed(e.into()))?;
        {
            let mut meta = write.open_table(META).map_err(|e| failed(e.into()))?;
            let found = meta.get("layout").map_err(|e| failed(e.into()))?.map(|v| v.value());
            match found {
                None => {
                    meta.insert("layout", LAYOUT).map_err(|e| failed(e.into()))?;
                }
                Some(LAYOUT) => {}
                Some(found) => return Err(LedgerError::Layout { path: name, found, known: LAYOUT }),
            }
            write.open_table(EDGES).map_err(|e| failed(e.into()))?;
            write.open_table(INPUTS).map_err(|e| failed(e.into()))?;
        }
        write.commit().map_err(|e| failed(e.into()))?;
        let read = database.begin_read().map_err(|e| failed(e.into()))?;
        let damaged = |why: serde_json::Error| LedgerError::Damaged { path: name.clone(), why: why.to_string() };
        let edges = read.open_table(EDGES).map_err(|e| failed(e.into()))?;
        for entry in edges.iter().map_err(|e| failed(e.into()))? {
            let (key, value) = entry.map_err(|e| failed(e.into()))?;
            let key: EdgeKey = serde_json::from_str(key.value()).map_err(damaged)?;
            this.edges.insert(key, serde_json::from_slice(value.value()).map_err(damaged)?);
        }
        let inputs = read.open_table(INPUTS).map_err(|e| failed(e.into()))?;
        for entry in inputs.iter().map_err(|e| failed(e.into()))? {
            let (key, value) = entry.map_err(|e| failed(e.into()))?;
            this.inputs.insert(key.value(), serde_json::from_slice(value.value()).map_err(damaged)?);
        }
        drop(read);
        this.file = Some((database, name));
        Ok(this)
    }

    /// Reads records and adds their edges. The same content a second time changes nothing and returns the first statistics.
    /// Memory is bounded by the number of distinct edges, not by the input.
    ///
    /// # Errors
    /// [`LedgerError`] if the input cannot be read or the file cannot be written; the ledger is then as before.
    pub fn import(&mut self, name: &str, input: impl Read, format: Option<Format>) -> Result<ImportStats, LedgerError> {
        let Fold { edges, mut stats, mark } =
            fold(input, format).map_err(|source| LedgerError::Input { name: name.to_owned(), source })?;
        if let Some(known) = self.inputs.get(&mark) {
            let mut stats = known.stats.clone();
            stats.already_known = true;
            return Ok(stats);
        }
        let mut touched: Vec<EdgeKey> = Vec::with_capacity(edges.len());
        let mut merged = self.edges.clone();
        for (key, data) in edges {
            let known = merged.entry(key.clone()).or_default();
            stats.edges_new += u64::from(known.count + known.denied == 0);
            known.merge(data);
            touched.push(key);
        }
        let info = InputInfo { name: name.to_owned(), stats: stats.clone() };
        if let Some((database, path)) = &self.file {
            let failed = |source: redb::Error| LedgerError::File { path: path.clone(), source: Box::new(source) };
            let encode = |why: serde_json::Error| LedgerError::Damaged { path: path.clone(), why: why.to_string() };
            let write = database.begin_write().map_err(|e| failed(e.into()))?;
            {
                let mut table = write.open_table(EDGES).map_err(|e| failed(e.into()))?;
                for key in &touched {
                    let text = serde_json::to_string(key).map_err(encode)?;
                    let value = serde_json::to_vec(&merged[key]).map_err(encode)?;
                    table.insert(text.as_str(), value.as_slice()).map_err(|e| failed(e.into()))?;
                }
                let mut table = write.open_table(INPUTS).map_err(|e| failed(e.into()))?;
                let value = serde_json::to_vec(&info).map_err(encode)?;
                table.insert(mark, value.as_slice()).map_err(|e| failed(e.into()))?;
            }
            write.commit().map_err(|e| failed(e.into()))?;
        }
        self.edges = merged;
        self.inputs.insert(mark, info);
        Ok(stats)
    }

    /// All edges, sorted.
    pub fn edges(&self) -> &BTreeMap<EdgeKey, EdgeData> {
        &self.edges
    }

    /// All inputs, in the order of their content marks.
    pub fn inputs(&self) -> impl Iterator<Item = &InputInfo> {
        self.inputs.values()
    }

    /// First and last record in nanoseconds since the epoch; `None` if nothing was recorded.
    pub fn window(&self) -> Option<(i64, i64)> {
        let with_flows = self.inputs.values().filter(|i| i.stats.flows > 0);
        let spans: Vec<(i64, i64)> = with_flows.map(|i| (i.stats.first_ns, i.stats.last_ns)).collect();
        Some((spans.iter().map(|s| s.0).min()?, spans.iter().map(|s| s.1).max()?))
    }

    /// Events that recorders say they lost.
    pub fn lost(&self) -> u64 {
        self.inputs.values().map(|i| i.stats.lost_events_reported).sum()
    }
}
