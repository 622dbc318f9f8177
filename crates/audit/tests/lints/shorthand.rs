//! Worlds in a few words, as manifests.

use std::fmt::Write;

/// The manifests of a block; what it does not know is a complaint.
pub(crate) fn manifests(block: &str, place: &str, complaints: &mut Vec<String>) -> String {
    let mut out = String::new();
    for line in block.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match object(word, rest) {
            Some(yaml) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "---\n{yaml}");
            }
            None => complaints.push(format!("{place}: `{line}` is no shorthand")),
        }
    }
    out
}

fn object(word: &str, rest: &str) -> Option<String> {
    if word == "dns" {
        return Some(DNS.to_owned());
    }
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    match word {
        "namespace" => Some(format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{}}}}}\n",
            labels(rest)?
        )),
        "policy" => {
            let (ns, name) = name.split_once('/')?;
            Some(format!(
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {ns}}}\nspec: {rest}\n"
            ))
        }
        "cluster-policy" => Some(format!(
            "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: {name}}}\nspec: {rest}\n"
        )),
        "app" => workload(name, rest),
        "pod" => pod(name, rest),
        "service" => service(name, rest),
        "node" => {
            let (ip, more) = rest.split_once(' ').unwrap_or((rest, ""));
            Some(format!(
                "apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{{}}}}}\nstatus: {{addresses: [{{type: InternalIP, address: {ip}}}]}}\n",
                labels(more)?
            ))
        }
        _ => None,
    }
}

/// `a=b c=d` as the inside of a flow mapping.
fn labels(text: &str) -> Option<String> {
    let pairs: Option<Vec<String>> =
        text.split_whitespace().map(|p| p.split_once('=').map(|(k, v)| format!("{k}: \"{v}\""))).collect();
    Some(pairs?.join(", "))
}

/// `http=8080 9090/UDP` as container ports.
fn ports(text: &str) -> String {
    let port = |p: &str| {
        let (name, number) = p.split_once('=').map_or((None, p), |(n, rest)| (Some(n), rest));
        let (number, protocol) = number.split_once('/').unwrap_or((number, "TCP"));
        let name = name.map(|n| format!("name: {n}, ")).unwrap_or_default();
        format!("{{{name}containerPort: {number}, protocol: {protocol}}}")
    };
    text.split_whitespace().map(port).collect::<Vec<_>>().join(", ")
}

/// `shop/web role=client : http=8080`: a Deployment with the label `app`.
fn workload(name: &str, rest: &str) -> Option<String> {
    let (ns, name) = name.split_once('/')?;
    let (own, declared) = rest.split_once(':').unwrap_or((rest, ""));
    let more = labels(own)?;
    let app =
        if own.split_whitespace().any(|p| p.starts_with("app=")) { String::new() } else { format!("app: {name}") };
    let all = [app, more].into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(", ");
    Some(format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {ns}}}\nspec:\n  selector: {{matchLabels: {{{all}}}}}\n  template:\n    metadata: {{labels: {{{all}}}}}\n    spec: {{containers: [{{name: c, ports: [{}]}}]}}\n",
        ports(declared)
    ))
}

/// `shop/web-1 app=web ip=10.1.0.1 node=n1 : http=8080`: a running pod.
fn pod(name: &str, rest: &str) -> Option<String> {
    let (ns, name) = name.split_once('/')?;
    let (own, declared) = rest.split_once(" :").unwrap_or((rest, ""));
    let value = |key: &str| own.split_whitespace().find_map(|p| p.strip_prefix(key));
    let plain: Vec<&str> =
        own.split_whitespace().filter(|p| !["ip=", "node=", "host="].iter().any(|k| p.starts_with(k))).collect();
    let ips: Vec<String> =
        value("ip=").into_iter().flat_map(|l| l.split(',')).map(|ip| format!("{{ip: \"{ip}\"}}")).collect();
    let node = value("node=").map(|n| format!("nodeName: {n}, ")).unwrap_or_default();
    let host = value("host=").map(|h| format!("hostNetwork: {h}, ")).unwrap_or_default();
    Some(format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {ns}, labels: {{{}}}}}\nspec: {{{node}{host}containers: [{{name: c, ports: [{}]}}]}}\nstatus: {{phase: Running, podIPs: [{}]}}\n",
        labels(&plain.join(" "))?,
        ports(declared),
        ips.join(", ")
    ))
}

/// `shop/web app=web : http=80->8080`: a Service; without labels it selects `app: NAME`.
fn service(name: &str, rest: &str) -> Option<String> {
    let (ns, name) = name.split_once('/')?;
    let (own, declared) = rest.split_once(':')?;
    let selector = if own.trim().is_empty() { format!("app: {name}") } else { labels(own)? };
    let port = |p: &str| {
        let (label, number) = p.split_once('=').map_or((None, p), |(n, rest)| (Some(n), rest));
        let (number, protocol) = number.split_once('/').unwrap_or((number, "TCP"));
        let (number, target) = number.split_once("->").unwrap_or((number, number));
        let label = label.unwrap_or("p");
        format!(
            "{{name: {label}{}, port: {number}, targetPort: {target}, protocol: {protocol}}}",
            if label == "p" { number } else { "" }
        )
    };
    let list = declared.split_whitespace().map(port).collect::<Vec<_>>().join(", ");
    Some(format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {ns}}}\nspec: {{clusterIP: None, selector: {{{selector}}}, ports: [{list}]}}\n"
    ))
}

const DNS: &str = "apiVersion: v1
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
