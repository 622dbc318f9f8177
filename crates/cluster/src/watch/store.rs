//! The objects of a cluster as text, by kind and name, and which of them changed.
//!
//! Input: whole lists and single events. Output: the changes since they were last taken, one per object, however often it
//! changed: whoever is slow gets fewer and newer changes, never a longer queue. A text that is the same as before is no
//! change (the heartbeat of a node, a status that nobody needs). Bounded in bytes; what does not fit is counted.

use crate::list::Object;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// An object: index of its kind, namespace (empty for objects of the cluster), name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) kind: usize,
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// A change to an object.
pub(crate) struct Change {
    pub(crate) id: Id,
    /// Its text; `None`: it is gone.
    pub(crate) text: Option<Arc<str>>,
    /// When the first of the changes that this one stands for was received.
    pub(crate) received: Instant,
}

/// Objects as text.
pub(crate) struct Store {
    texts: BTreeMap<Id, Arc<str>>,
    changed: BTreeMap<Id, Instant>,
    bytes: usize,
    most: usize,
    /// When the first and the last of the changes were received.
    since: Option<(Instant, Instant)>,
}

/// Which objects of a kind a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About<'a> {
    /// All of the cluster.
    All,
    /// Those of a namespace.
    Namespace(&'a str),
    /// The one of this name.
    Name(&'a str),
}

/// The bound was reached: the object is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Store {
    /// An empty store of at most so many bytes of text and names.
    pub(crate) fn new(most: usize) -> Self {
        Self { texts: BTreeMap::new(), changed: BTreeMap::new(), bytes: 0, most, since: None }
    }

    /// Sets an object; true if that changes anything. If it does not fit, it is not there: an old text would be wrong.
    pub(crate) fn put(&mut self, kind: usize, object: Object, now: Instant) -> Result<bool, Full> {
        let id = Id { kind, namespace: object.namespace.into(), name: object.name.into() };
        let old = self.texts.get(&id);
        if old.is_some_and(|text| **text == *object.line) {
            return Ok(false);
        }
        let names = id.namespace.len() + id.name.len();
        let freed = old.map_or(0, |text| text.len() + names);
        let bytes = self.bytes - freed + object.line.len() + names;
        if bytes > self.most {
            self.remove(&id, now);
            return Err(Full);
        }
        self.bytes = bytes;
        self.texts.insert(id.clone(), object.line.into());
        self.note(id, now);
        Ok(true)
    }

    /// Removes an object; true if it was there.
    pub(crate) fn remove(&mut self, id: &Id, now: Instant) -> bool {
        let Some(text) = self.texts.remove(id) else { return false };
        self.bytes -= text.len() + id.namespace.len() + id.name.len();
        self.note(id.clone(), now);
        true
    }

    /// Replaces all objects of a kind that a list was about; gives how many did not fit. Objects that are not in the list are
    /// gone.
    pub(crate) fn replace(&mut self, kind: usize, about: About<'_>, objects: Vec<Object>, now: Instant) -> usize {
        let mut names: Vec<(&str, &str)> = objects.iter().map(|o| (o.namespace.as_str(), o.name.as_str())).collect();
        names.sort_unstable();
        let meant = self.of_kind(kind).filter(|id| match about {
            About::All => true,
            About::Namespace(namespace) => *id.namespace == *namespace,
            About::Name(name) => *id.name == *name,
        });
        let gone = meant.filter(|id| names.binary_search(&(&*id.namespace, &*id.name)).is_err());
        let gone: Vec<Id> = gone.cloned().collect();
        for id in gone {
            self.remove(&id, now);
        }
        objects.into_iter().filter_map(|object| self.put(kind, object, now).err()).count()
    }

    fn of_kind(&self, kind: usize) -> impl Iterator<Item = &Id> {
        let first = |kind| Id { kind, namespace: "".into(), name: "".into() };
        self.texts.range(first(kind)..first(kind + 1)).map(|(id, _)| id)
    }

    fn note(&mut self, id: Id, now: Instant) {
        self.changed.entry(id).or_insert(now);
        self.since = Some((self.since.map_or(now, |(first, _)| first), now));
    }

    /// When the first and the last of the changes were received that nobody has taken.
    pub(crate) fn since(&self) -> Option<(Instant, Instant)> {
        self.since
    }

    /// The changes since this was last called.
    pub(crate) fn take(&mut self) -> Vec<Change> {
        self.since = None;
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.map(|(id, received)| Change { text: self.texts.get(&id).cloned(), id, received }).collect()
    }

    /// Objects that changed and were not taken.
    pub(crate) fn pending(&self) -> usize {
        self.changed.len()
    }

    /// Objects, and bytes of text and names.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.texts.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, line: &str) -> Object {
        Object { namespace: "n".into(), name: name.into(), line: line.into() }
    }

    fn taken(store: &mut Store) -> Vec<(String, Option<String>)> {
        store.take().into_iter().map(|c| (c.id.name.to_string(), c.text.map(|t| t.to_string()))).collect()
    }

    fn line(name: &str, text: Option<&str>) -> (String, Option<String>) {
        (name.to_owned(), text.map(str::to_owned))
    }

    #[test]
    fn changes_are_one_per_object_and_equal_texts_are_none() {
        let now = Instant::now();
        let mut store = Store::new(1_000);
        assert_eq!(store.put(0, object("a", "1"), now), Ok(true));
        assert_eq!(store.put(0, object("a", "2"), now), Ok(true));
        assert_eq!(store.put(0, object("a", "2"), now), Ok(false));
        assert_eq!((store.pending(), store.size()), (1, (1, 3)));
        assert_eq!(taken(&mut store), [line("a", Some("2"))]);
        assert_eq!(store.put(0, object("a", "2"), now), Ok(false));
        assert!(store.since().is_none() && taken(&mut store).is_empty());
        let id = Id { kind: 0, namespace: "n".into(), name: "a".into() };
        assert!(store.remove(&id, now) && !store.remove(&id, now));
        assert_eq!(taken(&mut store), [line("a", None)]);
        assert_eq!(store.size(), (0, 0));
    }

    #[test]
    fn a_list_replaces_its_kind_and_no_other() {
        let now = Instant::now();
        let mut store = Store::new(1_000);
        for kind in 0..3 {
            assert_eq!(store.replace(kind, About::All, vec![object("a", "1"), object("b", "1")], now), 0);
        }
        store.take();
        assert_eq!(store.replace(1, About::All, vec![object("b", "1"), object("c", "1")], now), 0);
        assert_eq!(taken(&mut store), [line("a", None), line("c", Some("1"))]);
        assert_eq!(store.replace(1, About::All, Vec::new(), now), 0);
        assert_eq!(store.size().0, 4);
    }

    #[test]
    fn a_list_of_one_namespace_or_name_leaves_the_others() {
        let now = Instant::now();
        let mut store = Store::new(1_000);
        let of = |namespace: &str, name: &str| Object { namespace: namespace.into(), ..object(name, "1") };
        store.replace(0, About::All, vec![of("n", "a"), of("n", "b"), of("m", "a")], now);
        store.take();
        assert_eq!(store.replace(0, About::Namespace("n"), vec![of("n", "b")], now), 0);
        assert_eq!(taken(&mut store), [line("a", None)]);
        assert_eq!(store.replace(0, About::Namespace("x"), Vec::new(), now), 0);
        store.replace(1, About::All, vec![of("", "n"), of("", "m")], now);
        store.take();
        assert_eq!(store.replace(1, About::Name("m"), Vec::new(), now), 0);
        assert_eq!((taken(&mut store), store.size().0), (vec![line("m", None)], 3));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_an_old_text_does_not_stay() {
        let now = Instant::now();
        let mut store = Store::new(10);
        assert_eq!(store.replace(0, About::All, vec![object("a", "123"), object("b", "123")], now), 0);
        assert_eq!(store.put(0, object("c", "1"), now), Err(Full));
        assert_eq!(store.put(0, object("a", "1234"), now), Err(Full));
        assert_eq!(store.size(), (1, 5));
        store.take();
        assert_eq!(store.put(0, object("c", "1"), now), Ok(true));
        assert_eq!(
            store.replace(0, About::All, vec![object("a", "123"), object("b", "123"), object("c", "1")], now),
            1
        );
    }
}
