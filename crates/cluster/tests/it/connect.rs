//! From a kubeconfig to a server that accepts us: every way in which that fails has its own error.

use crate::fake::{self, Cluster, Fake, Home, Reply, TOKEN, access, closed_port, kubeconfig, status};
use std::time::{Duration, Instant};
use watertight_cluster::{Access, AccessError, connect};

/// The error, after checking that it holds no secret, is one line, and has a help line.
#[track_caller]
fn error(access: &Access) -> AccessError {
    let error = connect(access).expect_err("must fail");
    let shown = format!("{error}\n{error:?}\n{}", error.help());
    assert!(!shown.contains(TOKEN) && !shown.contains("s3cr3t"), "{shown}");
    assert!(!error.to_string().contains('\n') && !error.help().is_empty() && !error.help().contains('\n'), "{shown}");
    error
}

fn good(fake: &Fake) -> String {
    kubeconfig(&format!("http://127.0.0.1:{}", fake.port), &format!("token: {TOKEN}"))
}

#[test]
fn a_good_kubeconfig_connects_and_sends_its_token() {
    let fake = Fake::start(Cluster::new());
    let home = Home::new();
    let client = connect(&home.access(&good(&fake))).unwrap();
    assert_eq!(client.server_version(), Some("v1.37.1"));
    assert_eq!(client.namespace(), "shop");
    assert_eq!(client.place().context, "main");
    assert!(fake.asked()[0].headers.to_lowercase().contains(&format!("authorization: bearer {TOKEN}")));
    assert!(!format!("{client:?}").contains(TOKEN));
}

#[test]
fn kubeconfig_files_merge_whichever_holds_what() {
    let fake = Fake::start(Cluster::new());
    let home = Home::new();
    let all = good(&fake);
    let current = home.file("current", "current-context: main\n");
    let rest = home.file("rest", &all.replace("current-context: main\n", ""));
    let other = home.file("other", &all.replace("main", "second").replace("current-context: second\n", ""));
    let missing = home.path().join("missing");
    let list = |files: &[&std::path::PathBuf]| {
        let mut access = access(None);
        access.environment.kubeconfig = Some(std::env::join_paths(files).unwrap());
        access
    };
    let client = connect(&list(&[&current, &rest])).unwrap();
    assert_eq!(
        (client.place().context.as_str(), &client.place().files),
        ("main", &vec![current.clone(), rest.clone()])
    );
    assert!(connect(&list(&[&rest, &missing, &other, &current])).is_ok());

    let mut second = list(&[&current, &rest, &other]);
    second.context = Some("second".into());
    assert_eq!(connect(&second).unwrap().place().context, "second");

    // The first file wins, and --kubeconfig stands alone.
    let first = home.file("first", "current-context: second\n");
    assert_eq!(connect(&list(&[&first, &current, &rest, &other])).unwrap().place().context, "second");
    let mut alone = list(&[&current, &rest]);
    alone.kubeconfig = Some(current.clone());
    assert!(matches!(error(&alone), AccessError::EmptyKubeconfig { files } if files == [current]));

    // The default file is under the home directory.
    std::fs::create_dir(home.path().join(".kube")).unwrap();
    home.file(".kube/config", &all);
    let mut by_home = access(None);
    by_home.environment.home = Some(home.path().to_owned());
    assert!(connect(&by_home).is_ok());
}

#[test]
fn missing_empty_and_unreadable_files() {
    let home = Home::new();
    let missing = home.path().join("missing");
    let e = error(&access(Some(missing.clone())));
    assert_eq!(e, AccessError::NoKubeconfig { tried: vec![missing.clone()] });
    assert!(e.to_string().contains(&missing.display().to_string()) && e.help().contains("watertight demo"));
    assert!(matches!(error(&access(None)), AccessError::NoKubeconfig { tried } if tried.is_empty()));

    for empty in ["", "# nothing\n", "---\n", "apiVersion: v1\nkind: Config\n", "contexts: null\n"] {
        assert!(matches!(error(&home.access(empty)), AccessError::EmptyKubeconfig { .. }), "{empty:?}");
    }
    assert!(matches!(error(&access(Some(home.path().to_owned()))), AccessError::UnreadableKubeconfig { .. }));
    for binary in [&b"\xff\xfea"[..], b"\xfe\xff\x00", b"\x80abc"] {
        let file = home.path().join("binary");
        std::fs::write(&file, binary).unwrap();
        let e = error(&access(Some(file)));
        assert!(matches!(&e, AccessError::UnreadableKubeconfig { why, .. } if why.contains("not text")), "{e:?}");
    }
}

#[test]
fn broken_yaml_names_its_line_and_quotes_nothing() {
    let home = Home::new();
    let broken = format!("apiVersion: v1\nusers:\n- name: u\n  user:\n    token: {TOKEN}\n   client-key: [\n");
    let AccessError::BrokenKubeconfig { at, .. } = error(&home.access(&broken)) else { panic!() };
    assert!(matches!(at, Some((5..=7, _))), "{at:?}");
    let e = error(&home.access(&format!("users:\n- name: u\n  user: {TOKEN}\n")));
    assert!(matches!(e, AccessError::BrokenKubeconfig { .. }), "{e:?}");
    let e = error(&home.access(&format!("contexts: {TOKEN}\n")));
    assert!(matches!(e, AccessError::BrokenKubeconfig { .. }), "{e:?}");
}

#[test]
fn contexts_that_do_not_exist() {
    let fake = Fake::start(Cluster::new());
    let home = Home::new();
    let all = good(&fake);
    let mut wrong = home.access(&all);
    wrong.context = Some("mian".into());
    let e = error(&wrong);
    assert!(e.to_string().contains("no context `mian`") && e.to_string().contains("contexts: main"), "{e}");
    assert_eq!(e.help(), "did you mean --context main?");
    wrong.context = Some("something-else".into());
    assert_eq!(error(&wrong).help(), "known contexts: main");

    let e = error(&home.access(&all.replace("current-context: main\n", "")));
    assert!(matches!(&e, AccessError::NoCurrentContext { known, .. } if known == &["main"]), "{e:?}");
    let e = error(&home.access(&all.replace("current-context: main", "current-context: ''")));
    assert!(matches!(&e, AccessError::NoCurrentContext { .. }), "{e:?}");
    let e = error(&home.access(&all.replace("current-context: main", "current-context: gone")));
    assert!(matches!(&e, AccessError::UnknownContext { wanted, .. } if wanted == "gone"), "{e:?}");
    let e = error(&home.access(&all.replace("cluster: c,", "cluster: x,")));
    assert!(matches!(&e, AccessError::DanglingContext { what: "cluster", name, .. } if name == "x"), "{e:?}");
    let e = error(&home.access(&all.replace("user: u,", "user: x,")));
    assert!(matches!(&e, AccessError::DanglingContext { what: "user", name, .. } if name == "x"), "{e:?}");
}

#[test]
fn cluster_entries_that_do_not_work() {
    let home = Home::new();
    for (server, part) in [
        ("''", "not a URL"),
        ("ftp://x", "not an http"),
        ("'http://a b'", "not a URL"),
        ("https://127.0.0.1:1\n    certificate-authority: gone.pem", "gone.pem"),
        ("https://127.0.0.1:1\n    certificate-authority-data: '%%%'", "not base64"),
        ("https://example.com\n    proxy-url: ftp://proxy", "proxy-url"),
    ] {
        let e = error(&home.to(server));
        assert!(matches!(&e, AccessError::BadCluster { why, .. } if why.contains(part)), "{server}: {e:?}");
    }
    let e = error(&home.to("http://user:s3cr3t@127.0.0.1:1"));
    assert!(!format!("{e:?}").contains("s3cr3t"));
}

#[test]
fn credentials_that_do_not_work() {
    let home = Home::new();
    for (user, part) in [
        ("tokenFile: gone", "gone"),
        ("client-certificate: gone.pem\n    client-key: gone.pem", "gone.pem"),
        ("client-certificate-data: AAAA\n    client-key-data: AAAA", "not usable"),
        ("client-certificate-data: '%'\n    client-key-data: '%'", "not"),
        ("auth-provider: {name: gcp, config: {cmd-path: sh}}", "auth provider `gcp`"),
    ] {
        let e = error(&home.access(&kubeconfig("https://127.0.0.1:1", user)));
        assert!(matches!(&e, AccessError::BadCredentials { why, .. } if why.contains(part)), "{user}: {e:?}");
    }
}

#[test]
fn a_token_file_is_read_beside_the_kubeconfig() {
    let fake = Fake::start(Cluster::new());
    let home = Home::new();
    home.file("tok", "s3cr3t-file\n");
    connect(&home.access(&kubeconfig(&format!("http://127.0.0.1:{}", fake.port), "tokenFile: tok"))).unwrap();
    assert!(fake.asked()[0].headers.contains("s3cr3t-file"));
}

fn plugin(script: &str) -> String {
    let args = serde_json::json!(["-c", script]);
    format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: /bin/sh, interactiveMode: Never, args: {args}}}"
    )
}

#[test]
fn a_plugin_gives_a_token() {
    let fake = Fake::start(Cluster::new());
    let home = Home::new();
    let script = r#"case "$KUBERNETES_EXEC_INFO" in *'"kind":"ExecCredential"'*) ;; *) exit 3;; esac
        echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"s3cr3t-plugin"}}'"#;
    connect(&home.access(&kubeconfig(&format!("http://127.0.0.1:{}", fake.port), &plugin(script)))).unwrap();
    assert!(fake.asked()[0].headers.contains("Bearer s3cr3t-plugin"));
}

#[test]
fn a_plugin_that_wants_to_know_the_cluster_is_told() {
    let fake = Fake::start(Cluster::new());
    let home = Home::new();
    let server = format!("http://127.0.0.1:{}", fake.port);
    let told = home.path().join("told");
    let script = format!(
        r#"echo "$KUBERNETES_EXEC_INFO" > {}; echo '{{"kind":"ExecCredential","status":{{"token":"t"}}}}'"#,
        told.display()
    );
    let user = plugin(&script).replace("interactiveMode", "provideClusterInfo: true, interactiveMode");
    connect(&home.access(&kubeconfig(&server, &user))).unwrap();
    let info: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(told).unwrap()).unwrap();
    assert_eq!(info["spec"], serde_json::json!({"interactive": false, "cluster": {"server": server}}));
}

#[test]
fn plugins_that_fail_hang_or_talk_nonsense() {
    let fake = Fake::start(Cluster::new());
    let home = Home::new();
    let with = |user: &str| {
        let mut access = home.access(&kubeconfig(&format!("http://127.0.0.1:{}", fake.port), user));
        access.timeouts.plugin = Duration::from_millis(300);
        access
    };
    let e = error(&with("exec: {apiVersion: v1, command: no-such-plugin, installHint: get it at example.com}"));
    assert!(matches!(&e, AccessError::PluginMissing { command, .. } if command == "no-such-plugin"), "{e:?}");
    assert_eq!(e.help(), "get it at example.com");

    let e = error(&with(&plugin("echo '{\"token\": \"s3cr3t-out\"}'; echo first >&2; echo please log in >&2; exit 7")));
    let AccessError::PluginFailed { status, said, .. } = &e else { panic!("{e:?}") };
    assert!(status.contains('7'));
    assert_eq!(said.as_deref(), Some("please log in"));

    let started = Instant::now();
    let e = error(&with(&plugin("sleep 20")));
    assert!(matches!(e, AccessError::PluginTimeout { .. }), "{e:?}");
    // It ends, and a child of it holds the pipe.
    let e = error(&with(&plugin("sleep 20 & exit 0")));
    assert!(matches!(e, AccessError::PluginTimeout { .. }), "{e:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());

    for (script, part) in [
        ("true", "printed nothing"),
        ("echo s3cr3t garbage", "not an ExecCredential"),
        ("echo '{\"kind\":\"Pod\",\"status\":{\"token\":\"s3cr3t\"}}'", "`kind`"),
        ("echo '{\"kind\":\"ExecCredential\"}'", "no `status`"),
        ("echo '{\"kind\":\"ExecCredential\",\"status\":{}}'", "neither a token nor"),
        ("head -c 3000000 /dev/zero", "more than 1 MiB"),
    ] {
        let mut access = with(&plugin(script));
        access.timeouts.plugin = Duration::from_secs(10);
        let e = error(&access);
        assert!(matches!(&e, AccessError::PluginGarbage { why, .. } if why.contains(part)), "{script}: {e:?}");
    }
    assert!(fake.asked().is_empty());
}

#[test]
fn servers_that_cannot_be_reached() {
    let home = Home::new();
    let port = closed_port();
    let e = error(&home.to(&format!("http://127.0.0.1:{port}")));
    assert!(matches!(e, AccessError::Refused { .. }), "{e:?}");
    assert!(e.to_string().contains(&format!("http://127.0.0.1:{port} (context `main` of `")), "{e}");

    let e = error(&home.to("https://no-such-host.invalid:6443"));
    assert!(matches!(&e, AccessError::Dns { host, .. } if host == "no-such-host.invalid"), "{e:?}");

    // An address that answers nothing at all: the backlog of a socket that nobody accepts on takes the connection.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for scheme in ["http", "https"] {
        let mut access = home.to(&format!("{scheme}://127.0.0.1:{}", silent.local_addr().unwrap().port()));
        access.timeouts.connect = Duration::from_millis(200);
        access.timeouts.call = Duration::from_millis(300);
        let started = Instant::now();
        let e = error(&access);
        assert!(matches!(e, AccessError::Timeout { .. }), "{e:?}");
        assert!(started.elapsed() < Duration::from_secs(3));
    }
}

#[test]
fn servers_that_answer_wrongly() {
    let at = |cluster: Cluster| {
        let fake = Fake::start(cluster);
        (error(&Home::new().to(&format!("http://127.0.0.1:{}", fake.port))), fake)
    };
    let (e, _) = at(Cluster::new().reply("/version", 99, status(401, "Unauthorized")));
    assert!(matches!(e, AccessError::Unauthorized { .. }), "{e:?}");
    assert!(e.help().contains("log in again"));

    let (e, fake) = at(Cluster::new().reply("/version", 99, status(429, "slow down")));
    assert!(matches!(e, AccessError::Overloaded { status: 429, .. }), "{e:?}");
    assert_eq!(fake.times("/version"), 4);

    for reply in [Reply::Hangup, Reply::CutOff("{\"gitVersion\"".into()), fake::ok("<html>"), fake::ok("{}")] {
        let (e, _) = at(Cluster::new().reply("/version", 99, reply.clone()));
        assert!(matches!(e, AccessError::BadAnswer { .. }), "{reply:?}: {e:?}");
    }
    // Not allowed to see the version: a cluster all the same.
    let fake = Fake::start(Cluster::new().reply("/version", 99, status(403, "no")));
    assert_eq!(fake::connection(&fake).1.server_version(), None);
}

#[test]
fn an_ipv6_literal_works() {
    let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else { return };
    let fake = Fake::on(listener, Cluster::new());
    assert!(connect(&Home::new().to(&format!("http://[::1]:{}", fake.port))).is_ok());
}

#[test]
fn a_proxy_is_asked_for_the_server() {
    // The proxy is no proxy: it answers CONNECT or GET like a server that knows nothing, and counts.
    let proxy = Fake::start(Cluster::new());
    let home = Home::new();
    let mut access = home.to("https://api.example.invalid:6443");
    access.environment.https_proxy = Some(format!("http://127.0.0.1:{}", proxy.port));
    let _ = error(&access);
    assert_eq!(proxy.asked()[0].method, "CONNECT");
    assert_eq!(proxy.asked()[0].path, "api.example.invalid:6443");
    access.environment.no_proxy = Some("example.invalid".into());
    assert!(matches!(error(&access), AccessError::Dns { .. }));
}

#[test]
fn in_a_pod_the_service_account_is_used_and_only_without_a_kubeconfig() {
    // This test does not run in a pod: the account's files are missing, and that is what the error says.
    let mut pod = access(None);
    pod.environment.in_cluster = true;
    let e = error(&pod);
    assert!(
        matches!(&e, AccessError::BadCredentials { context, files, .. } if context == "in-cluster" && files.is_empty()),
        "{e:?}"
    );
    pod.context = Some("main".into());
    assert!(matches!(error(&pod), AccessError::NoKubeconfig { .. }), "a context is a kubeconfig's");
    let fake = Fake::start(Cluster::new());
    let home = Home::new();
    pod = home.access(&good(&fake));
    pod.environment.in_cluster = true;
    assert_eq!(connect(&pod).unwrap().place().context, "main");
}

#[cfg(unix)]
#[test]
fn a_kubeconfig_may_be_a_pipe_and_one_without_a_writer_is_given_up() {
    let fake = Fake::start(Cluster::new());
    let home = Home::new();
    let pipe = home.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut silent = access(Some(pipe.clone()));
    silent.timeouts.connect = Duration::from_millis(100);
    let e = error(&silent);
    assert!(matches!(&e, AccessError::UnreadableKubeconfig { why, .. } if why.contains("nobody writes")), "{e:?}");

    let pipe = home.path().join("pipe2");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (to, text) = (pipe.clone(), good(&fake));
    std::thread::spawn(move || std::fs::write(to, text).unwrap());
    assert!(connect(&access(Some(pipe))).is_ok());
}

#[test]
fn what_is_printed_of_the_environment_holds_no_password() {
    let mut with = access(None);
    with.environment.https_proxy = Some("http://user:s3cr3t@proxy:3128".into());
    assert!(!format!("{with:?}").contains("s3cr3t"));
}
