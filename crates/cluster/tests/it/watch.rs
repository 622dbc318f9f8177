//! A watched cluster is the cluster: whatever way the server says it, and whatever happens in between.
//!
//! A *history* is a list of states, each all the objects there are. It is played in several ways (as it is, in reverse, split
//! into single objects, squashed into one step, with everything said twice, with the watch cut or expired after each step),
//! and at its end the world must equal the one that is read from scratch.

use crate::etcd::{Etcd, NAMESPACES, NODES, PODS, POLICIES};
use crate::fake::{Fake, connection};
use serde_json::{Value, json};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use watertight_cluster::{Client, ReadOptions, State, WatchOptions, Watching, read, watch};
use watertight_ingest::{Input, Options};
use watertight_model::World;

/// A watch, and the states it gave.
pub(crate) struct Seen {
    pub(crate) watching: Watching,
    states: Arc<(Mutex<Vec<State>>, Condvar)>,
}

pub(crate) fn options() -> WatchOptions {
    let mut options = WatchOptions::new(|| 0.5);
    options.quiet = Duration::from_millis(2);
    options.most = Duration::from_millis(20);
    options.retry = Duration::from_millis(50);
    options.seldom = Duration::from_millis(200);
    options.healthy = Duration::from_millis(500);
    options.confirm = Duration::from_millis(100);
    options
}

impl Seen {
    pub(crate) fn of(fake: &Fake, options: WatchOptions) -> Self {
        let (_home, client) = connection(fake);
        Self::with(client, options)
    }

    pub(crate) fn with(client: Client, options: WatchOptions) -> Self {
        let states: Arc<(Mutex<Vec<State>>, Condvar)> = Arc::default();
        let out = Arc::clone(&states);
        let receive = move |state: &State| {
            out.0.lock().unwrap().push(state.clone());
            out.1.notify_all();
        };
        Self { watching: watch(client, options, receive).unwrap(), states }
    }

    /// The first state, of those that came and those to come, that is as wanted.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) -> State {
        let end = Instant::now() + Duration::from_secs(10);
        let mut states = self.states.0.lock().unwrap();
        loop {
            if let Some(state) = states.last().filter(|s| wanted(s)) {
                return state.clone();
            }
            let left = end.saturating_duration_since(Instant::now());
            let last = states.last().map(|s| (&s.world.unread, &s.lost, names(&s.world)));
            assert!(!left.is_zero(), "{what} never came; last: {last:?}, {:?}", self.watching.stats());
            states = self.states.1.wait_timeout(states, left).unwrap().0;
        }
    }

    pub(crate) fn all(&self) -> Vec<State> {
        self.states.0.lock().unwrap().clone()
    }
}

/// `namespace/name` of the pods.
pub(crate) fn names(world: &World) -> Vec<String> {
    (0..world.pods.len()).map(|i| world.pod_name(watertight_model::PodId::at(i))).collect()
}

pub(crate) fn has(state: &State, pod: &str) -> bool {
    names(&state.world).iter().any(|name| name == pod)
}

/// The world without its places and sources, which say how it was read.
pub(crate) fn meaning(world: &World) -> String {
    let whole = format!("{:?}", World { sources: Vec::new(), ..world.clone() });
    let mut out = String::new();
    let mut rest = whole.as_str();
    while let Some((before, after)) = rest.split_once("Origin {") {
        out.push_str(before);
        rest = after.split_once("} ").map_or(after, |(_, tail)| tail);
    }
    out + rest
}

/// The world of one reading, as a command that does not watch makes it.
pub(crate) fn from_scratch(fake: &Fake) -> World {
    let (_home, client) = connection(fake);
    let snapshot = read(&client, &ReadOptions::default()).unwrap();
    let texts = std::iter::once(snapshot.info_page()).chain(snapshot.pages.clone());
    let inputs: Vec<Input> = texts.map(|text| Input::Text { name: snapshot.name.clone(), text }).collect();
    watertight_ingest::read(&inputs, &Options::default()).unwrap().world
}

pub(crate) fn namespace(name: &str, team: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"team": team}}})
}

pub(crate) fn pod(namespace: &str, name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": namespace, "labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 80}]}]},
        "status": {"phase": "Running"}})
}

pub(crate) fn policy(namespace: &str, name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": namespace}, "spec": {"podSelector": {"matchLabels": {"app": app}},
        "ingress": [{"from": [{"podSelector": {}}]}]}})
}

/// All the objects there are, with the paths of their lists.
type Objects = Vec<(&'static str, Value)>;

fn history() -> Vec<Objects> {
    let node = || (NODES, json!({"metadata": {"name": "n1"}, "spec": {"podCIDR": "10.0.0.0/24"}}));
    vec![
        vec![node(), (NAMESPACES, namespace("shop", "a")), (PODS, pod("shop", "web", "web"))],
        // The pod's label changes, a policy comes; a pod is there before its namespace.
        vec![
            node(),
            (NAMESPACES, namespace("shop", "a")),
            (PODS, pod("shop", "web", "front")),
            (POLICIES, policy("shop", "p", "front")),
            (PODS, pod("pay", "db", "db")),
        ],
        // The namespace comes, with the same name of pod in it; the policy goes.
        vec![
            (NAMESPACES, namespace("shop", "b")),
            (NAMESPACES, namespace("pay", "a")),
            (PODS, pod("pay", "db", "db")),
            (PODS, pod("pay", "web", "web")),
            (POLICIES, policy("pay", "p", "web")),
        ],
        // A namespace goes before its pods.
        vec![(PODS, pod("pay", "db", "other")), (PODS, pod("shop", "late", "x")), (POLICIES, policy("pay", "p", "x"))],
        vec![
            (NAMESPACES, namespace("shop", "b")),
            (PODS, pod("shop", "late", "x")),
            (POLICIES, policy("shop", "q", "x")),
            (POLICIES, policy("shop", "p", "y")),
        ],
    ]
}

/// Makes the objects those of `to`, one change at a time; `step` is called after each.
fn go(etcd: &Etcd, from: &Objects, to: &Objects, step: &mut dyn FnMut()) {
    let same = |a: &(&str, Value), b: &(&str, Value)| {
        a.0 == b.0
            && a.1["metadata"]["name"] == b.1["metadata"]["name"]
            && a.1["metadata"]["namespace"] == b.1["metadata"]["namespace"]
    };
    for gone in from.iter().filter(|f| !to.iter().any(|t| same(f, t))) {
        etcd.delete(gone.0, &gone.1);
        step();
    }
    for there in to.iter().filter(|t| !from.contains(t)) {
        etcd.put(there.0, &there.1);
        step();
    }
}

/// Plays a history; `after` is called after each state, `step` after each change.
fn play(states: &[Objects], mut step: impl FnMut(&Etcd), mut after: impl FnMut(&Etcd, &Seen)) {
    let etcd = Etcd::default();
    let fake = Fake::start(etcd.cluster());
    let seen = Seen::of(&fake, options());
    let first = seen.until("a world", |_| true);
    assert!(first.world.pods.is_empty() && first.revision == 1);
    let mut from = Objects::new();
    for to in states {
        go(&etcd, &from, to, &mut || step(&etcd));
        after(&etcd, &seen);
        from.clone_from(to);
    }
    let wanted = meaning(&from_scratch(&fake));
    let last = seen.until("the last world", |s| meaning(&s.world) == wanted && s.lost.is_empty());
    assert_eq!(last.world.unread, []);
    let stats = seen.watching.stats();
    assert_eq!((stats.objects, stats.pending), (states.last().unwrap().len(), 0));
}

fn orders() -> Vec<Vec<Objects>> {
    let plain = history();
    let mut reversed = plain.clone();
    reversed.reverse();
    let inside: Vec<Objects> = plain.iter().map(|s| s.iter().rev().cloned().collect()).collect();
    let with_empty: Vec<Objects> = plain.iter().flat_map(|s| [Objects::new(), s.clone()]).collect();
    vec![plain, reversed, inside, with_empty]
}

#[test]
fn any_history_ends_in_the_world_that_is_read_from_scratch() {
    for states in orders() {
        play(&states, |_| {}, |_, _| {});
    }
}

#[test]
fn each_state_is_seen_and_is_the_one_read_from_scratch() {
    let etcd = Etcd::default();
    let fake = Fake::start(etcd.cluster());
    let seen = Seen::of(&fake, options());
    let mut from = Objects::new();
    for to in history() {
        go(&etcd, &from, &to, &mut || {});
        let wanted = meaning(&from_scratch(&fake));
        seen.until("a state", |s| meaning(&s.world) == wanted);
        from = to;
    }
    // All of that with one list per kind.
    let stats = seen.watching.stats();
    let lists: Vec<u64> = stats.kinds.iter().map(|k| k.lists.values().sum()).collect();
    let asked = |path: &str| fake.asked().iter().filter(|a| a.path == path && a.query.starts_with("limit")).count();
    assert!(lists.iter().all(|n| *n <= 1), "{stats:?}");
    // The fake has no groups but the built-in ones; each reading from scratch listed once more.
    assert_eq!(lists.iter().sum::<u64>(), 13);
    assert_eq!(asked(PODS), 1 + history().len());
    let revisions: Vec<u64> = seen.all().iter().map(|s| s.revision).collect();
    assert!(revisions.windows(2).all(|w| w[0] <= w[1]), "{revisions:?}");
}

#[test]
fn squashed_into_one_step() {
    let states = history();
    play(&states[states.len() - 1..], |_| {}, |_, _| {});
}

#[test]
fn slowly_one_object_at_a_time() {
    play(&history(), |_| std::thread::sleep(Duration::from_millis(8)), |_, _| {});
}

#[test]
fn everything_said_twice_and_in_the_wrong_words() {
    let etcd = Etcd::default();
    let fake = Fake::start(etcd.cluster());
    let seen = Seen::of(&fake, options());
    seen.until("a world", |_| true);
    let mut from = Objects::new();
    for to in history() {
        go(&etcd, &from, &to, &mut || {});
        for (path, object) in &to {
            etcd.event(path, "ADDED", object);
            etcd.event(path, "MODIFIED", object);
        }
        // Of an object that was never there.
        etcd.event(PODS, "DELETED", &pod("shop", "never", "x"));
        from = to;
    }
    let wanted = meaning(&from_scratch(&fake));
    seen.until("the last world", |s| meaning(&s.world) == wanted);
    // MODIFIED before ADDED, for an object that the list did not have.
    etcd.event(PODS, "MODIFIED", &pod("shop", "new", "x"));
    seen.until("a pod", |s| has(s, "shop/new"));
    etcd.event(PODS, "DELETED", &pod("shop", "new", "x"));
    seen.until("no pod", |s| !has(s, "shop/new"));
    let stats = seen.watching.stats();
    let pods = stats.kinds.iter().find(|k| k.what == "pods").unwrap();
    assert!(pods.idle_events > 5 && pods.events > pods.idle_events, "{pods:?}");
}

#[test]
fn with_the_watch_cut_after_each_change() {
    play(&history(), Etcd::cut, |_, _| {});
}

#[test]
fn with_the_log_forgotten_after_each_state() {
    play(&history(), |_| {}, |etcd, _| etcd.behind_its_back(|_| {}));
    play(
        &history(),
        |_| {},
        |etcd, _| {
            etcd.compact();
            std::thread::sleep(Duration::from_millis(20));
            etcd.cut();
        },
    );
}

#[test]
fn heartbeats_make_no_new_world() {
    let etcd = Etcd::default();
    etcd.put(
        NODES,
        &json!({"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
    );
    let fake = Fake::start(etcd.cluster());
    let seen = Seen::of(&fake, options());
    seen.until("a world", |_| true);
    for i in 0..20 {
        etcd.put(
            NODES,
            &json!({"metadata": {"name": "n1"}, "status": {"conditions": [
            {"type": "Ready", "status": "True", "lastHeartbeatTime": i.to_string()}]}}),
        );
    }
    etcd.put(PODS, &pod("shop", "end", "x"));
    seen.until("the end", |s| has(s, "shop/end"));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(seen.all().last().unwrap().revision, 2);
    let stats = seen.watching.stats();
    assert_eq!(stats.kinds.iter().find(|k| k.what == "nodes").map(|k| (k.events, k.idle_events)), Some((20, 20)));
    assert_eq!((stats.worlds, stats.pending), (2, 0));
    // That of the first world is no lag of a watch.
    assert!(stats.lag.samples == 1 && stats.lag.max >= stats.lag.p99 && stats.lag.p50 > Duration::ZERO, "{stats:?}");
}

#[test]
fn after_stop_nothing_is_received() {
    let etcd = Etcd::default();
    let fake = Fake::start(etcd.cluster());
    let seen = Seen::of(&fake, options());
    seen.until("a world", |_| true);
    let begun = Instant::now();
    let Seen { watching, states } = seen;
    watching.stop();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let count = states.0.lock().unwrap().len();
    etcd.put(PODS, &pod("shop", "late", "x"));
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(states.0.lock().unwrap().len(), count);
    assert_eq!(Arc::strong_count(&states), 1, "the receiver was dropped");
}
