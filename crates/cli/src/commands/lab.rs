//! `lab`: a cluster of network namespaces on this host, and what real connections do in it.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use clap::{Args, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of `lab`.
#[derive(Args, Debug)]
#[command(
    after_help = "Needs Linux, root, and the programs ip and nft. Everything it makes is in network namespaces of its\n\
    own, and `lab down` removes it, also after a crash."
)]
pub struct LabArgs {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with a lab.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make it: nodes, pods, Services and DNS from -f (without: the sample cluster of `demo`)
    Up(UpArgs),
    /// Remove it
    Down,
    /// What is there
    Status,
    /// Put policies (-f) in force, in the place of those that `lab apply` put before
    Apply(ApplyArgs),
    /// Run a program in a pod
    Exec(ExecArgs),
    /// Open every connection for real, and compare with what the policies say
    Probe(ProbeArgs),
    /// Open the connections that were recorded, and say which are not delivered
    Traffic(TrafficArgs),
    /// Answer in the pods (started by `lab up`)
    #[command(hide = true)]
    Respond,
}

/// Arguments of `lab up`.
#[derive(Args, Debug)]
pub struct UpArgs {
    /// How pods hang on their node
    #[arg(long, value_enum, default_value_t = Topology::Bridge)]
    pub topology: Topology,
    /// Nodes to make if the manifests have none
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub nodes: u8,
}

/// `--topology`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Topology {
    /// On a bridge, as with Flannel
    Bridge,
    /// On a route each, as with Calico
    Routed,
}

/// Arguments of `lab apply`.
#[derive(Args, Debug)]
pub struct ApplyArgs {
    /// Take away what `lab apply` put before, and put nothing
    #[arg(long)]
    pub none: bool,
}

/// Arguments of `lab exec`.
#[derive(Args, Debug)]
pub struct ExecArgs {
    /// namespace/name of a pod, or node:NAME
    pub place: String,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Arguments of `lab probe`.
#[derive(Args, Debug)]
pub struct ProbeArgs {
    /// Over one family only
    #[arg(long, value_enum)]
    pub family: Option<FamilyName>,
    /// How long to wait for an answer, in milliseconds; TCP sends a lost first packet again after 1000
    #[arg(long, value_name = "MS", default_value_t = 1300, value_parser = clap::value_parser!(u16).range(50..))]
    pub patience: u16,
    /// Only the counts
    #[arg(long)]
    pub summary: bool,
}

/// `--family`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FamilyName {
    /// IPv4
    Ipv4,
    /// IPv6
    Ipv6,
}

/// Arguments of `lab traffic`.
#[derive(Args, Debug)]
pub struct TrafficArgs {
    /// Recorded flows (without: those of the sample cluster)
    #[arg(long, value_name = "FILE")]
    pub flows: Option<PathBuf>,
    /// How often to open them all
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub rounds: u32,
    /// Only the counts
    #[arg(long)]
    pub summary: bool,
}

/// Runs it.
#[cfg(not(target_os = "linux"))]
pub fn run(_: LabArgs, _: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    Err(Failure::usage("`lab` needs Linux: it is made of network namespaces", "run it in a Linux virtual machine"))
}

/// Runs it.
#[cfg(target_os = "linux")]
pub fn run(args: LabArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    linux::run(args, ctx)
}

#[cfg(target_os = "linux")]
pub(super) use linux::{current, failed, families, read, texts_of};

#[cfg(target_os = "linux")]
mod linux {
    use super::{
        Action, ApplyArgs, Ctx, ExecArgs, Exit, Failure, FamilyName, LabArgs, ProbeArgs, Topology, TrafficArgs, UpArgs,
    };
    use crate::recordings;
    use crate::source;
    use crate::view::lab::StatusView;
    use crate::view::probe::ProbeView;
    use std::collections::BTreeSet;
    use std::time::Duration;
    use watertight_engine::Engine;
    use watertight_flows::{Edge, End, Ledger, resolve};
    use watertight_ingest::Input;
    use watertight_lab::plan::{self, Plan};
    use watertight_lab::probe::{self, Call, Match};
    use watertight_lab::state::{State, manifests};
    use watertight_lab::{LabError, down, is_answering, respond, up};
    use watertight_model::{Endpoint, Family, PodId, World};

    pub(super) fn run(args: LabArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        match args.action {
            Action::Up(args) => make(&args, ctx),
            Action::Down => remove(ctx),
            Action::Status => status(ctx),
            Action::Apply(args) => apply(&args, ctx),
            Action::Exec(args) => exec(&args, ctx),
            Action::Probe(args) => probe_all(&args, ctx),
            Action::Traffic(args) => traffic(&args, ctx),
            Action::Respond => respond(&mut ctx.host.stdout).map(|()| Exit::Clean).map_err(|e| failed(&e)),
        }
    }

    pub(crate) fn failed(error: &LabError) -> Failure {
        let (exit, code) = match error {
            LabError::NotRoot | LabError::AlreadyUp | LabError::NotUp => (Exit::BadInput, "lab"),
            LabError::NoTool { .. } | LabError::Tool { .. } | LabError::Io { .. } => (Exit::Unreachable, "lab"),
            LabError::State { .. } | LabError::Responder { .. } => (Exit::Unreachable, "lab"),
        };
        Failure::new(exit, code, error.to_string(), error.help())
    }

    fn make(args: &UpArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        let (world, texts) = if ctx.global.files.is_empty() {
            let texts = watertight_demo::FILES.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
            read(ctx, texts)?
        } else {
            let world = source::load(ctx)?.world;
            let texts = texts_of(&world)?;
            (world, texts)
        };
        let topology = match args.topology {
            Topology::Bridge => plan::Topology::Bridge,
            Topology::Routed => plan::Topology::Routed,
        };
        let options = plan::Options { topology, nodes: usize::from(args.nodes) };
        let plan = Plan::of(&world, &options).map_err(|e| Failure::new(Exit::BadInput, "lab", e.to_string(), None))?;
        let started = ctx.timed("making the lab", || up(&plan, &texts)).map_err(|e| failed(&e))?;
        started.left_out.iter().for_each(|what| ctx.warn(what));
        ctx.note(&format!(
            "lab is up: {} nodes, {} pods, {} Services, {} listening sockets",
            started.nodes, started.pods, started.services, started.sockets
        ));
        Ok(Exit::Clean)
    }

    pub(crate) type Texts = Vec<(String, String)>;

    pub(crate) fn read(ctx: &mut Ctx<'_, '_>, texts: Texts) -> Result<(World, Texts), Failure> {
        let inputs: Vec<Input> =
            texts.iter().map(|(name, text)| Input::Text { name: name.clone(), text: text.clone() }).collect();
        let loaded = source::read(ctx, &inputs, &watertight_ingest::Options::default())?;
        Ok((loaded.world, texts))
    }

    /// The texts that a world was read from; one that was too large to keep is read again.
    pub(crate) fn texts_of(world: &World) -> Result<Texts, Failure> {
        let text = |s: &watertight_model::Source| match &s.text {
            Some(text) => Ok((s.name.to_string(), text.to_string())),
            None => std::fs::read_to_string(&*s.name)
                .map(|text| (s.name.to_string(), text))
                .map_err(|e| Failure::write(&format!("`{}`", s.name), &e)),
        };
        world.sources.iter().map(text).collect()
    }

    fn remove(ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        let removed = ctx.timed("removing the lab", down).map_err(|e| failed(&e))?;
        ctx.note(&format!("removed {} network namespaces", removed.namespaces));
        Ok(Exit::Clean)
    }

    /// The lab that is up, and its world as the policies in force have it.
    pub(crate) fn current(ctx: &mut Ctx<'_, '_>) -> Result<(State, World), Failure> {
        let state = State::read().map_err(|e| failed(&LabError::State { why: e.to_string() }))?;
        let state = state.ok_or_else(|| failed(&LabError::NotUp))?;
        let quiet = std::mem::replace(&mut ctx.global.quiet, true);
        let loaded = source::read(ctx, &[Input::Path(manifests())], &watertight_ingest::Options::default());
        ctx.global.quiet = quiet;
        let mut world = loaded?.world;
        state.plan.realise(&mut world);
        Ok((state, world))
    }

    fn status(ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        let (state, world) = current(ctx)?;
        ctx.emit(&StatusView::of(&state.plan, &world, is_answering()))?;
        Ok(if is_answering() { Exit::Clean } else { Exit::Findings })
    }

    /// The file that holds what `lab apply` put.
    const APPLIED: &str = "applied.yaml";

    fn apply(args: &ApplyArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        let file = manifests().join(APPLIED);
        let (_, before) = current(ctx)?;
        if args.none != ctx.global.files.is_empty() {
            return Err(Failure::usage("want policies with -f, or --none", "`watertight lab apply -f policies/`"));
        }
        let text: String = if args.none {
            String::new()
        } else {
            let given = source::load(ctx)?.world;
            texts_of(&given)?.into_iter().map(|(_, text)| format!("{}\n...\n", text.trim_end())).collect()
        };
        // Read as a whole before it is put: what would not be understood, or meets a name that is there, is refused.
        let mut texts: Texts = texts_of(&before)?;
        texts.retain(|(name, _)| !name.ends_with(APPLIED));
        texts.push((APPLIED.to_owned(), text.clone()));
        let (after, _) = read(ctx, texts)?;
        source::write_whole(&file, text.as_bytes())?;
        ctx.note(&format!("{} policies are in force", after.policies.len() + after.cluster_policies.len()));
        Ok(Exit::Clean)
    }

    fn exec(args: &ExecArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        let (state, _) = current(ctx)?;
        let netns = match args.place.strip_prefix("node:") {
            Some(name) => state.plan.nodes.iter().find(|n| n.name == name).map(|n| n.netns.clone()),
            None => args.place.split_once('/').and_then(|(ns, n)| state.plan.pod(ns, n)).map(|p| p.netns.clone()),
        };
        let Some(netns) = netns else {
            return Err(Failure::new(
                Exit::BadInput,
                "unknown-name",
                format!("no pod or node `{}` in the lab", args.place),
                Some("`watertight lab status` lists them".to_owned()),
            ));
        };
        // `ip netns exec` also gives the program the pod's resolver.
        let status = std::process::Command::new("ip").args(["netns", "exec", &netns]).args(&args.command).status();
        match status {
            Ok(status) if status.success() => Ok(Exit::Clean),
            Ok(_) => Ok(Exit::Findings),
            Err(error) => Err(Failure::new(Exit::Unreachable, "lab", format!("cannot run `ip`: {error}"), None)),
        }
    }

    /// `--family`; without it both.
    pub(crate) fn families(only: Option<FamilyName>) -> Vec<Family> {
        match only {
            None => vec![Family::V4, Family::V6],
            Some(FamilyName::Ipv4) => vec![Family::V4],
            Some(FamilyName::Ipv6) => vec![Family::V6],
        }
    }

    fn probe_all(args: &ProbeArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        let options = probe::Options {
            families: families(args.family),
            patience: Duration::from_millis(u64::from(args.patience)),
            ..probe::Options::default()
        };
        let (state, world) = current(ctx)?;
        compare(&state, &world, &options, args.summary, ctx)
    }

    fn compare(
        state: &State,
        world: &World,
        options: &probe::Options,
        summary: bool,
        ctx: &mut Ctx<'_, '_>,
    ) -> Result<Exit, Failure> {
        ctx.format(<ProbeView as crate::render::Report>::FORMATS)?;
        if !is_answering() {
            return Err(failed(&LabError::Responder { said: "it does not run".to_owned() }));
        }
        let engine = Engine::new(world);
        let probed = ctx.timed("probing", || probe::probe(&state.plan, &engine, options)).map_err(|e| failed(&e))?;
        let differ = probed.rows.iter().any(|r| r.matches() < Match::Either);
        ctx.emit(&ProbeView::of(&engine, &probed, summary))?;
        Ok(ctx.findings(differ.then_some(crate::args::FailOn::Error)))
    }

    fn traffic(args: &TrafficArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        let (state, world) = current(ctx)?;
        let mut ledger = Ledger::memory();
        match &args.flows {
            Some(file) => drop(recordings::add(&mut ledger, file, None, ctx)?),
            None => {
                let text = watertight_demo::FLOWS.as_bytes();
                let import = ledger.import(watertight_demo::FLOWS_NAME, text, None);
                import.map_err(|e| recordings::failure(&e))?;
            }
        }
        let options = probe::Options { calls: Some(calls(&world, &ledger)), ..probe::Options::default() };
        let mut exit = Exit::Clean;
        for _ in 0..args.rounds.max(1) {
            exit = exit.worst(compare(&state, &world, &options, args.summary, ctx)?);
        }
        Ok(exit)
    }

    /// Edges of a recording as connections between the lab's pods.
    fn calls(world: &World, ledger: &Ledger) -> Vec<Call> {
        let ends = |end: &End| -> BTreeSet<Endpoint> {
            match end {
                End::Workload(id) => (0..world.pods.len())
                    .map(PodId::at)
                    .filter(|p| world.pods[p.index()].workload == *id)
                    .map(Endpoint::Pod)
                    .collect(),
                End::Node(id) => BTreeSet::from([Endpoint::Node(*id)]),
                End::External { .. } => BTreeSet::new(),
            }
        };
        let call = |e: &Edge| Call { from: ends(&e.from), to: ends(&e.to), protocol: e.protocol.into(), port: e.port };
        let edges = resolve(world, ledger).edges;
        edges.iter().map(call).filter(|c| !c.from.is_empty() && !c.to.is_empty()).collect()
    }
}
