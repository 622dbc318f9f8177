//! What goes wrong on a watch, and that the world is right afterwards and says what is missing.

use crate::etcd::{Etcd, NODES, PODS, POLICIES};
use crate::fake::{Fake, Reply, status};
use crate::watch::{Seen, from_scratch, has, meaning, options, pod};
use std::time::{Duration, Instant};
use watertight_cluster::watch::{Cause, KindStats};

fn started() -> (Etcd, Fake, Seen) {
    let etcd = Etcd::default();
    etcd.put(PODS, &pod("shop", "web", "web"));
    let fake = Fake::start(etcd.cluster());
    let seen = Seen::of(&fake, options());
    seen.until("a world", |s| has(s, "shop/web"));
    (etcd, fake, seen)
}

fn pods(seen: &Seen) -> KindStats {
    seen.watching.stats().kinds.into_iter().find(|k| k.what == "pods").unwrap()
}

fn lists(seen: &Seen, cause: Cause) -> u64 {
    pods(seen).lists.get(&cause).copied().unwrap_or_default()
}

#[test]
fn an_expired_watch_is_listed_anew_as_event_and_as_status() {
    let (etcd, fake, seen) = started();
    etcd.raw(PODS, b"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"too old\"}}\n");
    etcd.put(PODS, &pod("shop", "b", "x"));
    seen.until("what came after it", |s| has(s, "shop/b") && s.lost.is_empty());
    assert_eq!(lists(&seen, Cause::Expired), 1);
    // Deleted while nobody watched: it must disappear with the list.
    etcd.behind_its_back(|etcd| etcd.delete(PODS, &pod("shop", "b", "x")));
    let state = seen.until("the deletion", |s| !has(s, "shop/b"));
    assert_eq!(meaning(&state.world), meaning(&from_scratch(&fake)));
    assert_eq!(lists(&seen, Cause::Expired), 2);
}

#[test]
fn an_event_that_is_cut_off_is_not_applied_and_comes_again() {
    let (etcd, _fake, seen) = started();
    etcd.raw(PODS, b"{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",");
    std::thread::sleep(Duration::from_millis(50));
    etcd.cut();
    etcd.put(PODS, &pod("shop", "b", "x"));
    let state = seen.until("what came after it", |s| has(s, "shop/b"));
    assert!(has(&state, "shop/web"));
    assert!(pods(&seen).cut >= 1);
}

#[test]
fn a_line_that_cannot_be_understood_leads_to_a_list() {
    let (etcd, _fake, seen) = started();
    etcd.raw(PODS, b"garbage\n");
    etcd.put(PODS, &pod("shop", "b", "x"));
    seen.until("what came after it", |s| has(s, "shop/b") && s.lost.is_empty());
    assert_eq!((lists(&seen, Cause::Garbage), lists(&seen, Cause::Expired)), (1, 0));
}

#[test]
fn a_silent_watch_is_opened_again_without_a_list() {
    let etcd = Etcd::default();
    let fake = Fake::start(etcd.cluster());
    let mut short = options();
    short.idle = Duration::from_millis(40);
    let seen = Seen::of(&fake, short);
    seen.until("a world", |_| true);
    let end = Instant::now() + Duration::from_secs(5);
    while pods(&seen).silent < 2 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    etcd.bookmark(PODS);
    etcd.put(PODS, &pod("shop", "b", "x"));
    seen.until("a pod", |s| has(s, "shop/b"));
    let stats = pods(&seen);
    assert!(stats.silent >= 2 && stats.watches >= 3 && stats.lists.values().sum::<u64>() == 1, "{stats:?}");
}

#[test]
fn what_is_forbidden_is_named_and_what_was_read_stays() {
    let (etcd, fake, seen) = started();
    assert!(seen.all().iter().all(|s| s.world.unread.is_empty()));
    fake.change(|cluster| cluster.rules.insert(0, Box::new(|a, _| (a.path == PODS).then(|| status(403, "no")))));
    etcd.cut();
    let state = seen.until("the refusal", |s| !s.world.unread.is_empty());
    assert_eq!((&*state.world.unread[0].what, state.world.unread.len()), ("pods", 1));
    assert!(has(&state, "shop/web"));
    fake.change(|cluster| drop(cluster.rules.remove(0)));
    seen.until("the right again", |s| s.world.unread.is_empty());
}

#[test]
fn a_server_that_is_away_leaves_the_last_world_and_its_age() {
    let (etcd, fake, seen) = started();
    fake.change(|cluster| cluster.rules.insert(0, Box::new(|_, _| Some(Reply::Hangup))));
    etcd.cut();
    let state = seen.until("the loss", |s| s.lost.iter().any(|l| l.what.as_ref() == "pods"));
    assert!(has(&state, "shop/web") && state.age(Instant::now()) > Duration::ZERO);
    etcd.put(NODES, &serde_json::json!({"metadata": {"name": "n1"}}));
    fake.change(|cluster| drop(cluster.rules.remove(0)));
    let state = seen.until("the server again", |s| s.lost.is_empty() && s.world.nodes.len() == 1);
    assert_eq!(state.age(Instant::now()), Duration::ZERO);
    assert_eq!(pods(&seen).lists.values().sum::<u64>(), 1, "no list was needed");
}

#[test]
fn a_busy_server_is_left_alone_as_long_as_it_says() {
    let (etcd, fake, seen) = started();
    let busy = Reply::Full(429, vec!["Retry-After: 1".into()], "{}".into());
    let rule = move |a: &crate::fake::Asked, _| (a.path == PODS).then(|| busy.clone());
    fake.change(|cluster| cluster.rules.insert(0, Box::new(rule)));
    let before = fake.times(PODS);
    etcd.cut();
    std::thread::sleep(Duration::from_millis(600));
    fake.change(|cluster| drop(cluster.rules.remove(0)));
    etcd.put(PODS, &pod("shop", "b", "x"));
    assert!(fake.times(PODS) - before <= 2, "{}", fake.times(PODS) - before);
    seen.until("a pod", |s| has(s, "shop/b"));
}

/// An API server that starts serves the first of its kinds before the last, and says of the others that it has none.
#[test]
fn a_server_that_is_not_ready_does_not_make_policies_disappear() {
    let (etcd, fake, seen) = started();
    etcd.put(POLICIES, &crate::watch::policy("shop", "p", "web"));
    seen.until("a policy", |s| s.world.policies.len() == 1);
    // It has come up so far: no groups, and none of their kinds.
    let half = |a: &crate::fake::Asked| match a.path.as_str() {
        "/readyz" => Some(status(500, "[-]poststarthook/rbac failed")),
        "/apis" => Some(crate::fake::ok(serde_json::json!({"groups": []}))),
        path => path.starts_with("/apis/").then(|| status(404, "not found")),
    };
    fake.change(|cluster| cluster.rules.insert(0, Box::new(move |a, _| half(a))));
    etcd.compact();
    etcd.cut();
    let state = seen.until("the loss", |s| s.lost.iter().any(|l| l.what.starts_with("networkpolicies")));
    std::thread::sleep(Duration::from_millis(300));
    assert!(seen.all().iter().skip(1).all(|s| s.world.unread.is_empty()), "nothing is called absent");
    assert_eq!(state.world.policies.len(), 1);
    fake.change(|cluster| drop(cluster.rules.remove(0)));
    let state = seen.until("the server again", |s| s.lost.is_empty());
    assert_eq!(state.world.policies.len(), 1);
    // One reading is no better: it is refused.
    fake.change(|cluster| cluster.rules.insert(0, Box::new(move |a, _| half(a))));
    let (_home, client) = crate::fake::connection(&fake);
    let error = watertight_cluster::read(&client, &watertight_cluster::ReadOptions::default()).unwrap_err();
    assert!(matches!(error, watertight_cluster::AccessError::Overloaded { status: 500, .. }), "{error}");
}

/// Without that page there is the second guard: what disappears must stay away for a while.
#[test]
fn a_kind_that_is_absent_for_a_moment_is_not_gone_and_one_that_stays_away_is() {
    let (etcd, fake, seen) = started();
    etcd.put(POLICIES, &crate::watch::policy("shop", "p", "web"));
    seen.until("a policy", |s| s.world.policies.len() == 1);
    let gone = |a: &crate::fake::Asked| (a.path == POLICIES).then(|| status(404, "not found"));
    fake.change(|cluster| cluster.rules.insert(0, Box::new(move |a, _| gone(a))));
    etcd.compact();
    etcd.cut();
    let state = seen.until("the loss", |s| s.lost.iter().any(|l| l.what.starts_with("networkpolicies")));
    assert_eq!((state.world.policies.len(), state.world.unread.len()), (1, 0));
    let state = seen.until("the end", |s| s.world.policies.is_empty());
    assert!(state.world.unread.iter().any(|u| u.what.starts_with("networkpolicies")), "{:?}", state.world.unread);
}
