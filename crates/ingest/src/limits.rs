//! How much of anything one input may hold. Every budget is checked while reading, so that hostile text fails early;
//! an input over a budget is refused with an error that names the budget and its value, never cut short in silence.

/// Budgets for reading. The defaults hold a refused input to 256 MiB of memory and 2 seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one input (a file, standard input, one text). Default 134,217,728 (128 MiB); never more than 4 GiB - 1,
    /// because spans count bytes in 32 bits.
    pub max_bytes: u64,
    /// Bytes of all inputs together. Default 1,073,741,824 (1 GiB).
    pub max_total_bytes: u64,
    /// Files found below the directories given. Default 100,000.
    pub max_files: usize,
    /// Documents in one input: pieces between `---` lines, empty ones included. Default 1,000,000.
    pub max_documents: usize,
    /// Mappings and sequences inside one another; the outermost counts as 1. Default 64: the deepest field of the kinds
    /// that are read (a pod template's node affinity) is at 16, and one `List` adds 2.
    pub max_depth: usize,
    /// Nodes (scalars, sequences, mappings; keys not counted) in the text of one document. Default 1,250,000: 140 MB of
    /// tree at worst, which about 5,000 pods in one `List` reach.
    pub max_nodes: usize,
    /// Nodes that anchors (`&name`) and aliases (`*name`) copy within one document; 64 bytes of text count as one more.
    /// Default 100,000, and whatever is set here, never more than 100 + 4 per byte of the
    /// document up to there.
    pub max_alias_nodes: usize,
    /// Bytes of one scalar, after escapes. Default 1,572,864: what etcd takes in one request.
    pub max_scalar_bytes: usize,
    /// Errors reported for one input; reading stops there, with a last error that says so. Default 100.
    pub max_errors: usize,
    /// Threads that read one input. Default 2; never more than the machine has.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 128 << 20,
            max_total_bytes: 1 << 30,
            max_files: 100_000,
            max_documents: 1_000_000,
            max_depth: 64,
            max_nodes: 1_250_000,
            max_alias_nodes: 100_000,
            max_scalar_bytes: 1_572_864,
            max_errors: 100,
            threads: 2,
        }
    }
}
