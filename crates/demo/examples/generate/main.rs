//! Writes the example data of the project: the sample cluster and its recorded flows (`examples/demo`), and flows for
//! Online Boutique (`examples/online-boutique`). Takes nothing but its own tables; the same source gives the same bytes.
//!
//! ```text
//! cargo run -p watertight-demo --example generate
//! ```

mod boutique;
mod calls;
mod cluster;
mod flows;
mod hubble;
mod intended;
mod manifests;
mod pods;
mod rng;
mod sample;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let root = examples();
    for (name, text) in files() {
        std::fs::write(root.join(name), text)?;
    }
    Ok(())
}

/// The folder `examples` of the project.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Every file that this program writes, by its path below `examples`.
fn files() -> Vec<(String, String)> {
    let workloads = sample::workloads();
    let pods = pods::pods(&workloads);
    let calls = calls::calls(&workloads);
    let mut out: Vec<_> =
        manifests::files(&workloads).into_iter().map(|(name, text)| (format!("demo/{name}"), text)).collect();
    out.push(("demo/pods.json".to_owned(), pods::json(&workloads, &pods)));
    out.push(("demo/flows.jsonl".to_owned(), flows::recording(&workloads, &pods, &calls)));
    out.push(("demo/intended.csv".to_owned(), intended::csv(&calls)));
    let (recording, table) = boutique::files();
    out.push(("online-boutique/flows.jsonl".to_owned(), recording));
    out.push(("online-boutique/intended.csv".to_owned(), table));
    out
}
