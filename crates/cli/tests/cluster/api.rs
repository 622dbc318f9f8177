//! Reading a live cluster: with all rights, with few, with none; and when the server is away or cannot be trusted.

use crate::bed::{account, admin, apply, bed, bed_with, root, watertight};
use serde_json::Value;

fn shop() {
    for file in ["workloads.yaml", "policies.yaml"] {
        apply(&std::fs::read_to_string(root().join("docs/examples/shop").join(file)).unwrap());
    }
}

#[test]
fn an_account_that_reads_all_gets_whole_answers() {
    shop();
    let folder = tempfile::tempdir().unwrap();
    let reader = account(folder.path(), "reader", &[]);
    let saved = folder.path().join("saved.json");
    for (command, code) in [
        ("audit -o json --strict", 1),
        ("connections -o json --strict", 0),
        ("blast shop/web -o json --strict", 0),
        ("explain shop/web shop/api --port 8080 -o json --strict", 0),
        // Without nodes there is no network plugin to be found: unknown, which is no failure.
        ("doctor -o json", 0),
    ] {
        let live = watertight(&format!("{command} --save {}", saved.display()), &reader);
        let live = if command.starts_with("doctor") { watertight(command, &reader) } else { live };
        assert_eq!(live.code, code, "{command}: {}\n{}", live.stderr, live.stdout);
        assert!(!live.stderr.contains("could not be read"), "{command}: {}", live.stderr);
        if command.starts_with("connections") {
            let offline = watertight(&format!("{command} -f {}", saved.display()), &reader);
            assert_eq!(live.json()["connections"], offline.json()["connections"]);
            assert!(!live.json()["connections"].as_array().unwrap().is_empty());
        }
    }
}

#[test]
fn the_reading_role_reads_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let reader = account(folder.path(), "reader", &[]);
    let may = |verb: &str, what: &str| {
        let mut command = std::process::Command::new(root().join("testbed/cluster"));
        command.args(["kubectl", "--kubeconfig", reader.to_str().unwrap(), "auth", "can-i", verb, "-A"]);
        command.args(what.split(' '));
        // It ends with 1 for "no".
        let answer = command.output().unwrap();
        String::from_utf8(answer.stdout).unwrap().trim() == "yes"
    };
    assert!(may("list", "pods") && may("watch", "networkpolicies.networking.k8s.io"));
    for what in ["secrets", "configmaps", "pods --subresource=log", "serviceaccounts"] {
        assert!(!may("get", what) && !may("list", what), "{what}");
    }
    for verb in ["create", "update", "patch", "delete"] {
        assert!(!may(verb, "pods") && !may(verb, "networkpolicies.networking.k8s.io"), "{verb}");
    }
}

#[test]
fn an_account_of_two_namespaces_gets_answers_that_say_so() {
    shop();
    let folder = tempfile::tempdir().unwrap();
    let few = account(folder.path(), "few", &["shop", "monitoring"]);
    for command in ["connections -n shop", "audit -n shop", "blast -n shop web"] {
        let run = watertight(&format!("{command} -o json --fail-on never"), &few);
        assert_eq!(run.code, 0, "{command}: {}", run.stderr);
        let answer = run.json();
        // An audit says so in a part of its own, beside how much else is uncertain.
        let unread = if command.starts_with("audit") { &answer["certainty"]["missing"] } else { &answer["unread"] };
        let named =
            |u: &Value| u["what"] == "pods" || u.as_str().is_some_and(|t| t.starts_with("pods could not be read"));
        assert!(unread.as_array().unwrap().iter().any(named), "{command}: {unread:?}");
        assert!(run.stderr.contains("`pods` could not be read"), "{command}: {}", run.stderr);
        let strict = watertight(&format!("{command} --strict --fail-on never"), &few);
        assert_eq!(strict.code, 4, "{command}: {}", strict.stderr);
    }
    let doctor = watertight("doctor -o json", &few);
    let checks = doctor.json()["checks"].as_array().cloned().unwrap();
    let rights = checks.iter().find(|c| c["group"] == "rights").unwrap();
    assert_eq!((rights["status"].as_str(), doctor.code), (Some("fail"), 1), "{rights}");
    assert!(rights["hint"].as_str().unwrap().contains("kind: ClusterRole"), "{rights}");
}

#[test]
fn a_token_without_rights_reads_nothing_and_an_invalid_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let none = account(folder.path(), "none", &["kube-public"]);
    bed("kubectl -n kube-public delete rolebinding none");
    let run = watertight("audit -o json --strict", &none);
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("`pods` could not be read"), "{}", run.stderr);

    let text = std::fs::read_to_string(&none).unwrap();
    let broken = folder.path().join("broken");
    std::fs::write(&broken, text.replace("token: \"", "token: \"x")).unwrap();
    let run = watertight("audit", &broken);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("credentials"), "{}", run.stderr);
}

#[test]
fn a_server_that_is_away_is_said_to_be_and_found_again() {
    bed("stop kube-apiserver");
    let away = watertight("audit -o json", &admin());
    let doctor = watertight("doctor -o json", &admin());
    bed("start kube-apiserver");
    assert_eq!(away.code, 3, "{}", away.stderr);
    assert!(away.stderr.contains("refused"), "{}", away.stderr);
    // Nothing stale is shown in its stead.
    assert!(away.json().get("findings").is_none(), "{}", away.stdout);
    let checks: Value = doctor.json();
    let api = checks["checks"].as_array().unwrap().iter().find(|c| c["group"] == "api").unwrap().clone();
    assert_eq!((api["status"].as_str(), doctor.code), (Some("fail"), 1), "{api}");

    let back = watertight("connections -o json --strict", &admin());
    assert_eq!(back.code, 0, "{}", back.stderr);
}

#[test]
fn certificates_that_have_run_out() {
    let folder = tempfile::tempdir().unwrap();
    let expired = folder.path().join("expired");
    std::fs::write(&expired, bed("expired-account")).unwrap();
    let client = watertight("audit", &expired);
    assert_eq!(client.code, 3, "{}", client.stderr);

    bed("stop kube-apiserver");
    bed("start kube-apiserver expired");
    let server = watertight("audit", &admin());
    bed("stop kube-apiserver");
    bed("start kube-apiserver");
    assert_eq!(server.code, 3, "{}", server.stderr);
    assert!(server.stderr.contains("expired"), "{}", server.stderr);
}

/// Its pods are still there, and so are its policies: what is ending is not gone.
#[test]
fn a_namespace_that_is_being_deleted() {
    apply(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: ending}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: held, namespace: ending, \
         labels: {app: held}, finalizers: [example.com/held]}\nspec: {containers: [{name: c, image: c}]}\n",
    );
    bed("kubectl delete namespace ending --wait=false");
    let run = watertight("connections --pods -o json --strict", &admin());
    bed_with(
        &[
            "kubectl",
            "-n",
            "ending",
            "patch",
            "pod",
            "held",
            "--type=merge",
            "-p",
            "{\"metadata\":{\"finalizers\":null}}",
        ],
        "",
    );
    bed("kubectl wait --for=delete namespace/ending --timeout=60s");
    assert_eq!(run.code, 0, "{}", run.stderr);
    let gone = watertight("blast ending/held -o json", &admin());
    assert_eq!(gone.code, 2, "{}", gone.stderr);
}
