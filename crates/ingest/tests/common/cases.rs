//! What the API server refuses and what it accepts, case by case. `validation.rs` holds our reader against it,
//! `online.rs` a real API server.

use super::{KEY, NAME, VALUE};

const VALID_CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const ZEROS: &str = "must not have leading 0s in IP or prefix length";
const MAPPED: &str = "must not have an IPv4-mapped IPv6 address";
const HOST_BITS: &str = "must not have bits set beyond the prefix length";
const PORT: &str = "must be between 1 and 65535, inclusive";
const SUBSET: &str = "must be a strict subset of `cidr`";
const CHARS: &str = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
const LETTER: &str = "must contain at least one letter (a-z)";

/// `spec` in flow form, and what the server says; several messages in its order.
pub(crate) fn rejected() -> Vec<(String, Vec<String>)> {
    let mut out: Vec<(String, Vec<String>)> = Vec::new();
    let mut add = |spec: &str, messages: &[&str]| {
        out.push((spec.to_owned(), messages.iter().map(|m| (*m).to_owned()).collect()));
    };
    let port = |entry: &str| format!("{{podSelector: {{}}, ingress: [{{ports: [{entry}]}}]}}");
    let peer = |entry: &str| format!("{{podSelector: {{}}, ingress: [{{from: [{entry}]}}]}}");
    let block = |entry: &str| peer(&format!("{{ipBlock: {entry}}}"));
    // v3, v4: matchLabels.
    add(
        "{podSelector: {matchLabels: {\"a b\": c}}}",
        &[&format!("spec.podSelector.matchLabels: Invalid value: \"a b\": name part {KEY}")],
    );
    add(
        "{podSelector: {matchLabels: {\"-a\": c}}}",
        &[&format!("spec.podSelector.matchLabels: Invalid value: \"-a\": name part {KEY}")],
    );
    add(
        "{podSelector: {matchLabels: {\"A/b\": c}}}",
        &[&format!("spec.podSelector.matchLabels: Invalid value: \"A/b\": prefix part {NAME}")],
    );
    add(
        "{podSelector: {matchLabels: {\"/b\": c}}}",
        &["spec.podSelector.matchLabels: Invalid value: \"/b\": prefix part must be non-empty"],
    );
    add(
        "{podSelector: {matchLabels: {\"x/\": c}}}",
        &[
            "spec.podSelector.matchLabels: Invalid value: \"x/\": name part must be non-empty",
            &format!("spec.podSelector.matchLabels: Invalid value: \"x/\": name part {KEY}"),
        ],
    );
    let long = "k".repeat(64);
    add(
        &format!("{{podSelector: {{matchLabels: {{{long}: c}}}}}}"),
        &[&format!("spec.podSelector.matchLabels: Invalid value: \"{long}\": name part must be no more than 63 bytes")],
    );
    add(
        "{podSelector: {matchLabels: {a: \"b c\"}}}",
        &[&format!("spec.podSelector.matchLabels: Invalid value: \"b c\": {VALUE}")],
    );
    add(
        "{podSelector: {matchLabels: {a: \"-b\"}}}",
        &[&format!("spec.podSelector.matchLabels: Invalid value: \"-b\": {VALUE}")],
    );
    add(
        &format!("{{podSelector: {{matchLabels: {{a: {long}}}}}}}"),
        &[&format!("spec.podSelector.matchLabels: Invalid value: \"{long}\": must be no more than 63 bytes")],
    );
    add(
        &peer("{podSelector: {matchLabels: {a: \"b/c\"}}}"),
        &[&format!("spec.ingress[0].from[0].podSelector.matchLabels: Invalid value: \"b/c\": {VALUE}")],
    );
    add(
        &peer("{namespaceSelector: {matchLabels: {a: \"b_\"}}}"),
        &[&format!("spec.ingress[0].from[0].namespaceSelector.matchLabels: Invalid value: \"b_\": {VALUE}")],
    );
    // v5 to v9: matchExpressions.
    let expression = |e: &str| format!("{{podSelector: {{matchExpressions: [{e}]}}}}");
    let at = "spec.podSelector.matchExpressions[0]";
    let need = "must be specified when `operator` is 'In' or 'NotIn'";
    let must_not = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
    add(&expression("{key: a, operator: In}"), &[&format!("{at}.values: Required value: {need}")]);
    add(&expression("{key: a, operator: In, values: []}"), &[&format!("{at}.values: Required value: {need}")]);
    add(&expression("{key: a, operator: NotIn}"), &[&format!("{at}.values: Required value: {need}")]);
    add(&expression("{key: a, operator: Exists, values: [b]}"), &[&format!("{at}.values: Forbidden: {must_not}")]);
    add(
        &expression("{key: a, operator: DoesNotExist, values: [b]}"),
        &[&format!("{at}.values: Forbidden: {must_not}")],
    );
    add(
        &expression("{key: a, operator: Gt, values: [b]}"),
        &[&format!("{at}.operator: Invalid value: \"Gt\": not a valid selector operator")],
    );
    add(
        &expression("{key: a, operator: in, values: [b]}"),
        &[&format!("{at}.operator: Invalid value: \"in\": not a valid selector operator")],
    );
    add(&expression("{key: a}"), &[&format!("{at}.operator: Invalid value: \"\": not a valid selector operator")]);
    add(
        &expression("{key: \"a b\", operator: Exists}"),
        &[&format!("{at}.key: Invalid value: \"a b\": name part {KEY}")],
    );
    add(
        &expression("{key: a, operator: In, values: [ok, \"b c\"]}"),
        &[&format!("{at}.values[1]: Invalid value: \"b c\": {VALUE}")],
    );
    add(
        &expression("{key: a, operator: Exists}, {key: b, operator: In}"),
        &[&format!("spec.podSelector.matchExpressions[1].values: Required value: {need}")],
    );
    // v10: protocol.
    for protocol in ["ICMP", "tcp", "Tcp", "any"] {
        add(
            &port(&format!("{{protocol: {protocol}}}")),
            &[&format!(
                "spec.ingress[0].ports[0].protocol: Unsupported value: \"{protocol}\": supported values: \"TCP\", \"UDP\", \"SCTP\""
            )],
        );
    }
    // v11 to v15: numbers and ranges.
    for number in ["0", "65536", "-1", "70000"] {
        add(
            &port(&format!("{{port: {number}}}")),
            &[&format!("spec.ingress[0].ports[0].port: Invalid value: {number}: {PORT}")],
        );
    }
    let end = "spec.ingress[0].ports[0].endPort: Invalid value";
    add(&port("{port: 80, endPort: 79}"), &[&format!("{end}: 80: must be greater than or equal to `port`")]);
    add(&port("{port: 80, endPort: 65536}"), &[&format!("{end}: 65536: {PORT}")]);
    add(
        &port("{port: 80, endPort: 0}"),
        &[&format!("{end}: 80: must be greater than or equal to `port`"), &format!("{end}: 0: {PORT}")],
    );
    add(&port("{port: http, endPort: 90}"), &[&format!("{end}: 90: may not be specified when `port` is non-numeric")]);
    add(&port("{endPort: 90}"), &[&format!("{end}: 90: may not be specified when `port` is not specified")]);
    // v16 to v21: port names.
    let name = "spec.ingress[0].ports[0].port: Invalid value";
    add(
        &port("{port: abcdefghijklmnop}"),
        &[&format!("{name}: \"abcdefghijklmnop\": must be no more than 15 characters")],
    );
    add(&port("{port: a_b}"), &[&format!("{name}: \"a_b\": {CHARS}")]);
    add(&port("{port: HTTP}"), &[&format!("{name}: \"HTTP\": {CHARS}"), &format!("{name}: \"HTTP\": {LETTER}")]);
    add(&port("{port: hTTP}"), &[&format!("{name}: \"hTTP\": {CHARS}")]);
    add(&port("{port: a.b}"), &[&format!("{name}: \"a.b\": {CHARS}")]);
    add(&port("{port: \"80\"}"), &[&format!("{name}: \"80\": {LETTER}")]);
    add(&port("{port: \"8-0\"}"), &[&format!("{name}: \"8-0\": {LETTER}")]);
    add(&port("{port: a--b}"), &[&format!("{name}: \"a--b\": must not contain consecutive hyphens")]);
    add(&port("{port: -ab}"), &[&format!("{name}: \"-ab\": must not begin or end with a hyphen")]);
    add(&port("{port: ab-}"), &[&format!("{name}: \"ab-\": must not begin or end with a hyphen")]);
    add(&port("{port: \"\"}"), &[&format!("{name}: \"\": {CHARS}"), &format!("{name}: \"\": {LETTER}")]);
    // v22, v23: peers.
    add(&peer("{}"), &["spec.ingress[0].from[0]: Required value: must specify a peer"]);
    add(
        &peer("{podSelector: null, namespaceSelector: null}"),
        &["spec.ingress[0].from[0]: Required value: must specify a peer"],
    );
    let both = "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer";
    add(&peer("{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}"), &[both]);
    add(&peer("{namespaceSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}"), &[both]);
    add("{podSelector: {}, egress: [{to: [{}]}]}", &["spec.egress[0].to[0]: Required value: must specify a peer"]);
    // v24 to v30: blocks.
    let cidr = "spec.ingress[0].from[0].ipBlock.cidr";
    add(&block("{}"), &[&format!("{cidr}: Required value")]);
    add(&block("{cidr: \"\", except: [x]}"), &[&format!("{cidr}: Required value")]);
    for bad in [
        "10.0.0.0",
        "10.0.0.0/33",
        "10.0.0/8",
        "300.0.0.0/8",
        "x/8",
        "10.0.0.0/-1",
        "fe80::1%eth0/64",
        "2001:db8::/129",
    ] {
        add(
            &block(&format!("{{cidr: \"{bad}\", except: [z]}}")),
            &[&format!("{cidr}: Invalid value: \"{bad}\": {VALID_CIDR}")],
        );
    }
    for (bad, why) in [
        ("010.0.0.0/8", ZEROS),
        ("10.0.0.0/08", ZEROS),
        ("::ffff:10.0.0.0/104", MAPPED),
        ("10.1.2.3/8", HOST_BITS),
        ("2001:db8::1/64", HOST_BITS),
    ] {
        add(&block(&format!("{{cidr: \"{bad}\"}}")), &[&format!("{cidr}: Invalid value: \"{bad}\": {why}")]);
    }
    let except = "spec.ingress[0].from[0].ipBlock.except";
    add(&block("{cidr: 10.0.0.0/8, except: [x]}"), &[&format!("{except}[0]: Invalid value: \"x\": {VALID_CIDR}")]);
    add(
        &block("{cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.1.2.3/24]}"),
        &[&format!("{except}[1]: Invalid value: \"10.1.2.3/24\": {HOST_BITS}")],
    );
    for outside in ["192.168.0.0/16", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/64"] {
        add(
            &block(&format!("{{cidr: 10.0.0.0/8, except: [\"{outside}\"]}}")),
            &[&format!("{except}[0]: Invalid value: \"{outside}\": {SUBSET}")],
        );
    }
    // v31, v32: policyTypes.
    add(
        "{policyTypes: [Ingress, Egress, Ingress]}",
        &[
            "spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Ingress\"]: may not specify more than two policyTypes",
        ],
    );
    add(
        "{policyTypes: [ingress]}",
        &["spec.policyTypes[0]: Unsupported value: \"ingress\": supported values: \"Ingress\", \"Egress\""],
    );
    add(
        "{policyTypes: [Ingress, Both]}",
        &["spec.policyTypes[1]: Unsupported value: \"Both\": supported values: \"Ingress\", \"Egress\""],
    );
    // Both lists are checked, whatever policyTypes says; ports before peers.
    add(
        "{policyTypes: [Ingress], egress: [{to: [{}], ports: [{port: 0}]}]}",
        &[
            &format!("spec.egress[0].ports[0].port: Invalid value: 0: {PORT}"),
            "spec.egress[0].to[0]: Required value: must specify a peer",
        ],
    );
    out
}

/// Near the border, on the right side of it.
pub(crate) const ACCEPTED: [&str; 43] = [
    "{}",
    "{podSelector: null}",
    "{podSelector: {matchLabels: {}}}",
    "{podSelector: {matchLabels: {a: \"\"}}}",
    "{podSelector: {matchLabels: {a: null}}}",
    "{podSelector: {matchLabels: {example.com/Name: My_Value.1-2}}}",
    "{podSelector: {matchLabels: {\"123\": \"456\"}}}",
    "{podSelector: {matchExpressions: [{key: a, operator: In, values: [b, b]}]}}",
    "{podSelector: {matchExpressions: [{key: a, operator: NotIn, values: [\"\"]}]}}",
    "{podSelector: {matchExpressions: [{key: a, operator: Exists}]}}",
    "{podSelector: {matchExpressions: [{key: a, operator: Exists, values: []}]}}",
    "{podSelector: {matchExpressions: [{key: a, operator: DoesNotExist, values: null}]}}",
    "{podSelector: {matchExpressions: []}}",
    "{policyTypes: []}",
    "{policyTypes: null}",
    "{policyTypes: [Ingress, Ingress]}",
    "{policyTypes: [Egress]}",
    "{ingress: []}",
    "{ingress: null}",
    "{ingress: [{}]}",
    "{ingress: [{from: []}]}",
    "{ingress: [{from: null, ports: null}]}",
    "{ingress: [{ports: []}]}",
    "{ingress: [{ports: [{}]}]}",
    "{ingress: [{ports: [{protocol: UDP}]}]}",
    "{ingress: [{ports: [{port: 1}, {port: 65535}, {port: 1}]}]}",
    "{ingress: [{ports: [{port: 80, endPort: 80}]}]}",
    "{ingress: [{ports: [{port: 1, endPort: 65535, protocol: SCTP}]}]}",
    "{ingress: [{ports: [{port: a}]}]}",
    "{ingress: [{ports: [{port: abcdefghijklmno}]}]}",
    "{ingress: [{ports: [{port: 1-a-2}]}]}",
    "{ingress: [{from: [{podSelector: {}}]}]}",
    "{ingress: [{from: [{namespaceSelector: {}}]}]}",
    "{ingress: [{from: [{namespaceSelector: {}, podSelector: {}}]}]}",
    "{ingress: [{from: [{namespaceSelector: {}, podSelector: null, ipBlock: null}]}]}",
    "{ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}",
    "{ingress: [{from: [{ipBlock: {cidr: \"::/0\"}}]}]}",
    "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.1/32}}]}]}",
    "{ingress: [{from: [{ipBlock: {cidr: \"FD00::/8\"}}]}]}",
    "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.1.2.0/24, 10.1.0.0/16]}}]}]}",
    "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: []}}]}]}",
    "{egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [0.0.0.0/1, 128.0.0.0/1]}}]}]}",
    "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}",
];

/// A ClusterNetworkPolicy with this `spec`.
pub(crate) fn cluster_policy(spec: &str) -> String {
    format!(
        "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: c}}\nspec: {spec}\n"
    )
}

/// Specs of a ClusterNetworkPolicy that its CRD refuses.
pub(crate) const CLUSTER_REJECTED: [&str; 32] = [
    "{tier: Admin, priority: 1, subject: {pods: {namespaceSelector: {}}}}",
    "{tier: admin, priority: 1, subject: {namespaces: {}}}",
    "{tier: Admin, priority: 1001, subject: {namespaces: {}}}",
    "{tier: Admin, priority: 1}",
    "{tier: Admin, priority: 1, subject: {}}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}, pods: {}}}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Allow, from: [{namespaces: {}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: []}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{networks: [10.0.0.0/8]}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{networks: [x]}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: []}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 5, end: 5}}}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Accept, to: [{networks: [10.0.0.0/8]}], protocols: [{destinationNamedPort: x}]}]}",
    "{priority: 1, subject: {namespaces: {}}}",
    "{tier: Admin, subject: {namespaces: {}}}",
    "{tier: Admin, priority: -1, subject: {namespaces: {}}}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{from: [{namespaces: {}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}, pods: {namespaceSelector: {}, podSelector: {}}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{networks: []}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{networks: [10.0.0.0/8, 10.0.0.0/8]}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Accept, to: [{domainNames: [\"*\"]}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {}}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 0}}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 65536}}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 1, range: {start: 1, end: 2}}}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 5}}}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 1}}, udp: {destinationPort: {number: 1}}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, extra: 1}",
];

/// Specs of a ClusterNetworkPolicy that its CRD accepts.
pub(crate) const CLUSTER_ACCEPTED: [&str; 9] = [
    "{tier: Admin, priority: 1, subject: {pods: {podSelector: {}}}}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Accept, to: [{domainNames: [Example.com]}]}]}",
    "{tier: Admin, priority: 10, subject: {namespaces: {}}, egress: [{name: r, action: Accept, to: [{networks: [10.0.0.0/8]}, {domainNames: [\"*.example.com\"]}], protocols: [{tcp: {destinationPort: {number: 443}}}, {udp: {destinationPort: {range: {start: 1, end: 9}}}}]}], ingress: [{action: Pass, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {a: b}}}}], protocols: [{destinationNamedPort: http}]}]}",
    "{tier: Baseline, priority: 0, subject: {namespaces: {}}}",
    "{tier: Admin, priority: 1000, subject: {pods: {namespaceSelector: {}, podSelector: {}}}}",
    "{tier: Admin, priority: 1, subject: {namespaces: {matchLabels: {a: b}}}, ingress: [], egress: []}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{networks: [0.0.0.0/0, \"::/0\"]}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{nodes: {}}]}]}",
    "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{sctp: {destinationPort: {range: {start: 1, end: 65535}}}}]}]}",
];

/// Whole objects: names, and what goes wrong before fields are looked at.
pub(crate) const OBJECTS: [&str; 18] = [
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {}\nspec: {}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: A, namespace: shop}\nspec: {}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {generateName: a-, namespace: shop}\nspec: {}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a..b, namespace: shop}\nspec: {}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop, labels: {\"a b\": c}}\nspec: {}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop, labels: {a: \"b c\"}}\nspec: {}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop, annotations: {\"a b\": c}}\nspec: {}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {podSelecter: {}}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {podSelector: {}, podSelector: {}}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {ingress: [null]}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {ingress: [{ports: [{port: 1.5}]}]}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {ingress: {}}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {podSelector: {matchLabels: {a: 1}}}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {podSelector: {matchLabels: {a: true}}}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {ingress: [{ports: [{port: 80, endPort: \"90\"}]}]}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {PodSelector: {}}\n",
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: []\n",
];
