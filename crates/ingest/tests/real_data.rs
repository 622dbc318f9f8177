//! Published manifests are read without an error.
#![expect(clippy::panic, reason = "a helper of tests fails by panicking")]

use std::path::PathBuf;
use watertight_ingest::{Input, Loaded, Options, read};

fn shared(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(path)
}

fn load(path: &str) -> Loaded {
    match read(&[Input::Path(shared(path))], &Options::default()) {
        Ok(loaded) => loaded,
        Err(refused) => {
            let lines: Vec<String> = refused.diagnostics.iter().map(|d| d.line(&refused.sources).to_string()).collect();
            panic!("{path}:\n{}", lines.join("\n"))
        }
    }
}

#[test]
fn online_boutique() {
    let app = load("online-boutique/app");
    assert_eq!(app.world.workloads.len(), 12);
    assert_eq!(app.world.services.len(), 12);
    assert!(app.world.pods.iter().all(|p| p.template && !p.ports.is_empty() || &*p.name == "loadgenerator"));
    let policies = load("online-boutique/policies");
    assert_eq!(policies.world.policies.len(), 13);
    // One namespace, written nowhere: nothing to warn about.
    assert!(policies.diagnostics.is_empty());
}

#[test]
fn recipes() {
    let mut count = 0;
    for entry in std::fs::read_dir(shared("netpol-recipes")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let loaded = load(path.to_str().unwrap());
            assert!(!loaded.world.policies.is_empty(), "{path:?}");
            assert!(loaded.world.policies.iter().all(|p| p.origin.line > 0));
            count += 1;
        }
    }
    assert_eq!(count, 14);
}

#[test]
fn the_demo_cluster() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo");
    match read(&[Input::Path(root.into())], &Options::default()) {
        Ok(loaded) => {
            assert_eq!(loaded.world.namespaces.len(), 23);
            assert!(loaded.world.namespaces.iter().all(|n| n.declared));
            assert!(loaded.world.pods.iter().filter(|p| !p.template).count() > 50);
        }
        Err(refused) => {
            let lines: Vec<String> = refused.diagnostics.iter().map(|d| d.line(&refused.sources).to_string()).collect();
            panic!("{}", lines.join("\n"))
        }
    }
}
