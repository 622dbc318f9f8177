//! `verify`: real connections, beside what the policies say; and first of all whether anything enforces policies here.

use super::lab::FamilyName;
use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use clap::{Args, ValueEnum};

/// Arguments of `verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Needs Linux and root. The exit code is 0 only if policies were seen to be enforced and every connection that\n\
    was tried did what they say; 1 if not; 4 if that could not be decided."
)]
pub struct VerifyArgs {
    /// What to try
    #[arg(long, value_enum)]
    pub source: Source,
    /// Try at most N connections, chosen so that each pair of kinds of pods comes to its turn
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: Option<u32>,
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

/// `--source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// The lab that is up on this host
    Lab,
}

/// Runs it.
#[cfg(not(target_os = "linux"))]
pub fn run(_: VerifyArgs, _: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    Err(Failure::usage("`verify` needs Linux: it opens connections in network namespaces", "run it on a node"))
}

/// Runs it.
#[cfg(target_os = "linux")]
pub fn run(args: VerifyArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    match args.source {
        Source::Lab => lab::run(&args, ctx),
    }
}

#[cfg(target_os = "linux")]
mod lab {
    use super::{Ctx, Exit, Failure, VerifyArgs};
    use crate::commands::lab::{current, failed, families, read, texts_of};
    use crate::source::write_whole;
    use crate::view::verify::{CanaryView, Enforcement, VerifyView};
    use std::path::PathBuf;
    use std::time::Duration;
    use watertight_engine::Engine;
    use watertight_lab::canary::Canary;
    use watertight_lab::probe::{Match, Options, probe};
    use watertight_lab::state::{State, manifests};
    use watertight_lab::{LabError, is_answering};
    use watertight_model::{Family, Verdict, World};

    /// A policy of a lab that is not in force after this is not enforced: an agent looks fifty times a second.
    const IN_FORCE: Duration = Duration::from_secs(5);

    pub(super) fn run(args: &VerifyArgs, ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
        ctx.format(<VerifyView as crate::render::Report>::FORMATS)?;
        // What a verification left that was killed.
        drop(InForce(file()));
        let (state, world) = current(ctx)?;
        if !is_answering() {
            return Err(failed(&LabError::Responder { said: "it does not run".to_owned() }));
        }
        let engine = Engine::new(&world);
        let families = families(args.family);
        let enforcement = canary(&state, &world, &engine, &families, ctx)?;
        let options = Options {
            families,
            patience: Duration::from_millis(u64::from(args.patience)),
            sample: args.sample.map(|n| n as usize),
            ..Options::default()
        };
        let probed = ctx.timed("probing", || probe(&state.plan, &engine, &options)).map_err(|e| failed(&e))?;
        let differ = probed.rows.iter().any(|r| r.matches() < Match::Either);
        let (enforced, decided) = (enforcement.holds(), enforcement.decided());
        let whole = enforcement.whole() && probed.left_out + probed.without_sctp == 0;
        let nothing = probed.rows.is_empty();
        ctx.emit(&VerifyView::of_lab(&engine, enforcement, &probed, args.summary))?;
        let mut exit = if differ || (decided && !enforced) { Exit::Findings } else { Exit::Clean };
        // What could not be decided is no pass, with or without --strict.
        if !decided || nothing {
            exit = exit.worst(Exit::Incomplete);
        }
        Ok(exit.worst(ctx.unless_whole(whole)))
    }

    /// Where the canary's policy is while it is in force.
    fn file() -> PathBuf {
        manifests().join("canary.yaml")
    }

    /// The canary's policy is in force; not any more when this is dropped.
    struct InForce(PathBuf);

    impl Drop for InForce {
        fn drop(&mut self) {
            // It is not there where it was taken away already.
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn canary(
        state: &State,
        world: &World,
        engine: &Engine<'_>,
        families: &[Family],
        ctx: &mut Ctx<'_, '_>,
    ) -> Result<Enforcement, Failure> {
        let canary = Canary::new(&state.plan, engine, families).map_err(|e| failed(&e))?;
        let policy = canary.policy(engine);
        let mut views: Vec<CanaryView> = canary.pairs.iter().map(CanaryView::of).collect();
        let turned = turned(&canary, &policy, state, world, ctx)?;
        for (view, turned) in views.iter_mut().zip(&turned) {
            if !turned {
                view.undecided("another policy of the same priority decides first");
            }
        }
        let mut left: Vec<usize> = (0..turned.len()).filter(|i| turned[*i]).collect();
        let progress = ctx.progress("trying whether policies are enforced");
        // As the policies have it now.
        let mut reached = canary.until(&left, false, true, IN_FORCE).map_err(|e| failed(&e))?;
        left.retain(|i| {
            let as_it_should = reached.remove(i).is_some();
            match (as_it_should, canary.pairs[*i].before) {
                (false, Verdict::Allow) => views[*i].undecided("it failed before there was a policy against it"),
                (false, _) => views[*i].not_enforced("the policies deny it, and it succeeded"),
                (true, _) => {}
            }
            as_it_should
        });
        // The other way.
        write_whole(&file(), policy.as_bytes())?;
        let in_force = InForce(file());
        let mut reached = canary.until(&left, true, false, IN_FORCE).map_err(|e| failed(&e))?;
        left.retain(|i| match reached.remove(i) {
            Some(after) => {
                views[*i].after(after);
                true
            }
            None => {
                views[*i].not_enforced("a policy that was made for it changed nothing");
                false
            }
        });
        drop(in_force);
        // And back.
        let mut reached = canary.until(&left, false, false, IN_FORCE).map_err(|e| failed(&e))?;
        for i in left {
            match reached.remove(&i) {
                Some(after) => views[i].enforced(after),
                None => views[i].undecided("it stayed as the policy had it after the policy was gone"),
            }
        }
        drop(progress);
        Ok(Enforcement::of(views, canary.without.clone()))
    }

    /// Which pairs the canary's policy turns, in the engine's words.
    fn turned(
        canary: &Canary,
        policy: &str,
        state: &State,
        world: &World,
        ctx: &mut Ctx<'_, '_>,
    ) -> Result<Vec<bool>, Failure> {
        let mut texts = texts_of(world)?;
        texts.push(("canary.yaml".to_owned(), policy.to_owned()));
        let quiet = std::mem::replace(&mut ctx.global.quiet, true);
        let with = read(ctx, texts);
        ctx.global.quiet = quiet;
        let (mut with, _) = with?;
        state.plan.realise(&mut with);
        let engine = Engine::new(&with);
        let turned = canary.pairs.iter().map(|pair| {
            let after = engine.decide(&pair.flow).verdict;
            after != pair.before && after != Verdict::Depends
        });
        Ok(turned.collect())
    }
}
