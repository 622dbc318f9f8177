//! Faults, with packets on the way: the agent killed and replaced, policies tightened under open connections, input that is not
//! understood, an image that does not fit. `./dev soak agent` runs the first ones for long (`WATERTIGHT_KILLS`, `WATERTIGHT_CUTS`).

use crate::bed::{self, CLUSTER, Datagrams, Flows, OPEN, dropped, percentile, put, say, wanted};
use crate::guarded::{Guarded, json, until, watertight};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use watertight_lab::within;

/// SIGKILL at any moment of an agent's life, over and over, under a flood that the policy denies, a stream that it allows, and
/// connections that stay open. Each new agent also puts its own programs in the place of the last one's: every start is an upgrade.
#[test]
fn killed_agents_leak_nothing_reset_nothing_and_lose_nothing() {
    let Some(mut guarded) = Guarded::new() else { return };
    let kills = wanted("WATERTIGHT_KILLS", 12);
    let open = wanted("WATERTIGHT_FLOWS", 400);
    let flood = u32::try_from(wanted("WATERTIGHT_FLOOD", 20_000)).unwrap();
    bed::up(CLUSTER);
    guarded.start(&[]);
    let mut flows = Flows::open(open);
    let before = dropped("policy");
    let denied = Datagrams::denied(flood);
    let allowed = Datagrams::allowed(10_000);
    let began = Instant::now();
    guarded.kill();
    let mut began_to_enforce = 0;
    for i in 0..kills {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_watertight"))
            .args(["agent", "--source", "lab"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // From the first instruction to long after it is ready: a sweep over its whole life, not a favourite moment.
        let life = Duration::from_millis((i as u64 * 37) % 700);
        std::thread::sleep(life);
        agent.kill().unwrap();
        agent.wait().unwrap();
        let mut said = String::new();
        agent.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        began_to_enforce += usize::from(said.contains("state 1"));
        if i % 5 == 0 {
            flows.round();
        }
        assert_eq!(denied.came(), 0, "a denied packet came through at kill {i}, after {life:?}");
    }
    flows.round();
    let took = began.elapsed();
    let (denied, allowed) = (denied.end(), allowed.end());
    guarded.start(&[]);
    let counted = dropped("policy") - before;
    let lost = allowed.sent - allowed.came;
    say(&format!(
        "agent killed {kills} times in {} s, {began_to_enforce} of them after it had begun to enforce, the others while it started: {} denied packets at {}/s, {} leaked, {counted} counted as drops; {} allowed at {}/s, {lost} \
         lost; {open} open flows, {} rounds of echoes, {} reset",
        took.as_secs(),
        denied.sent,
        denied.per_second,
        denied.came,
        allowed.sent,
        allowed.per_second,
        flows.rounds,
        flows.lost,
    ));
    assert_eq!((denied.came, lost, flows.lost), (0, 0, 0));
    assert!(denied.sent > 10_000 && allowed.sent > 5_000, "there was traffic: {denied:?} {allowed:?}");
    assert_eq!(counted, denied.sent, "each drop is counted once");
}

/// Without the agent's gates the same traffic comes through: the test above can fail.
#[test]
fn without_gates_the_same_flood_arrives() {
    let Some(_guarded) = Guarded::new() else { return };
    bed::up(CLUSTER);
    let denied = Datagrams::denied(5_000);
    std::thread::sleep(Duration::from_millis(300));
    let tally = denied.end();
    assert!(tally.came > 100, "{tally:?}");
}

const CLOSED: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: server, namespace: soak}\n\
    spec: {podSelector: {matchLabels: {app: server}}}\n";

/// The cluster without its policy, and the policy: the one that `put` replaces.
fn split() -> (String, String) {
    let at = CLUSTER.rfind("---\n").unwrap();
    (CLUSTER[..at].to_owned(), CLUSTER[at + 4..].to_owned())
}

/// S14: a connection is open when a policy comes that denies it. It is cut at its next packet, and the report says which. From writing the
/// policy to the last byte that came back, again and again.
#[test]
fn s14_a_tightened_policy_cuts_open_flows() {
    let Some(mut guarded) = Guarded::new() else { return };
    let cuts = wanted("WATERTIGHT_CUTS", 8);
    let (cluster, policy) = split();
    bed::up(&cluster);
    put("applied.yaml", &policy);
    guarded.start(&[]);
    let to = bed::addresses("server");
    let mut times = Vec::new();
    for i in 0..cuts {
        let at = SocketAddr::new(to[i % 2], OPEN);
        let mut stream = None;
        // Until the policy that opens is in force again.
        until(
            || {
                let tried =
                    within(&bed::netns("client"), || TcpStream::connect_timeout(&at, Duration::from_millis(300)));
                stream = tried.unwrap().ok();
                stream.is_some()
            },
            "the flow opens",
        );
        let mut stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
        let mut name = [0; "soak/server\n".len()];
        stream.read_exact(&mut name).unwrap();
        let mut echo = || {
            let mut back = [0];
            stream.write_all(b"x").is_ok() && stream.read_exact(&mut back).is_ok()
        };
        assert!(echo());
        let written = Instant::now();
        put("applied.yaml", CLOSED);
        let mut last = Duration::ZERO;
        while echo() {
            last = written.elapsed();
            assert!(last < Duration::from_secs(5), "never cut");
        }
        // Not a lost packet: it stays cut.
        assert!(!echo());
        times.push(last);
        put("applied.yaml", &policy);
    }
    times.sort_unstable();
    let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
    say(&format!("tightened policy, {cuts} open flows cut: p50 {p50:?}, p99 {p99:?}, longest {:?}", times[cuts - 1]));
    assert!(p50 < Duration::from_millis(100), "{times:?}");
    assert!(dropped("flowCut") >= cuts as u64, "what was cut is counted as such");
    // The last policy was put back: new flows open, and the one that was never denied lives through both.
    let mut flows = Flows::open(20);
    put("applied.yaml", &policy.replace("{port: 7000}", "{port: 7000}, {port: 7001}"));
    until(applied_everywhere, "the loosened policy is applied");
    flows.round();
    assert_eq!(flows.lost, 0, "a loosened policy breaks nothing");
}

/// What agents say of themselves.
fn states() -> Vec<Value> {
    json("agent status")["items"].as_array().unwrap().clone()
}

fn applied_everywhere() -> bool {
    states().iter().all(|s| s["enforcing"] == true && s["revision"]["seen"] == s["revision"]["applied"])
}

fn degraded() -> Vec<String> {
    let text = |s: &Value| s["degraded"].as_array().unwrap().iter().map(|d| d.as_str().unwrap().to_owned()).collect();
    states().iter().flat_map(|s| -> Vec<String> { text(s) }).collect()
}

/// The source goes bad: what was in force stays, and the status says why.
#[test]
fn input_that_is_not_understood_changes_nothing_and_is_said() {
    let Some(mut guarded) = Guarded::new() else { return };
    let (cluster, policy) = split();
    bed::up(&cluster);
    put("applied.yaml", &policy);
    guarded.start(&[]);
    let denied = Datagrams::denied(2_000);
    let mut flows = Flows::open(20);
    for (bad, says) in [
        ("kind: NetworkPolicy\nspec: [", "not understood"),
        (
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\nspec: {podSelecter: {}}\n",
            "podSelecter",
        ),
        ("\u{0}\u{1}\u{2}", "not understood"),
    ] {
        put("applied.yaml", bad);
        until(|| !degraded().is_empty(), "the agents say that it is not understood");
        assert!(degraded().iter().all(|d| d.contains("the last state stays") && d.contains(says)), "{:?}", degraded());
        assert_eq!(watertight("agent status").status.code(), Some(1), "not in order");
        flows.round();
        put("applied.yaml", &policy);
        until(applied_everywhere, "a good state heals");
        assert_eq!(degraded(), [""; 0]);
    }
    let tally = denied.end();
    assert_eq!((tally.came, flows.lost), (0, 0), "the last policy held all the time");
    assert!(tally.sent > 100);
}

/// More than the maps hold: refused before anything is published, with the object that it is due to; the last image stays.
#[test]
fn an_image_that_does_not_fit_is_refused_with_its_object_and_the_last_one_stays() {
    let Some(mut guarded) = Guarded::new() else { return };
    let (cluster, policy) = split();
    bed::up(&cluster);
    put("applied.yaml", &policy);
    guarded.start(&[]);
    let denied = Datagrams::denied(2_000);
    let epochs = |states: &[Value]| states.iter().map(|s| s["epoch"].as_u64().unwrap()).collect::<Vec<_>>();
    let before = epochs(&states());
    // One block more than the trie holds.
    let mut huge = format!("{policy}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n");
    huge.push_str("metadata: {name: huge, namespace: soak}\nspec:\n  podSelector: {matchLabels: {app: client}}\n  ingress:\n  - from:\n");
    for i in 0..65_600_u32 {
        let [_, a, b, c] = (i * 2).to_be_bytes();
        huge.push_str(&format!("    - ipBlock: {{cidr: 11.{a}.{b}.{c}/32}}\n"));
    }
    put("applied.yaml", &huge);
    let begun = Instant::now();
    until(|| !degraded().is_empty(), "the agents say that it does not fit");
    let said = degraded();
    say(&format!("refused after {:?}: {}", begun.elapsed(), said[0]));
    assert!(said.iter().all(|d| d.contains("soak/huge") && d.contains("65536")), "{said:?}");
    assert_eq!(epochs(&states()), before, "nothing was published");
    let refused = states();
    assert!(refused.iter().all(|s| s["revision"]["applied"].as_u64() < s["revision"]["seen"].as_u64()), "{refused:?}");
    put("applied.yaml", &policy);
    until(applied_everywhere, "a state that fits heals");
    let tally = denied.end();
    assert_eq!(tally.came, 0, "the last image held all the time");
}
