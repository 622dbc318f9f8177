//! The same objects, from files and from a live cluster, give the same verdicts.
//!
//! The cluster is given the objects as they are, pods with their status included, while its controllers stand still, so that
//! it holds exactly what the files hold.

use crate::bed::{admin, bed, bed_with, root, watertight};
use crate::server::Server;
use serde_json::{Value, json};

const STATUS: &[&str] = &["Pod", "Node"];

/// Plural, and the path in front of it.
fn path(object: &Value) -> String {
    let api = object["apiVersion"].as_str().unwrap();
    let kind = object["kind"].as_str().unwrap().to_lowercase();
    let plural = match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if kind.ends_with('s') => format!("{kind}es"),
        None => format!("{kind}s"),
    };
    let root = if api.contains('/') { format!("/apis/{api}") } else { format!("/api/{api}") };
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
        None => format!("{root}/{plural}"),
    }
}

/// Every object of these files or folders, as `kubectl` reads them.
fn objects(paths: &[&str]) -> Vec<Value> {
    let mut args = vec!["kubectl", "create", "--dry-run=client", "--validate=ignore", "-o", "json"];
    for path in paths {
        args.extend(["-f", path]);
    }
    let out = bed_with(&args, "");
    let mut found = Vec::new();
    // Documents one after the other; lists among them.
    for value in serde_json::Deserializer::from_str(&out).into_iter::<Value>() {
        let value = value.unwrap();
        match value["items"].as_array() {
            Some(items) => found.extend(items.clone()),
            None => found.push(value),
        }
    }
    found
}

/// Puts objects into the cluster: namespaces first, and with the controllers that give each its account.
fn create(server: &Server, objects: &mut [Value]) {
    let metadata = |object: &mut Value| {
        for key in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"] {
            object["metadata"].as_object_mut().unwrap().remove(key);
        }
    };
    objects.iter_mut().for_each(metadata);
    let rank = |object: &Value| match object["kind"].as_str() {
        Some("Namespace") => 0,
        Some("Node") => 1,
        _ => 2,
    };
    objects.sort_by_key(rank);
    let mut stopped = false;
    for object in objects.iter() {
        if rank(object) > 1 && !stopped {
            accounts(objects.iter().filter(|o| rank(o) == 0));
            bed("stop kube-controller-manager");
            stopped = true;
        }
        let named = format!("{}/{}", path(object), object["metadata"]["name"].as_str().unwrap());
        // A cluster is born with some namespaces and with the Service of its API server.
        if server.send("GET", &named, "application/json", "").0 == 200 {
            let labels = json!({"metadata": {"labels": object["metadata"]["labels"]}});
            let (code, answer) = server.send("PATCH", &named, "application/merge-patch+json", &labels.to_string());
            assert_eq!(code, 200, "{answer}");
        } else {
            let (code, answer) = server.send("POST", &path(object), "application/json", &object.to_string());
            assert_eq!(code, 201, "{object}: {answer}");
        }
        if STATUS.contains(&object["kind"].as_str().unwrap()) && !object["status"].is_null() {
            let status = json!({"status": object["status"]});
            let to = format!("{named}/status");
            let (code, answer) = server.send("PATCH", &to, "application/merge-patch+json", &status.to_string());
            assert_eq!(code, 200, "{object}: {answer}");
        }
    }
}

/// Waits until each namespace has the account without which no pod may be created.
fn accounts<'o>(namespaces: impl Iterator<Item = &'o Value>) {
    for namespace in namespaces {
        let name = namespace["metadata"]["name"].as_str().unwrap();
        bed(&format!("kubectl -n {name} wait --for=create serviceaccount/default --timeout=60s"));
    }
}

/// Asks everything of both, and compares.
fn the_same(paths: &[&str]) {
    let mut files = String::new();
    for path in paths {
        files.push_str(&format!(" -f {path}"));
    }
    for question in ["connections -o json", "connections --pods -o json", "blast --rank -o json"] {
        let live = watertight(question, &admin());
        let offline = watertight(&format!("{question}{files}"), &admin());
        assert_eq!((live.code, offline.code), (0, 0), "{question}: {}\n{}", live.stderr, offline.stderr);
        let (live, offline) = (live.json(), offline.json());
        for (key, value) in offline.as_object().unwrap() {
            if key != "notEvaluated" {
                assert_eq!(&live[key], value, "{question}: {key}");
            }
        }
    }
}

fn compare(paths: &[&str]) {
    let folder = root();
    let absolute: Vec<String> = paths.iter().map(|p| folder.join(p).display().to_string()).collect();
    let absolute: Vec<&str> = absolute.iter().map(String::as_str).collect();
    let server = Server::start();
    create(&server, &mut objects(&absolute));
    the_same(&absolute);
}

#[test]
fn the_demo_cluster() {
    let folder = root().join("examples/demo");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml" || e == "json"))
        .map(|path| path.display().to_string())
        .collect();
    files.sort();
    compare(&files.iter().map(String::as_str).collect::<Vec<_>>());
}
