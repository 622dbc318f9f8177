//! A watch whose account may read only some namespaces, and one whose credentials run out.

use crate::etcd::Etcd;
use crate::fake::{Asked, Fake, Home, connection, kubeconfig, ok, status};
use crate::watch::{Seen, has, meaning, namespace, options, pod, policy};
use std::time::{Duration, Instant};
use watertight_cluster::{ReadOptions, WatchOptions, connect, read};
use watertight_ingest::{Input, Options};
use watertight_model::World;

const SHOP_PODS: &str = "/api/v1/namespaces/shop/pods";
const SHOP_POLICIES: &str = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies";

/// A server that refuses everything but namespace `shop`, and says its labels as `team`.
fn only_shop(etcd: &Etcd, team: &'static str) -> Fake {
    etcd.put(SHOP_PODS, &pod("shop", "web", "web"));
    etcd.put(SHOP_POLICIES, &policy("shop", "p", "web"));
    let mut cluster = etcd.cluster();
    cluster.rules.insert(0, Box::new(move |asked, _| refusal(asked, team)));
    Fake::start(cluster)
}

fn refusal(asked: &Asked, team: &str) -> Option<crate::fake::Reply> {
    match asked.path.as_str() {
        "/apis" | "/version" => None,
        "/api/v1/namespaces/shop" => Some(ok(namespace("shop", team))),
        path if path.contains("/namespaces/shop/") => None,
        _ => Some(status(403, "no")),
    }
}

fn of_two() -> WatchOptions {
    let mut options = options();
    options.namespaces = Some(vec!["shop".into(), "pay".into()]);
    options.look = Duration::from_millis(20);
    options
}

/// As a command that does not watch reads it.
fn read_once(fake: &Fake, namespaces: &[&str]) -> World {
    let (_home, client) = connection(fake);
    let namespaces = Some(namespaces.iter().map(|n| (*n).to_owned()).collect());
    let snapshot = read(&client, &ReadOptions { namespaces }).unwrap();
    let texts = std::iter::once(snapshot.info_page()).chain(snapshot.pages.clone());
    let inputs: Vec<Input> = texts.map(|text| Input::Text { name: snapshot.name.clone(), text }).collect();
    watertight_ingest::read(&inputs, &Options::default()).unwrap().world
}

#[test]
fn an_account_of_some_namespaces_follows_those_and_names_what_is_missing() {
    let etcd = Etcd::default();
    let fake = only_shop(&etcd, "a");
    let seen = Seen::of(&fake, of_two());
    let state = seen.until("a world", |_| true);
    assert_eq!(state.revision, 1, "no world before the namespaces were read");
    assert!(has(&state, "shop/web") && state.lost.is_empty());
    // The same as one reading, the words about what is missing included.
    assert_eq!(meaning(&state.world), meaning(&read_once(&fake, &["pay", "shop"])));
    let of_pods: Vec<_> = state.world.unread.iter().filter(|u| &*u.what == "pods").collect();
    assert_eq!(of_pods.len(), 2, "{of_pods:?}");
    assert!(of_pods[0].namespace.is_none() && of_pods[0].why.contains("(read in shop only)"), "{of_pods:?}");
    assert_eq!(of_pods[1].namespace.as_deref(), Some("pay"));

    // What changes there is followed, and so is the namespace itself.
    etcd.put(SHOP_PODS, &pod("shop", "api", "api"));
    seen.until("a change", |s| has(s, "shop/api"));
    let stats = seen.watching.stats();
    assert_eq!(stats.kinds.iter().find(|k| k.what == "pods").unwrap().events, 1, "{stats:?}");
    fake.change(|cluster| cluster.rules[0] = Box::new(|asked, _| refusal(asked, "b")));
    let team = |world: &World| world.namespaces[0].labels.get("team").map(ToString::to_string);
    seen.until("a label of the namespace", |s| team(&s.world).as_deref() == Some("b"));
}

#[test]
fn a_right_to_the_whole_that_comes_later_ends_the_parts() {
    let etcd = Etcd::default();
    let fake = only_shop(&etcd, "a");
    let seen = Seen::of(&fake, of_two());
    seen.until("a world", |s| has(s, "shop/web"));
    etcd.put(crate::etcd::PODS, &pod("pay", "db", "db"));
    etcd.put(crate::etcd::NAMESPACES, &namespace("pay", "a"));
    fake.change(|cluster| drop(cluster.rules.remove(0)));
    let whole = seen.until("the whole", |s| s.world.unread.is_empty());
    // The whole is what counts: what only the part had is gone.
    assert!(has(&whole, "pay/db") && !has(&whole, "shop/web"));
    etcd.put(SHOP_PODS, &pod("shop", "late", "x"));
    etcd.put(crate::etcd::PODS, &pod("pay", "late", "x"));
    let state = seen.until("the whole's change", |s| has(s, "pay/late"));
    assert!(!has(&state, "shop/late"), "nobody follows the part any more");
}

/// A server that accepts one token, and an account that has it from somewhere.
struct Login {
    etcd: Etcd,
    fake: Fake,
    home: Home,
}

impl Login {
    /// `user` is the kubeconfig's, with `FOLDER` for the folder of the file `token`.
    fn new(user: &str) -> Self {
        let etcd = Etcd::default();
        etcd.put(crate::etcd::PODS, &pod("shop", "web", "web"));
        let fake = Fake::start(etcd.cluster());
        let home = Home::new();
        let this = Self { etcd, fake, home };
        this.token("first");
        this.accept("first");
        let user = user.replace("FOLDER", &this.home.path().display().to_string());
        this.home.file("config", &kubeconfig(&format!("http://127.0.0.1:{}", this.fake.port), &user));
        this
    }

    /// What the account gets now.
    fn token(&self, token: &str) {
        self.home.file("token", token);
    }

    /// What the server accepts from now on.
    fn accept(&self, token: &str) {
        let wanted = format!("Bearer {token}");
        self.fake.change(|cluster| {
            if cluster.rules.len() > 1 {
                drop(cluster.rules.remove(0));
            }
            cluster.rules.insert(
                0,
                Box::new(move |asked, _| (!asked.headers.contains(&wanted)).then(|| status(401, "Unauthorized"))),
            );
        });
    }

    fn watch(&self) -> Seen {
        let client = connect(&crate::fake::access(Some(self.home.path().join("config")))).unwrap();
        Seen::with(client, options())
    }

    fn asked_with(&self, token: &str) -> bool {
        self.fake.asked().iter().any(|asked| asked.headers.contains(token))
    }
}

#[test]
fn a_token_that_is_rotated_is_read_again() {
    let login = Login::new("tokenFile: FOLDER/token");
    let seen = login.watch();
    seen.until("a world", |s| has(s, "shop/web"));
    login.token("second");
    login.accept("second");
    login.etcd.cut();
    login.etcd.put(crate::etcd::PODS, &pod("shop", "b", "x"));
    let state = seen.until("what came after it", |s| has(s, "shop/b"));
    assert!(state.lost.is_empty() && login.asked_with("second"), "{:?}", state.lost);
    let lists: u64 = seen.watching.stats().kinds.iter().find(|k| k.what == "pods").unwrap().lists.values().sum();
    assert_eq!(lists, 1, "the place is kept");
}

#[cfg(unix)]
#[test]
fn a_plugin_is_run_again_once_for_all_kinds_and_not_without_end() {
    let script = "echo run >> FOLDER/runs; \
                  printf '{\\\"kind\\\":\\\"ExecCredential\\\",\\\"status\\\":{\\\"token\\\":\\\"%s\\\"}}' $(cat FOLDER/token)";
    let login = Login::new(&format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Never, args: [-c, \"{script}\"]}}"
    ));
    let runs = || std::fs::read_to_string(login.home.path().join("runs")).unwrap().lines().count();
    let seen = login.watch();
    seen.until("a world", |s| has(s, "shop/web"));
    assert_eq!(runs(), 1);
    login.token("second");
    login.accept("second");
    login.etcd.cut();
    login.etcd.put(crate::etcd::PODS, &pod("shop", "b", "x"));
    seen.until("what came after it", |s| has(s, "shop/b") && s.lost.is_empty());
    assert_eq!(runs(), 2);

    // An account that is gone for good: nobody runs the plugin all the time, and the last world is said to be old.
    login.accept("third");
    login.etcd.cut();
    let state = seen.until("the loss", |s| s.lost.iter().any(|l| &*l.what == "pods"));
    assert!(state.lost.iter().any(|l| l.why.contains("credentials")), "{:?}", state.lost);
    std::thread::sleep(Duration::from_millis(300));
    assert!(runs() <= 3, "{}", runs());
    assert!(has(&state, "shop/b") && state.age(Instant::now()) > Duration::ZERO);
}

/// Another cluster under the same context is another cluster: its objects must not appear as changes of this one.
#[test]
fn a_kubeconfig_that_leads_elsewhere_by_now_is_not_followed() {
    let login = Login::new("tokenFile: FOLDER/token");
    let seen = login.watch();
    seen.until("a world", |s| has(s, "shop/web"));
    let other = Login::new("tokenFile: FOLDER/token");
    other.etcd.put(crate::etcd::PODS, &pod("shop", "other", "x"));
    let config = std::fs::read_to_string(other.home.path().join("config")).unwrap();
    login.home.file("config", &config);
    login.accept("second");
    login.etcd.cut();
    let state = seen.until("the loss", |s| s.lost.iter().any(|l| &*l.what == "pods"));
    std::thread::sleep(Duration::from_millis(100));
    assert!(has(&state, "shop/web") && other.fake.asked().is_empty());
}
