//! `agent`: enforces the policies of a cluster on its nodes, and says what it does.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `agent`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Needs Linux 6.6 or newer and root. What is in force stays in force when the agent stops, by itself or not;\n\
    `agent uninstall` takes it away."
)]
pub struct AgentArgs {
    /// Ask or end instead of running
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Where the cluster is
    #[arg(long, value_enum)]
    pub source: Option<Source>,
    /// Guard the pods of this node only
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub node: Option<String>,
    /// Enforce only policies that ask for it (annotation watertight.dev/mode: enforce); watch the others
    #[arg(long)]
    pub shadow: bool,
    /// End as soon as the policies of now are in force
    #[arg(long)]
    pub once: bool,
    /// Serve Prometheus metrics (/metrics) and health (/healthz, /readyz) here, by plain HTTP
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics: Option<std::net::SocketAddr>,
    /// One line an event on standard error, with its time
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log: Option<LogAs>,
}

/// `--source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// The lab that is up on this host
    Lab,
    /// A cluster; this host is the node that --node names
    Kubernetes,
}

/// `--log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogAs {
    /// Time, level, node, event, fields
    Text,
    /// The same as JSON objects
    Json,
}

/// What to do instead of running.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// What is in force, and what is not as it should be
    Status(OfNode),
    /// Who talked to whom
    Flows(OfNode),
    /// What was dropped, and which rule decided
    Drops(OfNode),
    /// Remove every trace: the cluster is flat again
    Uninstall,
}

/// Which agent.
#[derive(Args, Debug)]
pub struct OfNode {
    /// The node; without it, all whose agents run on this host
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
}

/// Runs it.
#[cfg(not(target_os = "linux"))]
pub fn run(_: AgentArgs, _: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    Err(Failure::usage("`agent` needs Linux: it enforces with BPF programs", "run it on the nodes"))
}

/// Runs it.
#[cfg(target_os = "linux")]
pub fn run(args: AgentArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    linux::run(args, ctx)
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{Action, AgentArgs, Ctx, Exit, Failure, LogAs, Source};
    use crate::view::agent::{DropsView, FlowsView, StatusView};
    use watertight_agent::api::{Answer, Ask};
    use watertight_agent::{AgentError, From, Log, LogFormat, Settings, client, run as run_agent, uninstall};

    pub(super) fn run(args: AgentArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        match args.action {
            Some(Action::Status(of)) => status(&ask(of.node, Ask::Status)?, ctx),
            Some(Action::Flows(of)) => flows(ask(of.node, Ask::Flows)?, ctx),
            Some(Action::Drops(of)) => drops(ask(of.node, Ask::Drops)?, ctx),
            Some(Action::Uninstall) => {
                let nodes = uninstall().map_err(|e| failed(&e))?;
                ctx.note(&format!("removed from {nodes} nodes"));
                Ok(Exit::Clean)
            }
            None => {
                let from = match args.source {
                    Some(Source::Lab) => From::Lab,
                    Some(Source::Kubernetes) => From::Kubernetes(Box::new(crate::source::access(ctx))),
                    None => {
                        let what = "want --source, or one of status, flows, drops, uninstall";
                        return Err(Failure::usage(what, "`watertight agent --help`"));
                    }
                };
                let log = |format| Log::new(format, Box::new(std::io::stderr()));
                let log = match args.log {
                    Some(LogAs::Text) => log(LogFormat::Text),
                    Some(LogAs::Json) => log(LogFormat::Json),
                    None => Log::off(),
                };
                // One or the other: the log has it all.
                let quiet = ctx.global.quiet || args.log.is_some();
                let settings = Settings {
                    from,
                    node: args.node,
                    shadow: args.shadow,
                    once: args.once,
                    metrics: args.metrics,
                    log,
                };
                let stderr = &mut ctx.host.stderr;
                let mut say = |line: &str| {
                    if !quiet {
                        // Nobody reads it: no reason to stop guarding.
                        let _ = writeln!(stderr, "{}", crate::text::clean(line));
                    }
                };
                run_agent(&settings, &mut say).map(|()| Exit::Clean).map_err(|e| failed(&e))
            }
        }
    }

    fn failed(error: &AgentError) -> Failure {
        let exit = match error {
            AgentError::NotRoot
            | AgentError::NoLab
            | AgentError::NoNode { .. }
            | AgentError::WhichNode
            | AgentError::EveryAddress { .. } => Exit::BadInput,
            _ => Exit::Unreachable,
        };
        Failure::new(exit, "agent", error.to_string(), error.help())
    }

    /// The answers of one agent, or of all that run here.
    fn ask(node: Option<String>, question: Ask) -> Result<Vec<(String, Answer)>, Failure> {
        let nodes = match node {
            Some(node) => vec![node],
            None => client::nodes().map_err(|e| failed(&e))?,
        };
        let one = |node: String| client::ask(&node, &question).map(|a| (node, a)).map_err(|e| failed(&e));
        nodes.into_iter().map(one).collect()
    }

    fn wrong(node: &str, answer: &Answer) -> Failure {
        let why = match answer {
            Answer::Failed(why) => why.clone(),
            _ => "it answers another question".to_owned(),
        };
        Failure::new(Exit::Unreachable, "agent", format!("the agent of `{node}`: {why}"), None)
    }

    fn status(answers: &[(String, Answer)], ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        let of = |(node, answer): &(String, Answer)| match answer {
            Answer::Status(status) => Ok(status.clone()),
            other => Err(wrong(node, other)),
        };
        let all = answers.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let healthy = all.iter().all(|s| s.enforcing);
        ctx.emit(&StatusView::of(all))?;
        Ok(if healthy { Exit::Clean } else { Exit::Findings })
    }

    fn flows(answers: Vec<(String, Answer)>, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        let mut all = Vec::new();
        for (node, answer) in answers {
            match answer {
                Answer::Flows(flows) => all.extend(flows.into_iter().map(|f| (node.clone(), f))),
                other => return Err(wrong(&node, &other)),
            }
        }
        ctx.emit(&FlowsView::of(all)).map(|()| Exit::Clean)
    }

    fn drops(answers: Vec<(String, Answer)>, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        let of = |(node, answer): (String, Answer)| match answer {
            Answer::Drops(drops) => Ok(drops),
            other => Err(wrong(&node, &other)),
        };
        let all = answers.into_iter().map(of).collect::<Result<Vec<_>, _>>()?;
        ctx.emit(&DropsView::of(all)).map(|()| Exit::Clean)
    }
}
