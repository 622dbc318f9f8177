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
                let live = placeless(live[key].clone());
                assert_eq!(live, placeless(value.clone()), "{question} of {paths:?}: {key}");
            }
        }
    }
    let audit = "audit -o json --fail-on never";
    let (live, offline) = (watertight(audit, &admin()), watertight(&format!("{audit}{files}"), &admin()));
    let (live, offline) = (live.json(), offline.json());
    for key in ["grade", "score"] {
        assert_eq!(live[key], offline[key], "audit of {paths:?}: {key}");
    }
    for key in ["ingress", "egress", "pairs"] {
        assert_eq!(live["coverage"][key], offline["coverage"][key], "audit of {paths:?}: {key}");
    }
    assert_eq!(findings(&live), findings(&offline), "audit of {paths:?}");
}

/// The same without the places of rules, which a cluster does not have.
fn placeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for key in ["file", "line", "column"] {
                fields.remove(key);
            }
            fields.values_mut().for_each(|field| *field = placeless(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = placeless(item.take())),
        _ => {}
    }
    value
}

/// Findings of which a file and a cluster need not have the same, and why. All else must be equal.
const DIFFER: [(&str, &str); 3] = [
    ("WT0005", "two objects of one name in a file: a cluster holds one"),
    ("WT0006", "objects without a namespace beside others: in a cluster each has one"),
    ("WT0017", "a list that is written as empty is meant to be: a cluster does not keep it, so nobody knows any more"),
];

/// Rule, object and words of each finding, without the places, which a cluster does not have.
fn findings(audit: &Value) -> Vec<(String, String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = audit["findings"].as_array().unwrap().iter();
    let mut out: Vec<_> = all
        .map(|f| (text(f, "rule"), text(f, "object"), text(f, "message")))
        .filter(|(rule, ..)| !DIFFER.iter().any(|(code, _)| code == rule))
        .collect();
    out.sort();
    out
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

/// Who the recipes speak of: pods with every label that they select, in namespaces with every label that they select.
fn cast() -> String {
    let mut out = String::new();
    for (namespace, labels) in [
        ("default", ""),
        ("kube-system", ""),
        ("prod", "purpose: production"),
        ("ops", "team: operations"),
        ("dev", ""),
    ] {
        let labels = format!("kubernetes.io/metadata.name: {namespace}, {labels}");
        out.push_str(&format!(
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{{labels}}}}}\n"
        ));
    }
    let pods = [
        ("default", "web", "app: web"),
        ("default", "bookstore-api", "app: bookstore, role: api"),
        ("default", "bookstore-search", "app: bookstore, role: search"),
        ("default", "bookstore-db", "app: bookstore, role: db"),
        ("default", "inventory", "app: inventory, role: web"),
        ("default", "apiserver", "app: apiserver"),
        ("default", "monitor", "role: monitoring"),
        ("default", "foo", "app: foo"),
        ("default", "other", "app: other"),
        ("kube-system", "dns", "k8s-app: kube-dns"),
        ("prod", "client", "app: client"),
        ("ops", "monitor", "type: monitoring"),
        ("ops", "other", "type: other"),
        ("dev", "web", "app: web"),
        ("dev", "monitor", "type: monitoring"),
    ];
    for (i, (namespace, name, labels)) in pods.iter().enumerate() {
        out.push_str(&format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}\n\
             spec: {{containers: [{{name: c, image: c, ports: [{{containerPort: 5000}}]}}]}}\n\
             status: {{phase: Running, podIP: 10.1.0.{ip}, podIPs: [{{ip: 10.1.0.{ip}}}]}}\n",
            ip = i + 1
        ));
    }
    out
}

/// Each of the published recipes beside the cast, and the published application without and with its policies.
#[test]
fn every_example_of_the_data() {
    let began = std::time::Instant::now();
    let data = root().join("../shared/data").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cast_file = folder.path().join("cast.yaml");
    std::fs::write(&cast_file, cast()).unwrap();
    let cast_file = cast_file.display().to_string();
    let server = Server::start();
    create(&server, &mut objects(&[&cast_file]));
    the_same(&[&cast_file]);
    let mut recipes: Vec<_> =
        std::fs::read_dir(data.join("netpol-recipes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    recipes.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    recipes.sort();
    assert_eq!(recipes.len(), 14, "new examples are to be compared too");
    for recipe in &recipes {
        let recipe = recipe.display().to_string();
        bed(&format!("kubectl apply -f {recipe}"));
        the_same(&[&cast_file, &recipe]);
        bed("kubectl -n default delete networkpolicy --all");
        println!("equal: {}", recipe.rsplit('/').next().unwrap());
    }
    for namespace in ["default", "kube-system", "prod", "ops", "dev"] {
        bed(&format!("kubectl -n {namespace} delete pods --all --force --grace-period=0"));
    }
    let boutique = |part: &str| data.join("online-boutique").join(part).display().to_string();
    bed(&format!("kubectl apply -f {}", boutique("app")));
    the_same(&[&boutique("app")]);
    println!("equal: online-boutique");
    bed(&format!("kubectl apply -f {}", boutique("policies")));
    the_same(&[&boutique("app"), &boutique("policies")]);
    println!("equal: online-boutique with its policies; all in {} s", began.elapsed().as_secs());
}
