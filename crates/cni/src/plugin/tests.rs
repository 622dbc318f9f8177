use super::*;
use crate::protocol::Isolated;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// An agent that answers one question with this line, and what it was asked.
fn agent(folder: &Path, answer: Option<String>) -> Receiver<serde_json::Value> {
    let listener = UnixListener::bind(folder.join("n1.sock")).unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        tell.send(serde_json::from_str(&line).unwrap()).unwrap();
        match answer {
            Some(answer) => (&stream).write_all(format!("{answer}\n").as_bytes()).unwrap(),
            None => std::thread::sleep(Duration::from_secs(5)),
        }
    });
    told
}

fn isolated(closed: Option<&str>) -> String {
    let of = Isolated { ifindex: 7, closed: closed.map(str::to_owned) };
    serde_json::json!({ "answer": "gated", "of": of }).to_string()
}

// Its spaces are part of the test: the result is passed on as it is.
const RESULT: &str = r#"{"cniVersion":"1.0.0",  "interfaces":[{"name":"cni0","mac":"02:00:00:00:00:01"},
 {"name":"veth1","mac":"02:00:00:00:00:02"},{"name":"eth0","mac":"02:00:00:00:00:03","sandbox":"/run/netns/x"}],
 "ips":[{"address":"10.1.2.3/24","gateway":"10.1.2.1","interface":2},{"address":"fd00::3/64","interface":2},
 {"address":"10.9.9.9/24","interface":0}],"dns":{}}"#;

fn configuration(folder: &Path, more: &str) -> String {
    let folder = folder.display();
    format!(
        r#"{{"cniVersion":"1.0.0","name":"net","type":"watertight-cni","directory":"{folder}"{more},"prevResult":{RESULT}}}"#
    )
}

fn environment(command: &str) -> Environment {
    Environment {
        command: command.to_owned(),
        netns: Some(PathBuf::from("/proc/self/ns/net")),
        ifname: Some("eth0".to_owned()),
        args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=db-0;K8S_POD_UID=u-1".to_owned(),
    }
}

fn error(outcome: &Outcome) -> (u64, String) {
    assert!(!outcome.success);
    let read: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(VERSIONS.contains(&read["cniVersion"].as_str().unwrap()), "{read}");
    (read["code"].as_u64().unwrap(), read["msg"].as_str().unwrap().to_owned())
}

#[test]
fn a_pod_that_is_isolated_begins_with_the_networks_result() {
    let folder = tempfile::tempdir().unwrap();
    let asked = agent(folder.path(), Some(isolated(None)));
    let outcome = run(&environment("ADD"), configuration(folder.path(), "").as_bytes());
    assert_eq!(outcome, Outcome { stdout: format!("{RESULT}\n"), stderr: String::new(), success: true });
    let asked = asked.recv().unwrap();
    let inode = std::fs::metadata("/proc/self/ns/net").unwrap().ino();
    let wanted = serde_json::json!({
        "ask": "gate", "namespace": "shop", "name": "db-0", "uid": "u-1", "netns": "/proc/self/ns/net", "inode": inode,
        "mac": "02:00:00:00:00:03", "addresses": ["10.1.2.3", "fd00::3"],
    });
    assert_eq!(asked, wanted, "no device of the result is one of this machine's");
}

#[test]
fn a_pod_that_is_closed_begins_and_the_log_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let _asked = agent(folder.path(), Some(isolated(Some("the API server does not know its pod"))));
    let outcome = run(&environment("ADD"), configuration(folder.path(), "").as_bytes());
    assert!(outcome.success);
    assert_eq!(outcome.stderr, "shop/db-0 is closed: the API server does not know its pod");
}

#[test]
fn a_pod_that_is_not_isolated_does_not_begin() {
    let folder = tempfile::tempdir().unwrap();
    let answer = r#"{"answer":"failed","of":"the maps are full"}"#;
    let _asked = agent(folder.path(), Some(answer.to_owned()));
    let outcome = run(&environment("ADD"), configuration(folder.path(), "").as_bytes());
    let wanted = "watertight: the pod is not isolated, so it does not start: the maps are full";
    assert_eq!(error(&outcome), (100, wanted.to_owned()));
    for strange in ["", "nonsense", r#"{"answer":"gated"}"#, r#"{"answer":"status","of":{}}"#, "{}"] {
        let folder = tempfile::tempdir().unwrap();
        let _asked = agent(folder.path(), Some(strange.to_owned()));
        let outcome = run(&environment("ADD"), configuration(folder.path(), "").as_bytes());
        assert_eq!(error(&outcome).0, 100, "{strange:?} is no word of isolation");
    }
}

#[test]
fn without_an_agent_it_is_to_be_tried_again_or_with_fail_open_let_through() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(&environment("ADD"), configuration(folder.path(), "").as_bytes());
    let (code, message) = error(&outcome);
    assert!(code == 11 && message.contains("no agent listens in"), "{message}");
    let outcome = run(&environment("ADD"), configuration(folder.path(), r#","failOpen":true"#).as_bytes());
    assert!(outcome.success && outcome.stdout == format!("{RESULT}\n"));
    assert!(
        outcome.stderr.starts_with("not isolated, and let through (failOpen): no agent listens"),
        "{}",
        outcome.stderr
    );
    // One that was killed leaves its socket.
    drop(UnixListener::bind(folder.path().join("n1.sock")).unwrap());
    let outcome = run(&environment("ADD"), configuration(folder.path(), "").as_bytes());
    assert!(error(&outcome).1.contains("no agent answers at"), "{}", outcome.stdout);
}

#[test]
fn an_agent_that_is_silent_is_waited_for_as_long_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let _asked = agent(folder.path(), None);
    let begun = Instant::now();
    let outcome = run(&environment("ADD"), configuration(folder.path(), r#","timeoutMs":200"#).as_bytes());
    assert_eq!(error(&outcome).0, 11);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn which_agent_must_be_clear() {
    let folder = tempfile::tempdir().unwrap();
    let _one = agent(folder.path(), Some(isolated(None)));
    let _other = UnixListener::bind(folder.path().join("n2.sock")).unwrap();
    let outcome = run(&environment("ADD"), configuration(folder.path(), "").as_bytes());
    assert!(error(&outcome).1.contains("several agents"), "{}", outcome.stdout);
    let outcome = run(&environment("ADD"), configuration(folder.path(), r#","node":"../n1""#).as_bytes());
    assert!(error(&outcome).1.contains("`../n1` is no name of a node"), "{}", outcome.stdout);
    let outcome = run(&environment("ADD"), configuration(folder.path(), r#","node":"n1""#).as_bytes());
    assert!(outcome.success, "{}", outcome.stdout);
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = configuration(folder.path(), "");
    let without = |change: fn(&mut Environment)| {
        let mut environment = environment("ADD");
        change(&mut environment);
        error(&run(&environment, text.as_bytes()))
    };
    assert!(without(|e| e.netns = None).1.contains("CNI_NETNS is missing"));
    assert!(without(|e| e.ifname = None).1.contains("CNI_IFNAME is missing"));
    assert!(without(|e| e.args = "K8S_POD_NAME=a".into()).1.contains("K8S_POD_NAMESPACE in CNI_ARGS is missing"));
    assert!(without(|e| e.args = "K8S_POD_NAMESPACE=a;K8S_POD_NAME=".into()).1.contains("K8S_POD_NAME in CNI_ARGS"));
    let (code, message) = without(|e| e.netns = Some("/nowhere/at/all".into()));
    assert!(code == 4 && message.contains("CNI_NETNS /nowhere/at/all"), "{message}");
    let alone = r#"{"cniVersion":"1.0.0","name":"net","type":"watertight-cni"}"#;
    assert_eq!(error(&run(&environment("ADD"), alone.as_bytes())).0, 7, "it makes no network");
    for (text, code) in [("", 6), ("7", 6), (r#"{"cniVersion":"0.2.0"}"#, 1), (r#"{"name":"net"}"#, 1)] {
        assert_eq!(error(&run(&environment("ADD"), text.as_bytes())).0, code, "{text}");
    }
    let hostile = text.replace("10.1.2.3/24", "10.1.2/24");
    assert_eq!(error(&run(&environment("ADD"), hostile.as_bytes())).0, 6);
    assert_eq!(error(&run(&environment("SING"), text.as_bytes())).0, 4);
}

#[test]
fn the_other_commands() {
    let folder = tempfile::tempdir().unwrap();
    let text = configuration(folder.path(), "");
    let version = run(&environment("VERSION"), &b""[..]);
    let read: serde_json::Value = serde_json::from_str(&version.stdout).unwrap();
    assert_eq!(read["supportedVersions"], serde_json::json!(VERSIONS));
    for command in ["DEL", "GC"] {
        assert!(run(&environment(command), text.as_bytes()).success, "{command}: nobody is asked");
    }
    // A pod must be able to end whatever is wrong with it.
    let ended = run(&environment("DEL"), &b"nonsense"[..]);
    assert!(ended.success && ended.stdout.is_empty() && ended.stderr.contains("not understood"));
    let outcome = run(&environment("STATUS"), text.as_bytes());
    assert_eq!(error(&outcome).0, 50, "nobody is there");
    let outcome = run(&environment("CHECK"), text.as_bytes());
    assert_eq!(error(&outcome).0, 11);
    let _asked = agent(folder.path(), Some(isolated(None)));
    assert_eq!(run(&environment("CHECK"), text.as_bytes()).stdout, "", "it holds");
    let other = tempfile::tempdir().unwrap();
    let asked = agent(other.path(), Some(r#"{"answer":"status","of":{"node":"n1"}}"#.to_owned()));
    assert!(run(&environment("STATUS"), configuration(other.path(), "").as_bytes()).success);
    assert_eq!(asked.recv().unwrap(), serde_json::json!({ "ask": "status" }));
}

#[test]
fn the_device_on_the_node_is_the_one_end_of_a_cable() {
    let sys = tempfile::tempdir().unwrap();
    let device = |name: &str, ifindex: &str, iflink: &str| {
        std::fs::create_dir(sys.path().join(name)).unwrap();
        std::fs::write(sys.path().join(name).join("ifindex"), ifindex).unwrap();
        std::fs::write(sys.path().join(name).join("iflink"), iflink).unwrap();
    };
    device("cni0", "3\n", "3\n");
    device("veth1", "7\n", "2\n");
    let network: Network = serde_json::from_str(RESULT).unwrap();
    assert_eq!(on_the_node(&network, sys.path()), Some(7));
    device("veth2", "8\n", "2\n");
    let two = RESULT.replace(r#"{"name":"cni0","mac":"02:00:00:00:00:01"}"#, r#"{"name":"veth2"}"#);
    assert_eq!(on_the_node(&serde_json::from_str(&two).unwrap(), sys.path()), None, "two: the agent has to find it");
    let path = RESULT.replace("veth1", "x/../veth1");
    assert_eq!(on_the_node(&serde_json::from_str(&path).unwrap(), sys.path()), None, "a name is no path");
}
