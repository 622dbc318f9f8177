//! The arguments: what every command takes, and the list of commands.

use crate::commands;
use crate::render::Format;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use watertight_model::Cidr;

/// Who can reach whom in a Kubernetes cluster, which rule decides it, and which policies would allow just what is used.
///
/// Works on manifests (-f), on saved snapshots, and on a live cluster. It changes nothing there (but for `doctor --probe`).
#[derive(Debug, Parser)]
#[command(name = "watertight", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Without a command: `audit` of the current context.\n\
    Exit codes: 0 clean, 1 findings, 2 bad input or usage, 3 cluster or file unreachable, 4 incomplete (with --strict).")]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Findings, coverage and a grade
    Audit(commands::audit::AuditArgs),
    /// Who can talk to whom, on which ports
    Connections(commands::connections::ConnectionsArgs),
    /// The verdict for one or many connections
    Query(commands::query::QueryArgs),
    /// Why a connection is allowed or denied; or what a finding code means
    Explain(commands::explain::ExplainArgs),
    /// What an attacker in a workload can reach
    Blast(commands::blast::BlastArgs),
    /// What can connect in one version and not in another, and which edit decides it
    Diff(commands::diff::DiffArgs),
    /// Check assertions about who must, must not and may reach whom
    Test(commands::test::TestArgs),
    /// Audit again whenever files or the cluster change, and say what is different
    Watch(commands::watch::WatchArgs),
    /// Import and show recorded flows
    Flows(commands::flows::FlowsArgs),
    /// Least-privilege policies from recorded flows, with evidence and a certificate
    Learn(commands::learn::LearnArgs),
    /// Which recorded flows candidate policies would deny
    Replay(commands::replay::ReplayArgs),
    /// Check what stands between this host and an answer
    Doctor(commands::doctor::DoctorArgs),
    /// The whole way from flat to least privilege on a built-in cluster
    Demo(commands::demo::DemoArgs),
    /// A cluster of network namespaces on this host, and what real connections do in it
    Lab(commands::lab::LabArgs),
    /// Enforce policies on a node with BPF, and say what is enforced
    Agent(commands::agent::AgentArgs),
    /// Try with real connections whether anything enforces the policies, and whether it does what they say
    Verify(commands::verify::VerifyArgs),
    /// Completion script for a shell
    Completion(commands::completion::CompletionArgs),
    /// The version
    Version,
}

/// Flags of every command.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// File, directory or `-` (standard input) with manifests or a saved snapshot; repeatable. Without it: the cluster
    #[arg(short = 'f', long = "filename", value_name = "PATH", global = true, help_heading = "Source")]
    pub files: Vec<PathBuf>,
    /// The kubeconfig context to use instead of the current one
    #[arg(long, value_name = "NAME", global = true, help_heading = "Source", conflicts_with = "files")]
    pub context: Option<String>,
    /// The kubeconfig file to use instead of $KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE", global = true, help_heading = "Source", conflicts_with = "files")]
    pub kubeconfig: Option<PathBuf>,
    /// Candidate policies: added to what was read, or in the place of those of the same name; repeatable
    #[arg(long, value_name = "PATH", global = true, help_heading = "Source")]
    pub policies: Vec<PathBuf>,
    /// Write the objects that were read to FILE, so that `-f FILE` gives the same answer later
    #[arg(long, value_name = "FILE", global = true, help_heading = "Source")]
    pub save: Option<PathBuf>,
    /// Where pod addresses come from, such as 10.244.0.0/16; repeatable. Nodes say so themselves if they are in the input
    #[arg(long = "pod-cidr", value_name = "CIDR", value_parser = cidr, global = true, help_heading = "Source")]
    pub pod_cidrs: Vec<Cidr>,
    /// Accept address blocks that only API servers without strict checks accept (host bits, leading zeros)
    #[arg(long, global = true, help_heading = "Source")]
    pub lenient_cidr: bool,
    /// Show only what concerns this namespace. Names, and objects in files, that have none are taken to be in it
    #[arg(short = 'n', long, value_name = "NAME", global = true, help_heading = "Scope")]
    pub namespace: Option<String>,
    /// All namespaces (the default; overrides -n)
    #[arg(short = 'A', long, global = true, help_heading = "Scope")]
    pub all_namespaces: bool,
    /// How to print
    #[arg(short = 'o', long, value_name = "FORMAT", global = true, help_heading = "Output")]
    pub output: Option<Format>,
    /// The mildest finding (diff: the change) that makes the exit code 1
    #[arg(long, value_name = "LEVEL", global = true, help_heading = "Output")]
    pub fail_on: Option<FailOn>,
    /// Exit with 4 if the answer rests on something that was not read or is not evaluated
    #[arg(long, global = true, help_heading = "Output")]
    pub strict: bool,
    /// Never ask anything
    #[arg(long, global = true, help_heading = "Output")]
    pub no_input: bool,
    /// No warnings and no progress
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Say what was read and how long it took
    #[arg(short, long, global = true, help_heading = "Output")]
    pub verbose: bool,
}

/// `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum FailOn {
    /// Any finding (the default).
    Note,
    /// Warnings and errors.
    Warning,
    /// Errors.
    Error,
    /// Findings never do.
    Never,
    /// `diff` only: any change (the default there).
    Any,
    /// `diff` only: what opens, or may.
    Opens,
}

fn cidr(text: &str) -> Result<Cidr, String> {
    text.parse().map_err(|_| "not an address block without host bits, such as 10.244.0.0/16".to_owned())
}
