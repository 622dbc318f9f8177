//! The sample cluster as the reader sees it: whole, without a warning, and flat.
#![expect(clippy::panic, reason = "a helper of tests fails by panicking")]

use std::path::Path;
use watertight_ingest::{Input, Loaded, Options, read};

fn inputs() -> Vec<Input> {
    let text = |(name, text): &(&str, &str)| Input::Text { name: (*name).to_owned(), text: (*text).to_owned() };
    watertight_demo::FILES.iter().map(text).collect()
}

fn load(inputs: &[Input]) -> Loaded {
    read(inputs, &Options::default()).unwrap_or_else(|refused| panic!("{:#?}", refused.diagnostics))
}

#[test]
fn is_read_whole_and_without_a_warning() {
    let Loaded { world, diagnostics, .. } = load(&inputs());
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    assert_eq!(world.namespaces.len(), 23);
    assert!(world.namespaces.iter().all(|n| n.declared));
    assert_eq!(world.nodes.len(), 3);
    assert!(world.policies.is_empty() && world.cluster_policies.is_empty() && world.foreign_policies.is_empty());
    assert_eq!(world.workloads.len(), 67);
    assert_eq!(world.pods.iter().filter(|p| !p.template).count(), 108);
}

#[test]
fn every_pod_that_runs_has_its_workload_its_node_and_its_address() {
    let world = load(&inputs()).world;
    for pod in world.pods.iter().filter(|p| !p.template) {
        let workload = &world.workloads[pod.workload.index()];
        assert_ne!(workload.kind.name(), "Pod", "{} has no owner", pod.name);
        assert_ne!(workload.kind.name(), "ReplicaSet", "{}: its ReplicaSet has no owner", pod.name);
        assert_ne!(workload.kind.name(), "Job", "{}: its Job has no owner", pod.name);
        assert!(pod.node.is_some() && pod.ips.len() == 1, "{}", pod.name);
    }
    assert_eq!(world.pods.iter().filter(|p| p.finished).count(), 3);
}

#[test]
fn the_folder_gives_the_same_cluster_as_the_embedded_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo");
    let (read, embedded) = (load(&[Input::Path(folder)]).world, load(&inputs()).world);
    assert_eq!(read.pods.len(), embedded.pods.len());
    assert_eq!(read.workloads.len(), embedded.workloads.len());
    assert_eq!(read.services.len(), embedded.services.len());
}
