//! `watch` on a real API server that goes away, forgets, refuses; and what is said meanwhile.

use crate::bed::{account, admin, apply, bed, bed_with, program, root, watertight};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A watch, and the events it wrote.
struct Watch {
    child: Child,
    events: Receiver<Value>,
}

impl Watch {
    #[track_caller]
    fn start(args: &str, kubeconfig: &Path) -> Self {
        let args = format!("watch -o json --fail-on never {args}");
        let mut command = program(&args, kubeconfig);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let (send, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                let Ok(event) = serde_json::from_str(&line.unwrap()) else { break };
                if send.send(event).is_err() {
                    break;
                }
            }
        });
        let this = Self { child, events };
        this.until("the first look", 30, |e| e["event"] == "started");
        this
    }

    /// The first event that is as wanted, and what came before it.
    #[track_caller]
    fn until(&self, what: &str, seconds: u64, wanted: impl Fn(&Value) -> bool) -> (Value, Vec<Value>) {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut before = Vec::new();
        loop {
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) if wanted(&event) => return (event, before),
                Ok(event) => before.push(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{what} did not come; instead: {before:#?}")
                }
            }
        }
    }

    fn signal(&self, signal: &str) {
        let sent =
            std::process::Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it; gives the exit code and standard error.
    fn end(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A test that failed: it may still run, and be stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn shop() {
    apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
    apply(&std::fs::read_to_string(root().join("docs/examples/shop/workloads.yaml")).unwrap());
}

fn policy(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{podSelector: {{}}, policyTypes: [Ingress]}}\n"
    )
}

fn closes(event: &Value) -> bool {
    event["diff"]["summary"]["closes"].as_u64().unwrap_or(0) > 0
}

fn opens(event: &Value) -> bool {
    event["diff"]["summary"]["opens"].as_u64().unwrap_or(0) > 0
}

/// Nothing in it is old.
fn current(event: &Value) -> bool {
    event.get("lost").is_none() && event["stateAgeSeconds"].is_null()
}

#[test]
fn a_server_that_is_away_for_thirty_seconds_leaves_a_state_that_is_said_to_be_old() {
    shop();
    bed("kubectl -n shop delete networkpolicy --all");
    let watch = Watch::start("", &admin());
    apply(&policy("shop", "first"));
    let (event, _) = watch.until("a change", 10, closes);
    assert!(current(&event), "{event}");

    bed("stop kube-apiserver");
    let stopped = Instant::now();
    let (lost, before) = watch.until("the loss", 10, |e| e["event"] == "lost");
    assert!(before.is_empty(), "{before:#?}");
    assert!(lost["stateAgeSeconds"].as_u64().unwrap() >= 2, "{lost}");
    assert!(lost["lost"].as_array().unwrap().iter().any(|l| l["what"] == "pods"), "{lost}");
    assert!(lost["lost"][0]["why"].as_str().unwrap().contains("refused"), "{lost}");
    std::thread::sleep(Duration::from_secs(30).saturating_sub(stopped.elapsed()));
    bed("start kube-apiserver");
    let back = Instant::now();
    let (found, before) = watch.until("the server again", 30, |e| e["event"] == "restored");
    println!("followed again {:.1} s after the server was ready", back.elapsed().as_secs_f64());
    assert!(current(&found), "{found}");
    // In between nothing was shown as if it were new.
    assert!(before.iter().all(|e| !current(e)), "{before:#?}");
    bed("kubectl -n shop delete networkpolicy first");
    let (event, _) = watch.until("a change after it", 10, opens);
    assert!(current(&event), "{event}");
    let (code, said) = watch.end();
    assert_eq!(code, Some(0), "{said}");
}

/// The watcher stands still while objects change and the server forgets the versions in between (a new API server has an
/// empty cache, and answers 410).
#[test]
fn what_changed_while_the_place_was_forgotten_is_found_by_a_list() {
    shop();
    bed("kubectl -n shop delete networkpolicy --all");
    apply(&policy("shop", "gone"));
    let watch = Watch::start("", &admin());
    watch.signal("STOP");
    bed("kubectl -n shop delete networkpolicy gone");
    apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: later}\n");
    apply(&policy("later", "p"));
    bed("stop kube-apiserver");
    bed("start kube-apiserver");
    watch.signal("CONT");
    watch.until("the deletion", 30, opens);
    bed("kubectl delete namespace later --wait=false");
    let (code, said) = watch.end();
    assert_eq!(code, Some(0), "{said}");
}

/// Its pods are watched until they are gone, and so is its policy.
#[test]
fn a_namespace_that_ends_with_its_pods() {
    apply(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: leaving}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: held, namespace: leaving, \
         labels: {app: held}, finalizers: [example.com/held]}\nspec: {containers: [{name: c, image: c}]}\n",
    );
    let watch = Watch::start("", &admin());
    let named = |e: &Value, change: &str| {
        let workloads = e["diff"]["workloads"].as_array().cloned().unwrap_or_default();
        workloads.iter().any(|w| w["change"] == change && w.to_string().contains("leaving/held"))
    };
    bed("kubectl delete namespace leaving --wait=false");
    std::thread::sleep(Duration::from_secs(3));
    let patch = "{\"metadata\":{\"finalizers\":null}}";
    bed_with(&["kubectl", "-n", "leaving", "patch", "pod", "held", "--type=merge", "-p", patch], "");
    let (event, before) = watch.until("its end", 30, |e| named(e, "disappears"));
    assert!(before.iter().all(|e| e["event"] == "changed"), "{before:#?}");
    assert!(current(&event), "{event}");
    bed("kubectl wait --for=delete namespace/leaving --timeout=60s");
    assert_eq!(watch.end().0, Some(0));
}

#[test]
fn an_account_of_some_namespaces_watches_those_and_says_so() {
    shop();
    bed("kubectl -n shop delete networkpolicy --all");
    let folder = tempfile::tempdir().unwrap();
    let few = account(folder.path(), "few-watch", &["shop", "monitoring"]);
    let strict = watertight("watch -n shop -o json --strict --fail-on never --changes 0", &few);
    assert_eq!(strict.code, 4, "{}\n{}", strict.stderr, strict.stdout);
    let unread = strict.json()["unread"].as_array().cloned().unwrap();
    let pods = unread.iter().find(|u| u["what"] == "pods").unwrap();
    assert!(pods["why"].as_str().unwrap().ends_with("(read in shop only)"), "{pods}");
    assert!(strict.stderr.contains("`pods` could not be read"), "{}", strict.stderr);
    // The twin: an account that reads all is whole.
    let all = account(folder.path(), "all-watch", &[]);
    let whole = watertight("watch -n shop -o json --strict --fail-on never --changes 0", &all);
    assert_eq!((whole.code, whole.json().get("unread")), (0, None), "{}", whole.stderr);

    let watch = Watch::start("-n shop", &few);
    apply(&policy("shop", "few"));
    let (event, _) = watch.until("a change", 10, closes);
    assert!(current(&event) && !event["unread"].as_array().unwrap().is_empty(), "{event}");
    assert_eq!(watch.end().0, Some(0));
}

#[test]
fn credentials_that_end_are_said_to_and_new_ones_are_taken() {
    shop();
    bed("kubectl -n shop delete networkpolicy --all");
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = account(folder.path(), "leaver", &[]);
    let watch = Watch::start("", &kubeconfig);
    // Its token is no good any more; the server that lets it go on watching goes as well.
    bed("kubectl delete serviceaccount leaver");
    bed("stop kube-apiserver");
    bed("start kube-apiserver");
    let refused = |e: &Value| e["event"] == "lost" && e["lost"].to_string().contains("credentials");
    let reminded = watch.until("the refusal", 90, |e| refused(e) || e["event"] == "restored");
    assert!(refused(&reminded.0), "{reminded:#?}");
    let once = watertight("watch --changes 0", &kubeconfig);
    assert_eq!(once.code, 3, "{}", once.stderr);
    assert!(once.stderr.contains("refused the credentials (401)"), "{}", once.stderr);
    // The same file, with a token of the account that has the name now.
    account(folder.path(), "leaver", &[]);
    watch.until("the cluster again", 60, |e| e["event"] == "restored");
    apply(&policy("shop", "leaver"));
    let (event, _) = watch.until("a change", 10, closes);
    assert!(current(&event), "{event}");
    assert_eq!(watch.end().0, Some(0));
}

#[test]
fn what_cannot_be_watched_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let expired = folder.path().join("expired");
    std::fs::write(&expired, bed("expired-account")).unwrap();
    let run = watertight("watch --changes 0", &expired);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("credentials"), "{}", run.stderr);

    // Without any right there is an answer, and what is missing is all of it.
    let none = account(folder.path(), "none-watch", &["kube-public"]);
    bed("kubectl -n kube-public delete rolebinding none-watch");
    let run = watertight("watch --changes 0 --strict --fail-on never", &none);
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("`pods` could not be read: forbidden"), "{}", run.stderr);
}
