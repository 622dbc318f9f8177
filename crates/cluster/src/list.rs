//! Reads one page of a list, object by object.
//!
//! Input: the JSON of a list. Output: one line of JSON per object, already slim, the continue token and the version. Objects are
//! dropped to what is kept of them one at a time: a page never exists as a whole tree in memory.

use crate::kinds::Kind;
use crate::slim::slim;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// An object, slim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// Empty for objects of the cluster.
    pub(crate) namespace: String,
    /// Empty if it has none, which no API server does.
    pub(crate) name: String,
    /// One line of JSON.
    pub(crate) line: String,
}

/// What is kept of an object as the API server gave it.
pub(crate) fn object(kind: &Kind, api_version: &str, object: Map<String, Value>) -> Object {
    let slim = slim(kind.shape, api_version, kind.kind, object);
    let meta =
        |field: &str| slim.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default();
    Object { namespace: meta("namespace").to_owned(), name: meta("name").to_owned(), line: slim.to_string() }
}

/// A page.
pub(crate) struct ListPage {
    /// The objects.
    pub(crate) items: Vec<Object>,
    /// The version of the list, from which it can be watched.
    pub(crate) resource_version: Option<String>,
    /// The continue token, if there are more pages.
    pub(crate) next: Option<String>,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(rename = "continue")]
    next: Option<String>,
    #[serde(rename = "resourceVersion")]
    resource_version: Option<String>,
}

/// The page that this text is.
pub(crate) fn parse(kind: &Kind, api_version: &str, text: &[u8]) -> Result<ListPage, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let page = PageSeed { kind, api_version }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(page)
}

#[derive(Clone, Copy)]
struct PageSeed<'a> {
    kind: &'a Kind,
    api_version: &'a str,
}

impl<'de> DeserializeSeed<'de> for PageSeed<'_> {
    type Value = ListPage;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ListPage, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PageSeed<'_> {
    type Value = ListPage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ListPage, A::Error> {
        let mut page = ListPage { items: Vec::new(), resource_version: None, next: None };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metadata" => {
                    let meta: Option<ListMeta> = map.next_value()?;
                    let meta = meta.unwrap_or_default();
                    page.next = meta.next.filter(|next| !next.is_empty());
                    page.resource_version = meta.resource_version.filter(|version| !version.is_empty());
                }
                "items" => page.items = map.next_value_seed(ItemsSeed(self))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(page)
    }
}

struct ItemsSeed<'a>(PageSeed<'a>);

impl<'de> DeserializeSeed<'de> for ItemsSeed<'_> {
    type Value = Vec<Object>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Object>, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_> {
    type Value = Vec<Object>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects")
    }

    /// Go writes an empty list as `null`.
    fn visit_none<E>(self) -> Result<Vec<Object>, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Object>, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Object>, A::Error> {
        let PageSeed { kind, api_version } = self.0;
        let mut objects = Vec::new();
        while let Some(item) = items.next_element::<Map<String, Value>>()? {
            objects.push(object(kind, api_version, item));
        }
        Ok(objects)
    }
}
