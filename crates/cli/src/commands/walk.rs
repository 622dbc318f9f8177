//! `demo --live`: the whole way on a lab, with real packets. Each step is a command of this program, shown and run as it stands.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long an agent may take to begin.
const BEGIN: Duration = Duration::from_secs(20);

/// A lab with its agent and a folder; all go away with the value, whatever happens.
struct Stage {
    agent: Option<Child>,
    folder: PathBuf,
}

impl Stage {
    fn stop_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            // It may have ended by itself.
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop_agent();
        let _ = std::fs::remove_dir_all(&self.folder);
        for last in [["agent", "uninstall"], ["lab", "down"]] {
            // Nothing more can be done here; `lab down` finds what is left by its prefix.
            let _ = this_program(&last.map(str::to_owned)).and_then(|mut c| c.output().map_err(|e| cannot(&e)));
        }
    }
}

fn cannot(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Unreachable, "demo", format!("cannot run this program again: {error}"), None)
}

fn this_program(words: &[String]) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe().map_err(|e| cannot(&e))?);
    command.args(words).stdin(Stdio::null());
    Ok(command)
}

/// Runs the walk. Needs root ([`watertight_lab::is_root`]).
pub(super) fn run(ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    let folder = std::env::temp_dir().join(format!("watertight-demo-{}", std::process::id()));
    std::fs::create_dir(&folder).map_err(|e| Failure::write(&format!("`{}`", folder.display()), &e))?;
    let mut stage = Stage { agent: None, folder: folder.clone() };
    let policies = folder.join("policies").display().to_string();
    let cluster = folder.join("cluster").display().to_string();
    let flows = folder.join("flows.jsonl").display().to_string();
    let written = format!("demo --write {} --quiet", folder.display());
    step(ctx, "The sample cluster, as files and as network namespaces on this host", &[&written, "lab up"])?;
    let probe = "lab probe --family ipv4 --summary";
    step(ctx, "It is flat: every connection between any two pods is delivered", &[probe])?;
    let learn = format!("learn -f {cluster} --flows {flows} --out {policies} --quiet");
    quietly(ctx, "Policies that allow what was observed, and nothing else", &learn)?;
    start(ctx, &mut stage, "Shadow: the policies are judged by the kernel, and stop nothing", "--shadow")?;
    let apply = format!("lab apply -f {policies}");
    step(
        ctx,
        "They are put, and the recorded calls are made: whatever they would deny is still delivered, and is counted",
        &[&apply, "lab traffic --summary"],
    )?;
    stage.stop_agent();
    start(ctx, &mut stage, "Enforce: the same policies, now for every packet", "")?;
    step(ctx, "Every pod to every pod again: what happens is what the policies say", &[probe])?;
    stage.stop_agent();
    step(ctx, "The agent was just killed. What is in force is in the kernel, and stays", &[probe])?;
    step(ctx, "Taken away, without a trace: the cluster is flat again", &["agent uninstall", "lab down"])?;
    Ok(Exit::Clean)
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// Shows a title and runs commands, each with what it says.
fn step(ctx: &mut Ctx<'_, '_>, title: &str, lines: &[&str]) -> Result<(), Failure> {
    ctx.print(&format!("\n{title}\n"))?;
    for line in lines {
        let output = one(ctx, line)?;
        ctx.print(&String::from_utf8_lossy(&output.stdout))?;
        ctx.print(&String::from_utf8_lossy(&output.stderr))?;
    }
    Ok(())
}

/// As [`step`], for a command whose output is long and lands in files.
fn quietly(ctx: &mut Ctx<'_, '_>, title: &str, line: &str) -> Result<(), Failure> {
    ctx.print(&format!("\n{title}\n"))?;
    one(ctx, line).map(drop)
}

fn one(ctx: &mut Ctx<'_, '_>, line: &str) -> Result<Output, Failure> {
    ctx.print(&format!("$ watertight {line}\n"))?;
    let output = this_program(&words(line))?.output().map_err(|e| cannot(&e))?;
    // 1 is an answer (findings, mismatches); more is none.
    if output.status.code().is_some_and(|code| code <= 1) {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("it gave no reason").to_owned();
    Err(Failure::new(Exit::Unreachable, "demo", format!("`watertight {line}`: {said}"), None))
}

/// Starts an agent and waits until it says that it does what it should.
fn start(ctx: &mut Ctx<'_, '_>, stage: &mut Stage, title: &str, more: &str) -> Result<(), Failure> {
    let line = format!("agent --source lab {more}");
    ctx.print(&format!("\n{title}\n$ watertight {} &\n", line.trim_end()))?;
    let child = this_program(&words(&line))?.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    stage.agent = Some(child.map_err(|e| cannot(&e))?);
    let begun = Instant::now();
    let status = words("agent status");
    while this_program(&status)?.output().map_err(|e| cannot(&e))?.status.code() != Some(0) {
        if begun.elapsed() > BEGIN {
            let help = "`watertight agent --source lab` says why".to_owned();
            return Err(Failure::new(Exit::Unreachable, "demo", "the agent did not begin to enforce", Some(help)));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = one(ctx, "agent status")?;
    ctx.print(&String::from_utf8_lossy(&output.stdout))
}
