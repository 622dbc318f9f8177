//! Charts and overlays: a directory with a `Chart.yaml` or a `kustomization.yaml` is rendered by the tool that is installed.
//!
//! In: a directory that the user named. Out: the rendered manifests as inputs. The tool is found on PATH, gets its arguments one by
//! one (no shell), no standard input, and a bound on time and output. Nothing is fetched or enabled on its behalf: dependencies
//! of a chart must be there, and plugins of kustomize stay off.
//!
//! Places point into the rendered text, because that is what was judged. Helm names the template of each document (`# Source:`):
//! each template becomes an input `helm:CHART/templates/x.yaml`, with the lines that `helm template CHART --show-only
//! templates/x.yaml` prints. What kustomize builds is one input, `kustomize:DIR`.

use crate::exit::{Exit, Failure};
use crate::text::clean;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use watertight_ingest::Input;

/// How long a tool may take: charts render in seconds, a remote base of an overlay takes a clone.
const LONGEST: Duration = Duration::from_secs(60);
/// Bytes that a tool may print, as for any input.
const MOST: u64 = 128 << 20;
/// Bytes of its complaints that are kept.
const MOST_SAID: u64 = 1 << 16;
const POLL: Duration = Duration::from_millis(10);

/// What a directory must be rendered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It holds a `Chart.yaml`.
    Helm,
    /// It holds a kustomization.
    Kustomize,
}

impl Kind {
    /// `None` for a file, and for a directory of plain manifests.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let has = |name: &str| path.join(name).is_file();
        if has("Chart.yaml") {
            return Some(Kind::Helm);
        }
        ["kustomization.yaml", "kustomization.yml", "Kustomization"].into_iter().any(has).then_some(Kind::Kustomize)
    }

    /// Programs and their first arguments, best first.
    fn tools(self) -> &'static [(&'static str, &'static [&'static str])] {
        match self {
            Kind::Helm => &[("helm", &["template", "watertight"])],
            Kind::Kustomize => &[("kustomize", &["build"]), ("kubectl", &["kustomize"])],
        }
    }
}

/// Renders a directory.
///
/// # Errors
/// No tool is installed, or it takes too long (exit code 3); it fails, or prints too much or no text (2).
pub(crate) fn render(kind: Kind, path: &Path, namespace: Option<&str>) -> Result<Vec<Input>, Failure> {
    render_within(kind, path, namespace, LONGEST)
}

fn render_within(kind: Kind, path: &Path, namespace: Option<&str>, longest: Duration) -> Result<Vec<Input>, Failure> {
    let shown = clean(&path.to_string_lossy()).into_owned();
    for (program, first) in kind.tools() {
        let mut command = Command::new(program);
        command.args(*first).arg(no_option(path));
        if let (Kind::Helm, Some(namespace)) = (kind, namespace) {
            command.arg("--namespace").arg(namespace);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        match command.spawn() {
            Ok(child) => {
                let called = format!("{program} {}", first[0]);
                let text = output(child, &called, &shown, longest)?;
                return Ok(inputs(kind, path, text));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let message = format!("`{program}`, which `{shown}` must be rendered with, cannot be run: {error}");
                return Err(Failure::new(Exit::Unreachable, "renderer", message, None));
            }
        }
    }
    let (what, names, pipe) = match kind {
        Kind::Helm => ("a Helm chart", "`helm` is", "helm template"),
        Kind::Kustomize => ("a kustomization", "neither `kustomize` nor `kubectl` is", "kustomize build"),
    };
    let message = format!("`{shown}` is {what}, and {names} installed to render it");
    let help = format!("render it where the tool is, and pipe: `{pipe} {shown} | watertight … -f -`");
    Err(Failure::new(Exit::Unreachable, "renderer", message, Some(help)))
}

/// A path that no program takes for an option.
fn no_option(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) }
}

fn output(mut child: Child, called: &str, shown: &str, longest: Duration) -> Result<String, Failure> {
    let end = Instant::now() + longest;
    let stdout = drain(child.stdout.take(), MOST);
    let stderr = drain(child.stderr.take(), MOST_SAID);
    let late = || {
        let message = format!("`{called}` did not render `{shown}` within {} s", longest.as_secs());
        Failure::new(
            Exit::Unreachable,
            "renderer",
            message,
            Some("render it by yourself, and pipe it to `-f -`".into()),
        )
    };
    let Some(status) = wait(&mut child, end) else {
        // Both may fail only if it has just ended by itself.
        let _ = child.kill();
        let _ = child.wait();
        return Err(late());
    };
    if !status.success() {
        let said = stderr.recv_timeout(Duration::from_millis(200)).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        let help = (!said.is_empty()).then_some(format!("it says: {said}"));
        let message = format!("`{called}` cannot render `{shown}` ({status})");
        return Err(Failure::new(Exit::BadInput, "renderer", message, help));
    }
    // A grandchild may hold the pipe open: the bound holds for that as well.
    let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(50));
    let bytes = stdout.recv_timeout(left).map_err(|_| late())?;
    if bytes.len() as u64 > MOST {
        let message = format!("`{called}` of `{shown}` prints more than {} MiB", MOST >> 20);
        return Err(Failure::new(Exit::BadInput, "renderer", message, None));
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::new(Exit::BadInput, "utf-8", format!("what `{called}` of `{shown}` prints is not UTF-8 text"), None)
    })
}

/// Reads a pipe to its end on a thread of its own, keeps one byte more than `most`, and drops the rest so that the tool is not
/// blocked.
fn drain(pipe: Option<impl Read + Send + 'static>, most: u64) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    if let Some(mut pipe) = pipe {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // A pipe that breaks has ended; what came through is judged by the exit status.
            let _ = pipe.by_ref().take(most + 1).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
            let _ = send.send(bytes);
        });
    }
    receive
}

fn wait(child: &mut Child, end: Instant) -> Option<std::process::ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(POLL),
            Ok(None) | Err(_) => return None,
        }
    }
}

fn inputs(kind: Kind, path: &Path, text: String) -> Vec<Input> {
    let folder = path.to_string_lossy();
    let folder = folder.trim_end_matches('/');
    match kind {
        Kind::Kustomize => vec![Input::Text { name: format!("kustomize:{folder}"), text }],
        Kind::Helm => by_template(folder, text),
    }
}

/// The documents of each template together, in the order in which templates first come.
fn by_template(folder: &str, text: String) -> Vec<Input> {
    let mut parts: Vec<(String, String)> = Vec::new();
    let mut add = |document: &str| {
        if document.trim().is_empty() {
            return;
        }
        // `# Source: CHART/templates/x.yaml` on the line after the separator.
        let source = document.lines().take(2).find_map(|l| l.strip_prefix("# Source: "));
        let below = source.and_then(|s| s.split_once('/')).map_or_else(String::new, |(_, path)| format!("/{path}"));
        let name = format!("helm:{folder}{below}");
        match parts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, text)) => text.push_str(document),
            None => parts.push((name, document.to_owned())),
        }
    };
    let mut document = String::new();
    for line in text.split_inclusive('\n') {
        // Inside a block of text the line would be indented; Helm writes the separator by itself.
        if line.trim_end() == "---" {
            add(&std::mem::take(&mut document));
        }
        document.push_str(line);
    }
    add(&document);
    if parts.is_empty() {
        // Nothing was rendered: the reader says so, under the chart's name.
        parts.push((format!("helm:{folder}"), text));
    }
    parts.into_iter().map(|(name, text)| Input::Text { name, text }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_apart_by_their_template() {
        let text = "---\n# Source: web/templates/a.yaml\nkind: A\n---\n# Source: web/charts/db/templates/b.yaml\nkind: B\n---\n\
            # Source: web/templates/a.yaml\nkind: C\ntext: |\n  ---\n  # Source: x\n";
        let parts: Vec<(String, String)> = by_template("deploy/web", text.to_owned())
            .into_iter()
            .filter_map(|i| if let Input::Text { name, text } = i { Some((name, text)) } else { None })
            .collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].0, "helm:deploy/web/templates/a.yaml");
        assert!(
            parts[0].1.starts_with("---\n# Source: web/templates/a.yaml\nkind: A\n---\n# Source"),
            "{}",
            parts[0].1
        );
        assert_eq!(parts[1].0, "helm:deploy/web/charts/db/templates/b.yaml");
        assert_eq!(by_template("x", String::new()).len(), 1);
    }

    #[test]
    fn a_path_is_never_an_option() {
        assert_eq!(no_option(Path::new("--post-renderer=x")), Path::new("./--post-renderer=x"));
        assert_eq!(no_option(Path::new("/a")), Path::new("/a"));
    }

    #[cfg(unix)]
    #[test]
    fn a_tool_that_hangs_is_stopped() {
        let child = |script: &str| {
            let mut sh = Command::new("sh");
            sh.arg("-c").arg(script).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            sh.spawn().unwrap()
        };
        let begun = Instant::now();
        let late = output(child("exec sleep 30"), "helm template", "x", Duration::from_millis(200)).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(late.exit, Exit::Unreachable);
        let failed = output(child("echo no such value >&2; exit 1"), "helm template", "x", LONGEST).unwrap_err();
        assert_eq!(failed.exit, Exit::BadInput);
        assert_eq!(failed.diagnostics[0].help.as_deref(), Some("it says: no such value"));
        assert_eq!(output(child("echo a: b"), "helm template", "x", LONGEST).unwrap(), "a: b\n");
    }
}
