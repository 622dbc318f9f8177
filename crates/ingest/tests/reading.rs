//! Strictness, kinds, owners, templates, defaults, and input that means harm.

mod common;

use common::{faults, load, policy};
use watertight_ingest::{Diagnostic, Input, Loaded, Options, Severity, read};
use watertight_model::policy::Presence;
use watertight_model::{Peers, PortMatch, Ports, Protocol, WorkloadKind};

fn refused(text: &str) -> Vec<Diagnostic> {
    match load(text, &Options::default()) {
        Ok(_) => Vec::new(),
        Err(refused) => refused.diagnostics,
    }
}

fn loaded(text: &str) -> Loaded {
    match load(text, &Options::default()) {
        Ok(loaded) => loaded,
        Err(refused) => {
            let lines: Vec<String> = refused.diagnostics.iter().map(|d| d.line(&refused.sources).to_string()).collect();
            unreachable!("{}", lines.join("\n"))
        }
    }
}

/// A misspelt field is never dropped: an emptied selector would select everything.
#[test]
fn unknown_fields_are_errors_with_a_hint() {
    for (spec, field, help) in [
        ("{podSelecter: {}}", "spec.podSelecter", "did you mean `podSelector`?"),
        ("{podselector: {}}", "spec.podselector", "did you mean `podSelector`?"),
        ("{ingress: [{form: []}]}", "spec.ingress[0].form", "did you mean `from`?"),
        ("{ingress: [{to: []}]}", "spec.ingress[0].to", "an entry of this list has `from`"),
        (
            "{ingress: [{from: [{podSelector: {}, ports: []}]}]}",
            "spec.ingress[0].from[0].ports",
            "it belongs one level up, beside `from` or `to`",
        ),
        (
            "{ingress: [{podSelector: {}}]}",
            "spec.ingress[0].podSelector",
            "it belongs into an entry of `from`: write `- ` before it",
        ),
        (
            "{podSelector: {app: web}}",
            "spec.podSelector.app",
            "a selector holds `matchLabels` or `matchExpressions`: put labels under `matchLabels`",
        ),
        ("{podSelector: {matchLabel: {}}}", "spec.podSelector.matchLabel", "did you mean `matchLabels`?"),
        ("{ingress: [{ports: [{targetPort: 80}]}]}", "spec.ingress[0].ports[0].targetPort", ""),
        ("{from: []}", "spec.from", "it belongs into an entry of `ingress`"),
    ] {
        let found = refused(&policy(spec));
        assert_eq!(found.len(), 1, "{spec}: {found:?}");
        assert_eq!((found[0].code, found[0].field.as_deref()), ("WT0001", Some(field)), "{spec}");
        assert_eq!(found[0].help.as_deref().unwrap_or(""), help, "{spec}");
        assert!(found[0].at.unwrap().line == 4, "{spec}");
    }
    let outside = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\npodSelector: {}\n";
    assert_eq!(refused(outside)[0].help.as_deref(), Some("it belongs under `spec`"));
}

/// Row 6: in every list.
#[test]
fn null_entries_are_errors() {
    for spec in [
        "{ingress: [null]}",
        "{ingress: [{from: [null]}]}",
        "{ingress: [{ports: [~]}]}",
        "{egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [null]}}]}]}",
        "{podSelector: {matchExpressions: [null]}}",
        "{policyTypes: [null]}",
    ] {
        let found = refused(&policy(spec));
        assert!(found.iter().any(|d| d.code == "WT0003"), "{spec}: {found:?}");
    }
}

#[test]
fn types_are_not_guessed() {
    for (spec, part) in [
        ("{podSelector: {matchLabels: {canary: true}}}", "cannot unmarshal bool"),
        ("{podSelector: {matchLabels: {version: 1.10}}}", "cannot unmarshal float"),
        ("{podSelector: {matchLabels: {n: 5}}}", "cannot unmarshal int"),
        ("{podSelector: {matchLabels: {on: yes}}}", "is a string in YAML 1.2 and something else to kubectl"),
        ("{ingress: [{ports: [{port: 80.5}]}]}", "cannot unmarshal float"),
        ("{ingress: [{ports: [{port: 0120}]}]}", "not the same number to every YAML reader"),
        ("{ingress: [{ports: [{port: 99999999999999999999}]}]}", "cannot unmarshal"),
        ("{ingress: {}}", "cannot unmarshal object into a field of type list"),
        ("[]", "cannot unmarshal array into a field of type object"),
    ] {
        let found = faults(&policy(spec));
        assert!(found.len() == 1 && found[0].contains(part), "{spec}: {found:?}");
    }
    assert!(faults(&policy("{podSelector: {matchLabels: {canary: \"true\", version: \"1.10\"}}}")).is_empty());
}

/// Rows 15 to 23 and what was written is remembered.
#[test]
fn defaults_and_presence() {
    let read = |spec: &str| loaded(&policy(spec)).world.policies[0].clone();
    for (spec, ingress, egress) in [
        ("{}", true, false),
        ("{ingress: []}", true, false),
        ("{egress: [{}]}", true, true),
        ("{egress: []}", true, false),
        ("{policyTypes: [], egress: [{}]}", true, true),
        ("{policyTypes: [Egress], ingress: [{}]}", false, true),
        ("{policyTypes: [Ingress, Ingress], egress: [{}]}", true, false),
    ] {
        let policy = read(spec);
        assert_eq!((policy.isolates_ingress, policy.isolates_egress), (ingress, egress), "{spec}");
    }
    let policy = read("{ingress: [{from: [], ports: []}, {}, {from: null}]}");
    let kinds: Vec<_> = policy.ingress.iter().map(|r| (r.peers.clone(), r.ports.clone())).collect();
    assert_eq!(kinds[0], (Peers::Any(Presence::Empty), Ports::Any(Presence::Empty)));
    assert_eq!(kinds[1], (Peers::Any(Presence::Absent), Ports::Any(Presence::Absent)));
    // `null` is written, with nothing in it; `ports` is not.
    assert_eq!(kinds[2], (Peers::Any(Presence::Empty), Ports::Any(Presence::Absent)));
    let bare = read("{egress: , policyTypes: }");
    assert_eq!((bare.written.egress, bare.written.policy_types), (Presence::Empty, Presence::Empty));
    assert!(bare.isolates_ingress && !bare.isolates_egress);
    assert_eq!(
        (policy.written.ingress, policy.written.egress, policy.written.pod_selector),
        (Presence::Filled, Presence::Absent, Presence::Absent)
    );
    let none = loaded("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n").world.policies[0]
        .clone();
    assert_eq!((none.isolates_ingress, none.isolates_egress, none.written.spec), (true, false, Presence::Absent));
    let Ports::Of(ports) =
        read("{ingress: [{ports: [{port: 80}, {protocol: UDP}, {port: http}]}]}").ingress[0].ports.clone()
    else {
        unreachable!()
    };
    assert!(
        ports[0].protocol_defaulted && ports[0].protocol == Protocol::Tcp && ports[0].port == PortMatch::Range(80, 80)
    );
    assert!(!ports[1].protocol_defaulted && ports[1].port == PortMatch::Any);
    assert_eq!(ports[2].port, PortMatch::Named("http".into()));
}

#[test]
fn places_are_those_of_the_text() {
    let text = "# comment é\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: db\n  namespace: shop\nspec:\n  podSelector:\n    matchLabels: {app: db}\n  ingress:\n  - from:\n    - podSelector: {matchLabels: {app: api}}\n    ports:\n    - port: 5432\n";
    let policy = &loaded(text).world.policies[0];
    let place = |o: watertight_model::Origin| (o.line, o.column, o.end_line);
    assert_eq!(place(policy.origin), (2, 1, 14));
    assert_eq!(place(policy.ingress[0].origin), (11, 5, 14));
    let Peers::Of(peers) = &policy.ingress[0].peers else { unreachable!() };
    assert_eq!(place(peers[0].origin), (12, 7, 12));
}

const SHOP: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers:
      - {name: setup, ports: [{name: init, containerPort: 1}]}
      - {name: proxy, restartPolicy: Always, ports: [{name: proxy, containerPort: 2}]}
      containers:
      - name: c
        image: web:1
        securityContext: {privileged: true}
        ports: [{name: http, containerPort: 8080}, {containerPort: 53, protocol: UDP, hostPort: 53}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {hostPID: true, containers: [{name: c}]}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: close, namespace: billing}
spec:
  schedule: '0 0 1 * *'
  jobTemplate: {spec: {template: {metadata: {labels: {app: close}}, spec: {containers: [{name: c}]}}}}
";

#[test]
fn templates_stand_in_for_pods() {
    let world = loaded(SHOP).world;
    let names: Vec<String> = (0..world.pods.len()).map(|i| world.pod_name(watertight_model::PodId::at(i))).collect();
    assert_eq!(names, ["billing/close", "shop/db-0", "shop/db-1", "shop/web"]);
    assert!(world.pods.iter().all(|p| p.template && p.node.is_none() && p.ips.is_empty()));
    assert_eq!(world.pods[1].labels.get("statefulset.kubernetes.io/pod-name").map(|v| &**v), Some("db-0"));
    let web = &world.pods[3];
    let kinds: Vec<_> = web.ports.iter().map(|p| (p.name.as_deref().unwrap_or(""), p.port, p.container)).collect();
    use watertight_model::ContainerKind::{Init, Regular, Sidecar};
    assert_eq!(kinds, [("http", 8080, Regular), ("", 53, Regular), ("init", 1, Init), ("proxy", 2, Sidecar)]);
    assert_eq!(web.ports[1].host_port, Some(53));
    assert_eq!(web.node_privilege, Some(watertight_model::pod::NodePrivilege::Privileged));
    assert_eq!(world.pods[1].node_privilege, Some(watertight_model::pod::NodePrivilege::HostPid));
    let close = &world.workloads[world.pods[0].workload.index()];
    assert_eq!((close.kind, close.schedule.as_deref()), (WorkloadKind::CronJob, Some("0 0 1 * *")));
    assert!(world.namespaces.iter().all(|n| !n.declared && n.labels.len() == 1));
}

/// A pod belongs to its Deployment through its ReplicaSet, read or not; live pods replace the template.
#[test]
fn pods_find_their_owners() {
    let pod = |name: &str, owner: &str, more: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: web, pod-template-hash: 5d4f}}, ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: {owner}, controller: true, uid: u}}]}}\nspec: {{nodeName: n1, containers: [{{name: c}}]}}\nstatus: {more}\n"
        )
    };
    let set = "---\napiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: web-5d4f, namespace: shop, ownerReferences: [{kind: Deployment, name: web, controller: true}]}\nspec: {replicas: 1, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}}}\n";
    let node = "---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {podCIDRs: [10.244.0.0/24]}\nstatus: {addresses: [{type: InternalIP, address: 192.168.0.1}, {type: Hostname, address: n1}]}\n";
    for with_set in ["", set] {
        let pods = format!(
            "{}{}",
            pod("web-5d4f-a", "web-5d4f", "{podIP: 10.244.0.5}"),
            pod("web-5d4f-b", "web-5d4f", "{phase: Failed}")
        );
        let world = loaded(&format!("{SHOP}{with_set}{node}{pods}")).world;
        let web = world.workloads_named(world.namespace("shop").unwrap(), "web");
        assert_eq!(web.len(), 1);
        let own: Vec<_> = world.pods.iter().filter(|p| p.workload == web[0]).collect();
        assert_eq!(own.len(), 2, "the template is gone");
        assert!(own[1].finished && !own[0].finished);
        assert_eq!((own[0].node, own[0].ips.len(), own[0].template), (world.node("n1"), 1, false));
        assert_eq!(world.pod_cidrs, ["10.244.0.0/24".parse().unwrap()]);
        assert_eq!(world.nodes[0].addresses.len(), 1);
    }
    // Only finished pods: the template still stands for the next one.
    let world = loaded(&format!("{SHOP}{}", pod("web-5d4f-b", "web-5d4f", "{phase: Succeeded}"))).world;
    assert_eq!(world.pods.iter().filter(|p| &*p.name == "web" && p.template).count(), 1);
}

#[test]
fn kinds_read_recognised_and_passed_over() {
    let text = "
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: c, namespace: shop}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: g}
---
apiVersion: crd.projectcalico.org/v1
kind: NetworkPolicy
metadata: {name: k, namespace: shop}
spec: {podSelector: {}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: m}
data: {x: y}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}
- apiVersion: v1
  kind: PodList
  items:
  - {metadata: {name: p, namespace: shop}, spec: {containers: []}}
---
apiVersion: watertight.dev/v1
kind: SnapshotInfo
metadata: {name: snapshot}
unread: [{what: pods, namespace: other, why: forbidden}]
";
    let Loaded { world, counts, .. } = loaded(text);
    let foreign: Vec<_> = world.foreign_policies.iter().map(|p| (&*p.kind, &*p.group, p.namespace.is_some())).collect();
    assert_eq!(
        foreign,
        [
            ("CiliumNetworkPolicy", "cilium.io", true),
            ("GlobalNetworkPolicy", "projectcalico.org", false),
            ("NetworkPolicy", "crd.projectcalico.org", true)
        ]
    );
    assert!(world.policies.is_empty() && world.pods.len() == 1);
    assert_eq!(counts.ignored.iter().map(|(k, n)| (&**k, *n)).collect::<Vec<_>>(), [("ConfigMap", 1)]);
    assert_eq!(world.unread.len(), 1);
    assert!(world.namespaces[0].declared && world.namespaces[0].labels.get("kubernetes.io/metadata.name").is_some());
}

#[test]
fn old_versions_and_things_that_are_no_objects() {
    let old = refused("apiVersion: extensions/v1beta1\nkind: NetworkPolicy\nmetadata: {name: p}\n");
    assert_eq!(old[0].object.as_deref(), Some("NetworkPolicy default/p"));
    assert_eq!((old[0].code, old[0].help.as_deref()), ("WT0009", Some("use `apiVersion: networking.k8s.io/v1`")));
    for text in ["just text", "a: b", "kind: NetworkPolicy", "apiVersion: v1", "5"] {
        assert_eq!(refused(text).first().map(|d| d.code), Some("not-an-object"), "{text}");
    }
    assert_eq!(refused("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")[0].code, "nothing-read");
    assert_eq!(refused("# nothing\n---\n")[0].code, "nothing-read");
}

#[test]
fn the_same_name_twice() {
    let p = |types: &str| policy(&format!("{{policyTypes: [{types}]}}"));
    let two = |a: &str, b: &str| {
        let text = |name: &str, text: &str| Input::Text { name: name.to_owned(), text: text.to_owned() };
        read(&[text("a.yaml", a), text("b.yaml", b)], &Options::default())
    };
    let Err(refused) = two(&p("Ingress"), &p("Egress")) else { unreachable!("accepted") };
    assert_eq!((refused.diagnostics[0].code, refused.diagnostics[0].notes.len()), ("WT0005", 1));
    let Ok(copies) = two(&p("Ingress"), &p("Ingress")) else { unreachable!("refused") };
    assert_eq!((copies.world.policies.len(), copies.diagnostics[0].severity), (1, Severity::Warning));
    // In one file the order is written down: the last one counts, as for kubectl.
    let one = loaded(&format!("{}---\n{}", p("Ingress"), p("Egress")));
    assert!(
        one.world.policies.len() == 1
            && one.world.policies[0].isolates_egress
            && !one.world.policies[0].isolates_ingress
    );
    assert_eq!(one.diagnostics[0].code, "WT0005");
}

/// The same objects in another order are the same cluster.
#[test]
fn order_does_not_matter() {
    let parts: Vec<&str> = SHOP.split("---\n").collect();
    let reversed = parts.iter().rev().copied().collect::<Vec<_>>().join("\n---\n");
    let plain = |text: &str| {
        let mut world = loaded(text).world;
        let nowhere = watertight_model::Origin::default();
        world.pods.iter_mut().for_each(|p| p.origin = nowhere);
        world.workloads.iter_mut().for_each(|w| w.origin = nowhere);
        format!("{:?} {:?} {:?}", world.pods, world.workloads, world.namespaces)
    };
    assert_eq!(plain(SHOP), plain(&reversed));
}

#[test]
fn every_fault_in_one_run() {
    let text = format!(
        "{}---\n{}---\na: [\n---\n{}",
        policy("{policyTypes: [x], ingress: [{ports: [{port: 0}]}]}"),
        policy("{podSelecter: {}}"),
        "kind: x"
    );
    let found = refused(&text);
    let codes: Vec<&str> = found.iter().map(|d| d.code).collect();
    assert!(codes.len() >= 5, "{found:?}");
    assert!(found.windows(2).all(|w| w[0].at <= w[1].at), "sorted by place");
}

#[test]
fn cluster_policies() {
    let cnp = common::cases::cluster_policy;
    let good = "{tier: Admin, priority: 10, subject: {namespaces: {}}, egress: [{name: r, action: Accept, to: [{networks: [10.0.0.0/8]}, {domainNames: [\"*.example.com\"]}], protocols: [{tcp: {destinationPort: {number: 443}}}, {udp: {destinationPort: {range: {start: 1, end: 9}}}}]}], ingress: [{action: Pass, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {a: b}}}}], protocols: [{destinationNamedPort: http}]}]}";
    assert!(faults(&cnp(good)).is_empty(), "{:?}", faults(&cnp(good)));
    for (spec, part) in [
        ("{tier: admin, priority: 1, subject: {namespaces: {}}}", "supported values: \"Admin\", \"Baseline\""),
        ("{tier: Admin, priority: 1001, subject: {namespaces: {}}}", "should be less than or equal to 1000"),
        ("{tier: Admin, priority: 1}", "spec.subject: Required value"),
        ("{tier: Admin, priority: 1, subject: {}}", "at least 1 properties"),
        ("{tier: Admin, priority: 1, subject: {namespaces: {}, pods: {}}}", "at most 1 properties"),
        (
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Allow, from: [{namespaces: {}}]}]}",
            "supported values: \"Accept\", \"Deny\", \"Pass\"",
        ),
        (
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny}]}",
            "spec.ingress[0].from: Required value",
        ),
        (
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: []}]}",
            "at least 1 items",
        ),
        (
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]}",
            "unknown field",
        ),
        (
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{networks: [x]}]}]}",
            "Invalid CIDR format provided",
        ),
        (
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: []}]}",
            "at least 1 items",
        ),
        (
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {}}]}]}",
            "at least 1 properties",
        ),
        (
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 5, end: 5}}}}]}]}",
            "Start port must be less than End port",
        ),
        (
            "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Accept, to: [{networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: x}]}]}",
            "there are no namedPorts for networks",
        ),
    ] {
        let found = faults(&cnp(spec));
        assert!(found.iter().any(|m| m.contains(part)), "{spec}: {found:?}");
    }
    let banp = "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: BaselineAdminNetworkPolicy\nmetadata: {name: other}\nspec: {subject: {namespaces: {}}}\n";
    assert!(faults(banp)[0].contains("metadata.name=\"default\""));
    let anp = "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: a}\nspec: {priority: 5, subject: {namespaces: {}}, ingress: [{action: Allow, from: [{namespaces: {}}], ports: [{portNumber: {port: 80}}, {portRange: {protocol: UDP, start: 5, end: 5}}, {namedPort: x}]}]}\n";
    assert!(faults(anp).is_empty(), "{:?}", faults(anp));
    let many = format!(
        "{{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, egress: [{}]}}",
        vec!["{action: Deny, to: [{namespaces: {}}]}"; 26].join(", ")
    );
    assert!(faults(&cnp(&many))[0].contains("must have at most 25 items"));
}

/// Sizes that mean harm: refused or read, in bounded time.
#[test]
fn hostile_sizes() {
    let start = std::time::Instant::now();
    let blocks: Vec<String> = (0..100_000u32)
        .map(|i| format!("{{ipBlock: {{cidr: {}.{}.{}.0/24}}}}", i >> 16 & 255, i >> 8 & 255, i & 255))
        .collect();
    assert!(faults(&policy(&format!("{{ingress: [{{from: [{}]}}]}}", blocks.join(",")))).is_empty());
    let holes: Vec<String> = (0..65_536u32).map(|i| format!("{}.{}.0.0/16", i >> 8, i & 255)).collect();
    assert!(
        faults(&policy(&format!(
            "{{ingress: [{{from: [{{ipBlock: {{cidr: 0.0.0.0/0, except: [{}]}}}}]}}]}}",
            holes.join(",")
        )))
        .is_empty()
    );
    let expressions: Vec<String> = (0..1_000).map(|i| format!("{{key: k{i}, operator: Exists}}")).collect();
    assert!(faults(&policy(&format!("{{podSelector: {{matchExpressions: [{}]}}}}", expressions.join(",")))).is_empty());
    let policies: String =
        (0..20_000).map(|i| policy("{}").replace("name: p,", &format!("name: p{i},")) + "---\n").collect();
    assert_eq!(loaded(&policies).world.policies.len(), 20_000);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

/// Names with control characters and characters that turn text around never reach a terminal as they are.
#[test]
fn hostile_names_are_escaped_in_messages() {
    let text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: \"a\\u001b[31m\\u202eb\", namespace: shop}\nspec: {\"x\\u0007\": 1}\n";
    for diagnostic in refused(text) {
        let all = format!("{} {:?} {:?}", diagnostic.message, diagnostic.object, diagnostic.help);
        assert!(
            !all.contains('\u{1b}')
                && !diagnostic.message.contains('\u{202e}')
                && !diagnostic.message.contains('\u{7}'),
            "{all}"
        );
    }
    assert!(refused(text).len() >= 2);
}
