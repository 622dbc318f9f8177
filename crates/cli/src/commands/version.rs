//! `version`: which version this is.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::page::Page;
use crate::render::Report;
use crate::view::Head;
use serde::Serialize;

#[derive(Serialize)]
struct VersionView {
    #[serde(flatten)]
    head: Head,
    version: &'static str,
}

impl Report for VersionView {
    fn page(&self) -> Page {
        let mut page = Page::default();
        page.line(format!("watertight {}", self.version));
        page
    }
}

/// Runs it.
pub fn run(ctx: &mut Ctx<'_, '_>) -> Result<Exit, Failure> {
    ctx.emit(&VersionView { head: Head::new("Version"), version: env!("CARGO_PKG_VERSION") })?;
    Ok(Exit::Clean)
}
