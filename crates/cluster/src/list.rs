//! Reads one page of a list, object by object.
//!
//! Input: the JSON of a list. Output: one line of JSON per object, already slim, and the continue token. Objects are
//! dropped to what is kept of them one at a time: a page never exists as a whole tree in memory.

use crate::kinds::Kind;
use crate::slim::slim;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// A page.
pub(crate) struct ListPage {
    /// The objects, each one line of JSON.
    pub(crate) items: Vec<String>,
    /// The continue token, if there are more pages.
    pub(crate) next: Option<String>,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(rename = "continue")]
    next: Option<String>,
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
        let mut page = ListPage { items: Vec::new(), next: None };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metadata" => {
                    let meta: Option<ListMeta> = map.next_value()?;
                    page.next = meta.unwrap_or_default().next.filter(|next| !next.is_empty());
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
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects")
    }

    /// Go writes an empty list as `null`.
    fn visit_none<E>(self) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
        let PageSeed { kind, api_version } = self.0;
        let mut lines = Vec::new();
        while let Some(object) = items.next_element::<Map<String, Value>>()? {
            lines.push(slim(kind.shape, api_version, kind.kind, object).to_string());
        }
        Ok(lines)
    }
}
