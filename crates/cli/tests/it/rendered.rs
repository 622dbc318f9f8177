//! Charts and overlays through a made-up tool on PATH, without one, and through the real one where it is installed.

use std::path::Path;
use std::process::{Command, Output};

const CHART: &str = "apiVersion: v2\nname: web\nversion: 0.1.0\n";
const TEMPLATE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: {{ .Release.Namespace }}}\n---\n\
    apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: {{ .Release.Namespace }}, labels: {app: web}}\n\
    spec: {containers: [{name: c, image: c}]}\n";

/// Runs the program with only `path` on PATH.
fn audit(path: &str, folder: &Path, args: &[&str]) -> Output {
    let mut program = Command::new(snapbox::cmd::cargo_bin!("watertight"));
    program.env_clear().env("PATH", path).env("HOME", folder).current_dir(folder);
    program.args(["audit", "-q"]).args(args).output().unwrap()
}

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

/// A tool that writes down its arguments and prints what it is told to.
#[cfg(unix)]
fn fake(folder: &Path, name: &str, body: &str) {
    use std::os::unix::fs::PermissionsExt;
    let file = folder.join("bin").join(name);
    write(
        folder,
        &format!("bin/{name}"),
        &format!("#!/bin/sh\nfor a in \"$@\"; do echo \"$a\"; done >\"$HOME/args\"\n{body}\n"),
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(unix)]
#[test]
fn a_chart_is_rendered_and_places_name_the_template() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write(here, "-c; x/Chart.yaml", CHART);
    let rendered = TEMPLATE.replace("{{ .Release.Namespace }}", "shop");
    let parts: Vec<String> =
        rendered.split("---\n").map(|d| format!("---\n# Source: web/templates/pod.yaml\n{d}")).collect();
    fake(here, "helm", &format!("/bin/cat <<'E'\n{}E", parts.concat()));
    let bin = here.join("bin");
    let run = audit(bin.to_str().unwrap(), here, &["-f=-c; x", "-n", "shop", "-o", "csv"]);
    assert_eq!(run.status.code(), Some(1), "{}{}", text(&run.stdout), text(&run.stderr));
    assert!(text(&run.stdout).contains("helm:-c; x/templates/pod.yaml"), "{}", text(&run.stdout));
    let args = std::fs::read_to_string(here.join("args")).unwrap();
    assert_eq!(args, "template\nwatertight\n./-c; x\n--namespace\nshop\n");
}

#[cfg(unix)]
#[test]
fn an_overlay_is_built_by_kustomize_or_else_by_kubectl() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write(here, "overlay/kustomization.yaml", "resources: [a.yaml]\n");
    let rendered = TEMPLATE.replace("{{ .Release.Namespace }}", "shop");
    fake(here, "kubectl", &format!("/bin/cat <<'E'\n{rendered}E"));
    let bin = here.join("bin");
    let run = audit(bin.to_str().unwrap(), here, &["-f", "overlay", "-o", "csv"]);
    assert!(text(&run.stdout).contains("kustomize:overlay"), "{}{}", text(&run.stdout), text(&run.stderr));
    assert_eq!(std::fs::read_to_string(here.join("args")).unwrap(), "kustomize\n./overlay\n");
    fake(here, "kustomize", "echo 'no such base' >&2; exit 1");
    let run = audit(bin.to_str().unwrap(), here, &["-f", "overlay"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("it says: no such base"), "{}", text(&run.stderr));
}

#[test]
fn without_the_tool_there_is_no_answer_and_a_way_on() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write(here, "chart/Chart.yaml", CHART);
    write(here, "overlay/kustomization.yml", "resources: []\n");
    for (path, said) in
        [("chart", "`helm template chart | watertight"), ("overlay", "neither `kustomize` nor `kubectl` is installed")]
    {
        let run = audit("/nonexistent", here, &["-f", path]);
        assert_eq!(run.status.code(), Some(3), "{path}");
        assert!(text(&run.stderr).contains(said), "{}", text(&run.stderr));
    }
}

#[test]
fn a_template_that_was_not_rendered_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "pod.yaml", TEMPLATE);
    let run = audit("/nonexistent", folder.path(), &["-f", "pod.yaml"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(text(&run.stderr).contains("helm template"), "{}", text(&run.stderr));
}

#[test]
fn the_real_helm_agrees_where_it_is_installed() {
    let Ok(path) = std::env::var("PATH") else { return };
    if !Command::new("helm").arg("version").output().is_ok_and(|o| o.status.success()) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "chart/Chart.yaml", CHART);
    write(folder.path(), "chart/templates/pod.yaml", TEMPLATE);
    let run = audit(&path, folder.path(), &["-f", "chart", "-n", "shop", "-o", "csv"]);
    assert_eq!(run.status.code(), Some(1), "{}{}", text(&run.stdout), text(&run.stderr));
    assert!(text(&run.stdout).contains("helm:chart/templates/pod.yaml"), "{}", text(&run.stdout));
}
