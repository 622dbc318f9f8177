//! `completion`: a script that completes commands and flags in a shell.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use clap::Args;
use clap_complete::Shell;

/// Arguments of `completion`.
#[derive(Args, Debug)]
#[command(after_help = "bash: source <(watertight completion bash)\n\
    zsh:  watertight completion zsh > \"${fpath[1]}/_watertight\"\n\
    fish: watertight completion fish > ~/.config/fish/completions/watertight.fish")]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Runs it.
pub fn run(args: CompletionArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let mut shape = ctx.shape.clone();
    clap_complete::generate(args.shell, &mut shape, "watertight", &mut script);
    ctx.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Clean)
}
