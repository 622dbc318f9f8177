//! Follows one kind: does what its [`Machine`] says, and tells [`Shared`] what came of it.

use super::WatchOptions;
use super::frames::{Event, Lines, Next, event};
use super::machine::{Cause, Ended, Machine, Pauses, Step};
use super::shared::{Shared, Slot};
use crate::client::{Answer, Client, whole};
use crate::error::AccessError;
use crate::kinds::Kind;
use crate::list::{ListPage, Object, object, parse};
use crate::read::{
    MAX_PAGES, PAGE, READY, RESTARTS, Served, broken, escaped, groups, holds, is_ready, refusal, version_path, versions,
};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Notify, Semaphore};
use tokio::task::JoinSet;
use watertight_model::Str;

/// A server's refusal of a watch is a few lines.
const MAX_REFUSAL: usize = 1 << 20;
/// Lists at one time: a page of each is in memory.
const LISTS: usize = 4;
/// After so many answers that are failures of the server's own, a kind that was never read is called unread.
const ATTEMPTS: u32 = 4;
/// After how long the server should end a watch by itself.
const WATCH_SECONDS: u32 = 300;
/// What was learnt about API groups is asked for again when it is older.
const GROUPS_AGE: Duration = Duration::from_secs(5);

/// What all followers share.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: WatchOptions,
    /// To fall back on.
    pub(crate) namespaces: Vec<Str>,
    lists: Semaphore,
    /// The server answers: who waits for it need not.
    back: Notify,
    groups: Mutex<Option<(Instant, Served)>>,
}

impl Context {
    pub(crate) fn new(client: Client, shared: Arc<Shared>, options: WatchOptions, namespaces: Vec<Str>) -> Self {
        Self {
            client,
            shared,
            options,
            namespaces,
            lists: Semaphore::new(LISTS),
            back: Notify::new(),
            groups: Mutex::new(None),
        }
    }

    /// The server's API groups. Many kinds ask at one time, one request is made.
    async fn served(&self) -> Result<Served, Ended> {
        const PATH: &str = "/apis";
        let mut known = self.groups.lock().await;
        if let Some((at, served)) = known.as_ref().filter(|(at, _)| at.elapsed() < GROUPS_AGE) {
            let _ = at;
            return Ok(served.clone());
        }
        let ready = self.client.ask(READY).await.map_err(|e| failed(&e))?;
        if !is_ready(&ready) {
            return Err(Ended::Busy(ready.retry_after, format!("the server is not ready (status {})", ready.status)));
        }
        let answer = self.client.ask(PATH).await.map_err(|e| failed(&e))?;
        let served = match answer.status {
            200 => Some(groups(&answer).map_err(|e| Ended::Failed(broken(&e)))?),
            401 => return Err(unauthorized()),
            429 | 500..=599 => return Err(Ended::Busy(answer.retry_after, refusal(answer.status, &answer))),
            _ => None,
        };
        *known = Some((Instant::now(), served.clone()));
        Ok(served)
    }
}

/// Follows a kind in one place, for ever. Where the cluster is refused, each namespace is followed instead, until it is not.
pub(crate) async fn follow(context: Arc<Context>, kind: &'static Kind, slot: Slot) {
    let options = &context.options;
    let timeouts = context.client.timeouts();
    let mut machine = Machine::new(Pauses {
        first: timeouts.backoff,
        most: options.retry,
        retry_after: timeouts.retry_after,
        seldom: options.seldom,
        healthy: options.healthy,
    });
    let namespace = slot.place.checked_sub(1).and_then(|place| context.namespaces.get(place)).map(|name| escaped(name));
    // Ends with this task, which ends with the runtime.
    let mut parts = JoinSet::new();
    let mut version = String::new();
    let mut doubt = Doubt::default();
    loop {
        let begun = Instant::now();
        let follower = Follower { context: &context, kind, slot, namespace: namespace.as_deref() };
        let step = machine.step().clone();
        let ended = match (&step, follower.single()) {
            (Step::List(cause), None) => follower.list(*cause, &mut version).await,
            (Step::List(cause), Some(path)) => follower.look(*cause, &path).await,
            (Step::Watch(from), None) => follower.watch(&version, from.clone()).await,
            (Step::Watch(_), Some(path)) => follower.look_again(&path).await,
        };
        if doubt.listed && matches!(ended, Ended::Absent(_)) {
            // What was learnt a moment ago may be what is wrong.
            *context.groups.lock().await = None;
        }
        let ended = doubt.about(ended, options.confirm);
        let pause = machine.ended(&ended, begun.elapsed(), (options.jitter)());
        let listing = matches!(step, Step::List(_));
        let instead = context.shared.ended(slot, &ended, listing, machine.failures() >= ATTEMPTS);
        if matches!(ended, Ended::Listed(_) | Ended::Absent(_)) {
            parts.abort_all();
            parts.detach_all();
        } else if instead && parts.is_empty() {
            for place in 1..=context.namespaces.len() {
                parts.spawn(part(Arc::clone(&context), kind, Slot { kind: slot.kind, place }));
            }
        }
        if matches!(ended, Ended::Failed(_)) {
            // Another kind may find the server before that.
            let _ = tokio::time::timeout(pause, context.back.notified()).await;
        } else if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

/// A kind that was there and is not: gone, or a server that has not come up wholly, or one behind a balancer that never had it.
/// It is believed when it is still so after a while; until then the objects that were read stand, and are said to be old.
#[derive(Default)]
struct Doubt {
    listed: bool,
    since: Option<Instant>,
}

impl Doubt {
    fn about(&mut self, ended: Ended, confirm: Duration) -> Ended {
        match ended {
            Ended::Absent(gap) if self.listed => {
                if self.since.get_or_insert_with(Instant::now).elapsed() < confirm {
                    return Ended::Busy(None, "the server does not have it at the moment".to_owned());
                }
                *self = Self::default();
                Ended::Absent(gap)
            }
            Ended::Listed(_) => {
                *self = Self { listed: true, since: None };
                ended
            }
            ended => ended,
        }
    }
}

/// The same in a box: [`follow`] would otherwise contain itself.
fn part(context: Arc<Context>, kind: &'static Kind, slot: Slot) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(follow(context, kind, slot))
}

struct Follower<'a> {
    context: &'a Context,
    kind: &'static Kind,
    slot: Slot,
    /// Only this namespace, ready for a URL.
    namespace: Option<&'a str>,
}

impl Follower<'_> {
    /// The path of the one object that is to be followed: a namespace, where not all may be listed. A right that is bound
    /// in a namespace covers reading that namespace by name, and no list of namespaces.
    fn single(&self) -> Option<String> {
        let name = self.namespace.filter(|_| !self.kind.namespaced)?;
        Some(format!("{}/{name}", self.kind.path(self.kind.versions[0], None)))
    }

    /// Reads the one object.
    async fn look(&self, cause: Cause, path: &str) -> Ended {
        self.context.shared.counted(self.slot, |stats| *stats.lists.entry(cause).or_default() += 1);
        match self.one(path).await {
            Ok(object) => {
                self.context.shared.listed(self.slot, vec![object]);
                Ended::Listed(String::new())
            }
            Err(ended) => ended,
        }
    }

    /// Reads it again and again.
    async fn look_again(&self, path: &str) -> Ended {
        self.context.shared.followed(self.slot);
        loop {
            tokio::time::sleep(self.context.options.look).await;
            match self.one(path).await {
                Ok(object) => self.context.shared.put(self.slot, object),
                Err(ended) => return ended,
            }
        }
    }

    async fn one(&self, path: &str) -> Result<Object, Ended> {
        let answer = self.context.client.ask(path).await.map_err(|e| failed(&e))?;
        match answer.status {
            200 => {}
            404 => return Err(Ended::Absent(Some("not found".to_owned()))),
            _ => return Err(listing_refused(&answer)),
        }
        let parsed = serde_json::from_slice(&answer.body).map_err(|e| Ended::Failed(broken(&e)))?;
        Ok(object(self.kind, &self.kind.api_version(self.kind.versions[0]), parsed))
    }

    /// Lists the kind in the best version that the server has, which is left in `version`.
    async fn list(&self, cause: Cause, version: &mut String) -> Ended {
        let _turn = self.context.lists.acquire().await;
        let served = match self.context.served().await {
            Ok(served) => served,
            Err(ended) => return ended,
        };
        let candidates = match versions(self.kind, &served) {
            Ok(candidates) => candidates,
            Err(offered) => return self.not_understood(offered).await,
        };
        for candidate in candidates {
            self.context.shared.counted(self.slot, |stats| *stats.lists.entry(cause).or_default() += 1);
            match self.whole_list(&candidate).await {
                Ok((objects, at)) => {
                    *version = candidate;
                    self.context.shared.listed(self.slot, objects);
                    self.context.back.notify_waiters();
                    return Ended::Listed(at);
                }
                Err(Ended::Absent(_)) => {}
                Err(ended) => return ended,
            }
        }
        Ended::Absent(self.kind.required.then(|| "the server does not have this kind".to_owned()))
    }

    /// The group is there in other versions only: a gap, if one of them has the kind.
    async fn not_understood(&self, mut offered: Vec<String>) -> Ended {
        offered.sort();
        offered.dedup();
        let mut there = Vec::new();
        for version in offered {
            let answer = match self.context.client.ask(&version_path(self.kind, &version)).await {
                Ok(answer) => answer,
                Err(error) => return failed(&error),
            };
            match answer.status {
                401 => return unauthorized(),
                429 | 500..=599 => return Ended::Busy(answer.retry_after, refusal(answer.status, &answer)),
                _ => {}
            }
            match holds(self.kind, &answer) {
                Ok(true) => there.push(version),
                Ok(false) => {}
                Err(error) => return Ended::Failed(broken(&error)),
            }
        }
        let there = crate::words::one_line(&there.join(", "));
        let gap = (!there.is_empty()).then(|| format!("the server has it in {there} only, which is not understood"));
        Ended::Absent(gap)
    }

    /// All pages. A continue token that expires begins the list again, and at last it is asked for in one piece.
    async fn whole_list(&self, version: &str) -> Result<(Vec<Object>, String), Ended> {
        for _ in 0..=RESTARTS {
            match self.pages(version, Some(PAGE)).await {
                Err(Ended::Expired(_)) => {}
                other => return other,
            }
        }
        self.pages(version, None).await
    }

    async fn pages(&self, version: &str, limit: Option<usize>) -> Result<(Vec<Object>, String), Ended> {
        let path = self.kind.path(version, self.namespace);
        let mut objects = Vec::new();
        let mut from: Option<String> = None;
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let limit = limit.map_or_else(String::new, |limit| format!("?limit={limit}"));
            let next = token.as_ref().map_or_else(String::new, |token| format!("&continue={}", escaped(token)));
            let answer = self.context.client.ask(&format!("{path}{limit}{next}")).await.map_err(|e| failed(&e))?;
            if answer.status != 200 {
                return Err(listing_refused(&answer));
            }
            let page = parse(self.kind, &self.kind.api_version(version), &answer.body);
            let ListPage { items, resource_version, next } = page.map_err(|e| Ended::Failed(broken(&e)))?;
            if items.iter().any(|o| o.name.is_empty() || o.namespace.is_empty() == self.kind.namespaced) {
                return Err(Ended::Failed("an object without a name, or in the wrong place".to_owned()));
            }
            objects.extend(items);
            // Pages are of one version. If they are not, the earliest misses nothing.
            from = from.or(resource_version);
            let repeated = next.is_some() && next == token;
            match (next, from.take()) {
                (None, Some(from)) => return Ok((objects, from)),
                (None, None) => return Err(Ended::Failed("a list without a resourceVersion".to_owned())),
                (Some(_), _) if repeated || limit.is_empty() => {
                    return Err(Ended::Failed("a list that does not end".to_owned()));
                }
                (next, first) => (token, from) = (next, first),
            }
        }
        Err(Ended::Failed(format!("more than {MAX_PAGES} pages")))
    }

    async fn watch(&self, version: &str, from: String) -> Ended {
        let path = self.kind.path(version, self.namespace);
        let url = format!(
            "{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={}",
            escaped(&from)
        );
        let response = match self.context.client.open(&url).await {
            Ok(response) => response,
            Err(error) => return failed(&error),
        };
        if response.status() != 200 {
            return match whole(response, MAX_REFUSAL).await {
                Ok(answer) => watch_ended(answer.status, answer.retry_after, refusal(answer.status, &answer)),
                Err(fault) => Ended::Failed(crate::words::one_line(&format!("{fault:?}"))),
            };
        }
        let shared = &self.context.shared;
        shared.followed(self.slot);
        self.context.back.notify_waiters();
        let api_version = self.kind.api_version(version);
        let mut at = from;
        let mut lines = Lines::new(response.into_body());
        loop {
            let line = match lines.next(self.context.options.idle).await {
                Next::Line(line) => line,
                Next::End(cut) => {
                    shared.counted(self.slot, |stats| stats.cut += u64::from(cut));
                    return Ended::Closed(at);
                }
                // The connection may be dead without knowing it. Another one goes on at the same place.
                Next::Silence => {
                    shared.counted(self.slot, |stats| stats.silent += 1);
                    return Ended::Closed(at);
                }
                Next::Broken => return Ended::Closed(at),
                Next::TooLong => return Ended::Garbage("an event larger than any object".to_owned()),
            };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match event(self.kind, &api_version, &line) {
                Ok(Event::Put(object, version)) => {
                    shared.put(self.slot, object);
                    at = version;
                }
                Ok(Event::Delete(object, version)) => {
                    shared.remove(self.slot, object);
                    at = version;
                }
                Ok(Event::Bookmark(version)) => {
                    shared.heard(self.slot);
                    at = version;
                }
                Ok(Event::Error(status, after, why)) => return watch_ended(status, after, why),
                Err(why) => return Ended::Garbage(why),
            }
        }
    }
}

fn failed(error: &AccessError) -> Ended {
    match error {
        AccessError::BadAnswer { why, .. } => Ended::Failed(why.clone()),
        error => Ended::Failed(error.to_string()),
    }
}

fn unauthorized() -> Ended {
    Ended::Failed("the credentials are not accepted (any more)".to_owned())
}

fn listing_refused(answer: &Answer) -> Ended {
    let why = refusal(answer.status, answer);
    match answer.status {
        401 => unauthorized(),
        403 => Ended::Refused(why),
        404 => Ended::Absent(None),
        410 => Ended::Expired(why),
        _ => Ended::Busy(answer.retry_after, why),
    }
}

/// What a status means, at the start of a watch or on it.
fn watch_ended(status: u16, after: Option<Duration>, why: String) -> Ended {
    match status {
        401 => unauthorized(),
        403 => Ended::Refused(format!("it may be listed but not watched: {why}")),
        429 | 500 | 502 | 503 => Ended::Busy(after, why),
        // 410, and 504 for a version that is in the server's future (a restored backup). What else there is (404 when a CRD
        // is deleted, 400 for a version that it does not take) is found out by a list.
        _ => Ended::Expired(why),
    }
}
