//! Runs a credential plugin (`users[].user.exec`).
//!
//! Input: the kubeconfig's `exec` entry. Output: a token or a client certificate. `kube` runs plugins too, but waits for
//! them without bound and quotes what they print; here a plugin that hangs is stopped, and its output is never quoted.
//! Protocol: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>.

use crate::config::Asking;
use crate::error::AccessError;
use crate::words::{one_line, without_tokens};
use kube::config::{ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use std::io::{IsTerminal, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const MAX_OUTPUT: u64 = 1 << 20;
const POLL: Duration = Duration::from_millis(10);

/// What a plugin is good for. No `Debug`: it holds secrets.
pub(crate) enum Credential {
    Token(String),
    /// PEM texts.
    Certificate {
        certificate: String,
        key: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    kind: Option<String>,
    status: Option<AnswerStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerStatus {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Runs the plugin and waits at most `timeout`.
pub(crate) fn run(exec: &ExecConfig, timeout: Duration, asking: Asking) -> Result<Credential, AccessError> {
    let command = one_line(exec.command.as_deref().unwrap_or_default());
    let garbage = |why: &str| AccessError::PluginGarbage { command: command.clone(), why: why.into() };
    let interactive = match exec.interactive_mode {
        Some(ExecInteractiveMode::Never) => false,
        Some(ExecInteractiveMode::Always | ExecInteractiveMode::IfAvailable) | None => {
            asking == Asking::Allowed && std::io::stdin().is_terminal()
        }
    };
    let mut child = start(exec, interactive).map_err(|e| AccessError::PluginMissing {
        command: command.clone(),
        hint: exec.install_hint.as_deref().map(one_line),
        why: e.to_string(),
    })?;
    let end = Instant::now() + timeout;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let late = || AccessError::PluginTimeout { command: command.clone(), after: timeout };
    let Some(status) = wait(&mut child, end) else {
        // Both may fail only if it has just ended by itself.
        let _ = child.kill();
        let _ = child.wait();
        return Err(late());
    };
    if !status.success() {
        let said = stderr.recv_timeout(Duration::from_millis(200)).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).lines().rev().find(|l| !l.trim().is_empty()).map(without_tokens);
        return Err(AccessError::PluginFailed { command: command.clone(), status: status.to_string(), said });
    }
    // A grandchild may hold the pipe open: the bound holds for that as well.
    let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(50));
    let output = stdout.recv_timeout(left).map_err(|_| late())?;
    if output.len() as u64 > MAX_OUTPUT {
        return Err(garbage("more than 1 MiB"));
    }
    if output.iter().all(u8::is_ascii_whitespace) {
        return Err(garbage("it printed nothing"));
    }
    let answer: Answer = serde_json::from_slice(&output)
        .map_err(|e| garbage(&format!("not an ExecCredential in JSON (line {}, column {})", e.line(), e.column())))?;
    if answer.kind.as_deref() != Some("ExecCredential") {
        return Err(garbage("its `kind` is not ExecCredential"));
    }
    let status = answer.status.ok_or_else(|| garbage("it has no `status`"))?;
    match (status.token, status.client_certificate_data, status.client_key_data) {
        (_, Some(certificate), Some(key)) => Ok(Credential::Certificate { certificate, key }),
        (Some(token), _, _) if !token.trim().is_empty() => Ok(Credential::Token(token.trim().to_owned())),
        _ => Err(garbage("`status` has neither a token nor a client certificate with its key")),
    }
}

fn start(exec: &ExecConfig, interactive: bool) -> std::io::Result<Child> {
    let Some(program) = exec.command.as_deref().filter(|c| !c.is_empty()) else {
        return Err(std::io::Error::other("`exec.command` is not set"));
    };
    let info = serde_json::json!({
        "apiVersion": exec.api_version.as_deref().unwrap_or("client.authentication.k8s.io/v1"),
        "kind": "ExecCredential",
        "spec": { "interactive": interactive, "cluster": exec.cluster },
    });
    let mut command = Command::new(program);
    command.args(exec.args.iter().flatten());
    for pair in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (pair.get("name"), pair.get("value")) {
            command.env(name, value);
        }
    }
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    command.stdout(Stdio::piped());
    // Somebody who is to log in must see what the plugin says.
    let show = interactive && std::io::stderr().is_terminal();
    command.stderr(if show { Stdio::inherit() } else { Stdio::piped() });
    command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() });
    command.spawn()
}

/// Reads a pipe to its end on a thread of its own, keeps at most [`MAX_OUTPUT`] + 1 bytes, and drops the rest so that
/// the plugin is not blocked.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    if let Some(mut pipe) = pipe {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.by_ref().take(MAX_OUTPUT + 1).read_to_end(&mut bytes);
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
