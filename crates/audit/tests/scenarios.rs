//! What people meet when they segment a cluster: each situation gives its finding, and its near twin does not.
#![expect(clippy::panic, reason = "a helper of tests fails by panicking")]

use watertight_audit::{Audit, AuditOptions, Finding, Severity, audit};
use watertight_engine::Engine;
use watertight_ingest::{Input, Options, read};
use watertight_model::World;

fn world(text: &str) -> World {
    match read(&[Input::Text { name: "in.yaml".to_owned(), text: text.to_owned() }], &Options::default()) {
        Ok(loaded) => loaded.world,
        Err(refused) => {
            let lines: Vec<String> = refused.diagnostics.iter().map(|d| d.line(&refused.sources).to_string()).collect();
            panic!("{}", lines.join("\n"))
        }
    }
}

fn report(text: &str) -> Audit {
    let world = world(text);
    audit(&Engine::new(&world), &AuditOptions::default())
}

fn codes(text: &str) -> Vec<&'static str> {
    report(text).findings.iter().map(|f| f.rule).collect()
}

fn finding(text: &str, rule: &str) -> Finding {
    let report = report(text);
    let found = report.findings.iter().find(|f| f.rule == rule);
    found.cloned().unwrap_or_else(|| panic!("no {rule} in {:#?}", report.findings))
}

fn has(text: &str, rule: &str) -> bool {
    codes(text).contains(&rule)
}

fn namespace(name: &str, labels: &str) -> String {
    format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n")
}

fn app(ns: &str, name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {ns}}}\nspec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{{more}containers: [{{name: c, ports: [{{name: http, containerPort: 8080}}]}}]}}\n"
    )
}

fn policy(ns: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {ns}}}\nspec: {spec}\n"
    )
}

const DNS: &str = "---
apiVersion: v1
kind: Namespace
metadata: {name: kube-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec:
      containers:
      - {name: c, ports: [{name: dns, containerPort: 53, protocol: UDP}, {name: dns-tcp, containerPort: 53}]}
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: 10.96.0.10
  selector: {k8s-app: kube-dns}
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53}]
";

const DENY_ALL: &str = "{podSelector: {}, policyTypes: [Ingress, Egress]}";
const ALLOW_DNS: &str = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]}]}";

/// A flat cluster: grade F, nothing covered, a critical finding, and dev reaches prod.
#[test]
fn s1_a_flat_cluster() {
    let names: String =
        (0..21).map(|i| namespace(&format!("n{i:02}"), "") + &app(&format!("n{i:02}"), "web", "")).collect();
    let text = format!(
        "{names}{}{}{}{}",
        namespace("dev", "env: dev"),
        app("dev", "shell", ""),
        namespace("prod", "env: prod"),
        app("prod", "db", "")
    );
    let report = report(&text);
    assert_eq!((report.grade.letter, report.coverage.ingress.covered, report.coverage.egress.covered), ('F', 0, 0));
    assert_eq!(report.coverage.pairs.open, report.coverage.pairs.all);
    let flat = finding(&text, "WT0046");
    assert!(
        flat.severity == Severity::Error && flat.score >= 9.0 && flat.message.contains("every pod reaches every pod"),
        "{flat:?}"
    );
    let crossing = finding(&text, "WT0072");
    assert!(crossing.message.contains("dev/shell") && crossing.message.contains("prod/db"), "{crossing:?}");
    assert!(report.findings.len() <= 4, "a handful, not thousands: {:#?}", report.findings);
    // S19.
    assert_eq!(report.depth.level.name(), "none");
    // The twin: prod isolated for ingress.
    let closed = format!("{text}{}", policy("prod", "deny", "{podSelector: {}}"));
    assert!(!has(&closed, "WT0072"));
}

/// A default deny on payments and nothing else: names cannot be looked up. The printed fix parses, and works.
#[test]
fn s2_dns_forgotten() {
    let base =
        format!("{}{}{}{DNS}", namespace("payments", ""), app("payments", "api", ""), app("payments", "worker", ""));
    let text = format!("{base}{}", policy("payments", "default-deny", DENY_ALL));
    let forgotten = finding(&text, "WT0051");
    assert!(
        forgotten.message.contains("payments/api") && forgotten.object == "NetworkPolicy payments/default-deny",
        "{forgotten:?}"
    );
    let fixed = format!("{text}---\n{}", forgotten.fixes[0].yaml);
    assert!(!has(&fixed, "WT0051") && !has(&fixed, "WT0052"), "{:#?}", report(&fixed).findings);
    // No egress policy: no finding. DNS pods not in the input: assumed, and said.
    assert!(!has(&format!("{base}{}", policy("payments", "deny-in", "{podSelector: {}}")), "WT0051"));
    let alone = format!(
        "{}{}{}",
        namespace("payments", ""),
        app("payments", "api", ""),
        policy("payments", "default-deny", DENY_ALL)
    );
    assert!(finding(&alone, "WT0051").message.contains("assumed"));
    assert!(!has(&format!("{alone}{}", policy("payments", "dns", ALLOW_DNS)), "WT0051"));
}

/// Forms of the DNS rule that work, and forms that only look so.
#[test]
fn dns_rules_that_work_and_that_do_not() {
    let base = format!("{}{}{DNS}{}", namespace("shop", ""), app("shop", "web", ""), policy("shop", "deny", DENY_ALL));
    let with = |egress: &str| {
        format!("{base}{}", policy("shop", "dns", &format!("{{policyTypes: [Egress], egress: [{egress}]}}")))
    };
    let system = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}";
    for works in [
        format!("{{to: [{{{system}}}]}}"),
        format!("{{to: [{{{system}}}], ports: [{{protocol: UDP, port: dns}}, {{port: dns-tcp}}]}}"),
        "{to: [{namespaceSelector: {}}], ports: [{protocol: UDP, port: 53}, {port: 53}]}".to_owned(),
        "{ports: [{protocol: UDP, port: 53}, {port: 53}]}".to_owned(),
    ] {
        let found = codes(&with(&works));
        assert!(!found.contains(&"WT0051") && !found.contains(&"WT0052"), "{works}: {found:?}");
    }
    for fails in [
        "{ports: [{port: 53}]}".to_owned(),
        "{to: [{podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{protocol: UDP, port: 53}]}".to_owned(),
        "{to: [{namespaceSelector: {matchLabels: {name: kube-system}}}], ports: [{protocol: UDP, port: 53}]}"
            .to_owned(),
        "{to: [{ipBlock: {cidr: 8.8.8.8/32}}], ports: [{protocol: UDP, port: 53}]}".to_owned(),
    ] {
        assert!(has(&with(&fails), "WT0051"), "{fails}");
    }
    let udp = with(&format!("{{to: [{{{system}}}], ports: [{{protocol: UDP, port: 53}}]}}"));
    assert!(has(&udp, "WT0052") && !has(&udp, "WT0051"));
}

/// Two selectors as two entries: who gets in, and the AND form as the fix.
#[test]
fn s4_or_instead_of_and() {
    let base = format!(
        "{}{}{}{}{}{}",
        namespace("payments", ""),
        namespace("orders", "team: orders"),
        app("payments", "payments", ""),
        app("payments", "batch", ""),
        app("orders", "orders-service", ""),
        app("orders", "shell", "")
    );
    let rule = |from: &str| {
        format!(
            "{base}{}",
            policy(
                "payments",
                "in",
                &format!(
                    "{{podSelector: {{matchLabels: {{app: payments}}}}, ingress: [{{from: {from}, ports: [{{port: 8080}}]}}]}}"
                )
            )
        )
    };
    let or = rule(
        "[{namespaceSelector: {matchLabels: {team: orders}}}, {podSelector: {matchLabels: {app: orders-service}}}]",
    );
    let found = finding(&or, "WT0018");
    assert!(
        found.message.contains("orders/shell") && !found.message.contains("lets in orders/orders-service"),
        "{found:?}"
    );
    assert!(
        found.fixes[0].yaml.contains("- namespaceSelector:") && found.fixes[0].yaml.contains("\n    podSelector:"),
        "{}",
        found.fixes[0].yaml
    );
    let and =
        rule("[{namespaceSelector: {matchLabels: {team: orders}}, podSelector: {matchLabels: {app: orders-service}}}]");
    assert!(!has(&and, "WT0018"));
    // A true OR: the label does not occur in those namespaces.
    let meant =
        rule("[{namespaceSelector: {matchLabels: {team: orders}}}, {podSelector: {matchLabels: {app: batch}}}]");
    assert!(!has(&meant, "WT0018"));
}

#[test]
fn s6_own_namespace_only() {
    let base = format!(
        "{}{}{}{}",
        namespace("shop", ""),
        namespace("monitoring", ""),
        app("shop", "web", ""),
        app("monitoring", "prometheus", "")
    );
    let text = |peer: &str| {
        format!("{base}{}", policy("shop", "in", &format!("{{podSelector: {{}}, ingress: [{{from: [{peer}]}}]}}")))
    };
    let found = finding(&text("{podSelector: {matchLabels: {app: prometheus}}}"), "WT0019");
    assert!(
        found.message.contains("monitoring/prometheus")
            && found.help.as_deref().is_some_and(|h| h.contains("monitoring")),
        "{found:?}"
    );
    assert!(!has(&text("{podSelector: {matchLabels: {app: web}}}"), "WT0019"));
    assert!(!has(&text("{namespaceSelector: {}, podSelector: {matchLabels: {app: prometheus}}}"), "WT0019"));
}

/// Behind an ingress controller.
#[test]
fn s8_ingress_controller() {
    let ingress = "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web, namespace: shop}\nspec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}\n";
    let base = format!(
        "{}{}{}{}{ingress}",
        namespace("shop", ""),
        namespace("ingress", ""),
        app("shop", "web", ""),
        app("ingress", "nginx", "")
    );
    let text = |from: &str| {
        format!("{base}{}", policy("shop", "in", &format!("{{podSelector: {{}}, ingress: [{{from: [{from}]}}]}}")))
    };
    let found = finding(&text("{podSelector: {}}"), "WT0059");
    assert!(found.message.contains("ingress/nginx") && found.object == "Ingress shop/web", "{found:?}");
    assert!(!has(&text("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress}}}"), "WT0059"));
}

/// Egress to everywhere but metadata: the address is denied, the cluster is still in reach, IPv6 is not covered.
#[test]
fn s9_egress_except_metadata() {
    let base = format!("{}{}{}", namespace("shop", ""), app("shop", "web", ""), app("shop", "db", ""));
    let text = |block: &str| {
        format!(
            "{base}{}",
            policy(
                "shop",
                "out",
                &format!(
                    "{{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: [{{to: [{{ipBlock: {block}}}]}}]}}"
                )
            )
        )
    };
    let except = text("{cidr: 0.0.0.0/0, except: [169.254.169.254/32]}");
    let found = codes(&except);
    assert!(found.contains(&"WT0040") && found.contains(&"WT0044") && !found.contains(&"WT0064"), "{found:?}");
    assert!(finding(&except, "WT0040").message.contains("shop/db"));
    let open = finding(&text("{cidr: 0.0.0.0/0}"), "WT0064");
    assert!(open.severity == Severity::Error && open.message.contains("169.254.169.254"));
    let outside = codes(&text("{cidr: 203.0.113.0/24}"));
    assert!(
        !outside.contains(&"WT0040") && !outside.contains(&"WT0044") && !outside.contains(&"WT0064"),
        "{outside:?}"
    );
}

/// S10 and S22: hostNetwork beside a default deny; none where there is no such pod.
#[test]
fn s10_host_network() {
    let text = |more: &str| {
        format!(
            "{}{}{}{}",
            namespace("shop", ""),
            app("shop", "web", ""),
            app("shop", "exporter", more),
            policy("shop", "deny", DENY_ALL)
        )
    };
    let found = finding(&text("hostNetwork: true, "), "WT0091");
    assert!(found.message.contains("shop/exporter") && !found.message.contains("shop/web"), "{found:?}");
    assert!(!has(&text(""), "WT0091"));
    let without_policy = format!("{}{}", namespace("shop", ""), app("shop", "exporter", "hostNetwork: true, "));
    assert!(!has(&without_policy, "WT0091"));
    let baseline = format!(
        "{}{}{}",
        namespace("shop", "pod-security.kubernetes.io/enforce: baseline"),
        app("shop", "web", ""),
        policy("shop", "deny", DENY_ALL)
    );
    assert!(!has(&baseline, "WT0091"));
}

/// 20 namespaces, 5 with policies: coverage by namespace and direction, the 15 named.
#[test]
fn s11_partial_coverage() {
    let text: String = (0..20)
        .map(|i| {
            let ns = format!("n{i:02}");
            let closed = if i < 5 { policy(&ns, "deny", DENY_ALL) } else { String::new() };
            format!("{}{}{closed}", namespace(&ns, ""), app(&ns, "web", ""))
        })
        .collect();
    let report = report(&text);
    assert_eq!((report.coverage.ingress.covered, report.coverage.ingress.total), (5, 20));
    assert_eq!(report.depth.level.name(), "partial");
    assert!(report.depth.costs.contains("15 of 20 namespaces"), "{:?}", report.depth);
    assert_eq!(report.findings.iter().filter(|f| f.rule == "WT0046").count(), 15);
    assert_eq!(report.coverage.pairs.open, 15 * 14);
}

/// Policies are valid and nothing enforces them.
#[test]
fn s12_flannel() {
    let flannel = "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: kube-flannel-ds, namespace: kube-flannel}\nspec:\n  selector: {matchLabels: {app: flannel}}\n  template: {metadata: {labels: {app: flannel}}, spec: {hostNetwork: true, containers: [{name: c, image: ghcr.io/flannel-io/flannel:v0.26.1}]}}\n";
    let base = format!("{}{}{}", namespace("shop", ""), app("shop", "web", ""), policy("shop", "deny", DENY_ALL));
    let found = finding(&format!("{base}{flannel}"), "WT0088");
    assert!(found.severity == Severity::Error && found.message.contains("Flannel"), "{found:?}");
    assert_eq!(report(&format!("{base}{flannel}")).grade.letter, 'F');
    assert!(!has(&base, "WT0088"));
    assert!(!has(&format!("{}{flannel}", app("shop", "web", "")), "WT0088"), "no policies, nothing to enforce");
}

/// A label that no namespace has: the near one, and the one that every namespace has.
#[test]
fn s13_namespace_label() {
    let base = format!(
        "{}{}{}{}",
        namespace("shop", ""),
        namespace("monitoring", "team: observability"),
        app("shop", "web", ""),
        app("monitoring", "p", "")
    );
    let text = |labels: &str| {
        format!(
            "{base}{}",
            policy(
                "shop",
                "in",
                &format!(
                    "{{podSelector: {{}}, ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{{labels}}}}}}}]}}]}}"
                )
            )
        )
    };
    let by_name = finding(&text("name: monitoring"), "WT0022");
    assert!(
        by_name.help.as_deref().is_some_and(|h| h.contains("kubernetes.io/metadata.name: monitoring")),
        "{by_name:?}"
    );
    let near = finding(&text("team: observabilty"), "WT0022");
    assert!(near.help.as_deref().is_some_and(|h| h.contains("team=observability")), "{near:?}");
    assert!(!has(&text("team: observability"), "WT0022"));
    assert!(!has(&text("kubernetes.io/metadata.name: monitoring"), "WT0022"));
}

/// A rule written for the Service's port.
#[test]
fn s18_service_port() {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n";
    let text = |port: u16| {
        format!(
            "{}{}{}{service}{}",
            namespace("shop", ""),
            app("shop", "web", ""),
            app("shop", "client", ""),
            policy(
                "shop",
                "in",
                &format!("{{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{ports: [{{port: {port}}}]}}]}}")
            )
        )
    };
    let found = finding(&text(80), "WT0033");
    assert!(found.message.contains("8080") && found.fixes[0].yaml.contains("port: 8080"), "{found:?}");
    assert!(!has(&text(8080), "WT0033"));
}

/// A cache on the node answers: the kube-dns rule alone is not enough to say that names work.
#[test]
fn s24_node_local_cache() {
    let cache = "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: node-local-dns, namespace: kube-system}\nspec:\n  selector: {matchLabels: {k8s-app: node-local-dns}}\n  template: {metadata: {labels: {k8s-app: node-local-dns}}, spec: {hostNetwork: true, containers: [{name: c}]}}\n";
    let base = format!(
        "{}{}{DNS}{}{}",
        namespace("shop", ""),
        app("shop", "web", ""),
        policy("shop", "deny", DENY_ALL),
        policy("shop", "dns", ALLOW_DNS)
    );
    let found = finding(&format!("{base}{cache}"), "WT0053");
    assert!(found.message.contains("169.254.20.10") && found.message.contains("depends"), "{found:?}");
    assert!(!has(&base, "WT0053"));
    let allowed = policy(
        "shop",
        "cache",
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 169.254.20.10/32}}], ports: [{protocol: UDP, port: 53}]}]}",
    );
    assert!(!has(&format!("{base}{cache}{allowed}"), "WT0053"));
}

/// Tomorrow's pods.
#[test]
fn default_deny_is_about_pods_that_do_not_exist() {
    let text = |spec: &str| {
        format!(
            "{}{}{}{}",
            namespace("shop", ""),
            app("shop", "web", ""),
            app("shop", "db", ""),
            policy("shop", "p", spec)
        )
    };
    let by_name = codes(&text("{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}"));
    assert!(by_name.contains(&"WT0047") && by_name.contains(&"WT0048"), "{by_name:?}");
    let ingress = codes(&text("{podSelector: {}, policyTypes: [Ingress]}"));
    assert!(!ingress.contains(&"WT0047") && ingress.contains(&"WT0048"), "{ingress:?}");
    let both = codes(&text(DENY_ALL));
    assert!(!both.contains(&"WT0047") && !both.contains(&"WT0048"), "{both:?}");
    for lint in ["WT0047", "WT0048"] {
        let before = text("{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}");
        let fixed = format!("{before}---\n{}", finding(&before, lint).fixes[0].yaml);
        assert!(!has(&fixed, lint), "{lint}");
    }
}

#[test]
fn a_policy_for_nobody_and_kinds_that_are_not_evaluated() {
    let base = format!("{}{}", namespace("shop", ""), app("shop", "frontend", ""));
    let typo = format!("{base}{}", policy("shop", "p", "{podSelector: {matchLabels: {app: frontned}}}"));
    assert_eq!(finding(&typo, "WT0020").help.as_deref(), Some("did you mean `app=frontend`?"));
    assert!(!has(&format!("{base}{}", policy("shop", "p", "{podSelector: {matchLabels: {app: frontend}}}")), "WT0020"));
    let foreign = format!(
        "{base}---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: c, namespace: shop}}\n"
    );
    assert!(finding(&foreign, "WT0010").message.contains("shop"));
    assert_eq!(report(&foreign).coverage.ingress.unclear, 1);
    assert!(!report(&foreign).certainty.whole);
}

/// The grade never rises with an allow, and says nothing of what it does not know.
#[test]
fn an_allow_never_raises_the_grade() {
    let base = format!(
        "{}{}{}{}{}",
        namespace("a", ""),
        namespace("b", ""),
        app("a", "web", ""),
        app("a", "api", ""),
        app("b", "db", "")
    );
    let deny = format!("{base}{}{}", policy("a", "deny", DENY_ALL), policy("b", "deny", DENY_ALL));
    let mut last = report(&deny).grade.score;
    assert!(last > 95.0, "{last}");
    let mut text = deny;
    for (i, spec) in [
        "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]}",
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}",
        "{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}",
        "{podSelector: {}, policyTypes: [Egress], egress: [{}]}",
    ]
    .iter()
    .enumerate()
    {
        text.push_str(&policy("a", &format!("allow{i}"), spec));
        let score = report(&text).grade.score;
        assert!(score <= last, "{spec}: {score} after {last}");
        last = score;
    }
    assert!(report(&base).grade.letter == 'F' && report(&base).grade.score < 1.0);
}

#[test]
fn the_catalogue_is_sorted_and_whole() {
    let table = watertight_audit::catalogue();
    assert!(table.windows(2).all(|w| w[0].code < w[1].code));
    for lint in table {
        assert!(lint.code.len() == 6 && lint.code.starts_with("WT"));
        let silent = ["WT0010", "WT0103"].contains(&lint.code) || !lint.is_implemented();
        assert!(lint.page.contains("Example") || silent, "{}", lint.code);
        assert!(watertight_audit::page(lint.code).is_some_and(|p| p.contains(lint.summary)));
    }
    assert!(watertight_audit::page("WT9999").is_none());
}

/// An attacker's path with one step too wide: the hops with their rules; without the wide step there is none.
#[test]
fn s23_a_path_to_what_matters_most() {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n";
    let db = app("data", "db", "").replace(
        "name: db, namespace: data}",
        "name: db, namespace: data, annotations: {watertight.dev/protect: \"true\"}}",
    );
    let from = |ns: &str, app: &str| {
        format!(
            "{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {ns}}}}}, podSelector: {{matchLabels: {{app: {app}}}}}}}"
        )
    };
    let base = format!(
        "{}{}{}{}{db}{service}{}{}",
        namespace("shop", ""),
        namespace("data", ""),
        app("shop", "web", ""),
        app("shop", "api", ""),
        policy("shop", "web-in", "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 8080}]}]}"),
        policy(
            "data",
            "db-in",
            &format!("{{podSelector: {{}}, ingress: [{{from: [{}], ports: [{{port: 8080}}]}}]}}", from("shop", "api"))
        ),
    );
    let wide = policy(
        "shop",
        "api-in",
        &format!("{{podSelector: {{matchLabels: {{app: api}}}}, ingress: [{{from: [{}]}}]}}", from("shop", "web")),
    );
    let text = format!("{base}{wide}");
    let found = finding(&text, "WT0073");
    assert!(
        found.severity == Severity::Error
            && found.score >= 9.0
            && found.message.contains("the Internet -> shop/web -> shop/api -> data/db (3 hops)"),
        "{found:?}"
    );
    let help = found.help.clone().unwrap_or_default();
    assert!(
        help.contains("shop/web to shop/api: all ports by shop/api-in rule 0")
            && help.contains("shop/api to data/db: TCP 8080 by data/db-in rule 0"),
        "{help}"
    );
    // Closing any step closes the path.
    let closed = policy("shop", "api-in", "{podSelector: {matchLabels: {app: api}}, ingress: []}");
    assert!(!has(&format!("{base}{closed}"), "WT0073"));
    // Not marked: nobody said that it matters.
    assert!(!has(&text.replace("watertight.dev/protect", "example.org/protect"), "WT0073"));
}
