//! No command: one screen about the current context; without a cluster, what to do instead.

use super::audit::report;
use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::render::{Format, Report};
use crate::source;
use crate::view::audit::{AuditView, Detail};

/// Runs it.
pub fn run(ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    let format = ctx.format(AuditView::FORMATS)?;
    ctx.warnings_are_findings = true;
    let source = match source::load(ctx) {
        Ok(source) => source,
        Err(mut failure) => {
            if ctx.global.files.is_empty() {
                // Whatever the cluster's problem is, this works.
                let offer = "without a cluster: `watertight demo`, or `watertight audit -f DIR`";
                for diagnostic in &mut failure.diagnostics {
                    diagnostic.help = Some(match diagnostic.help.take() {
                        Some(help) if help.contains("watertight demo") => help,
                        Some(help) => format!("{help}\n{offer}"),
                        None => offer.to_owned(),
                    });
                }
            }
            return Err(failure);
        }
    };
    let exit = report(&source, Detail::Screen, None, None, None, ctx)?;
    if format == Format::Table {
        ctx.print("\nNext: watertight connections      watertight blast --rank      watertight flows import --help\n")?;
    }
    Ok(exit)
}
