//! A record as it was sent: a JSON tree that keeps what the coercion table needs and a usual parser loses.
//!
//! Numbers stay their own text (so `1e999` and integers beyond 2^53 can be refused by name), duplicate keys are
//! found at any depth, and depth and width are limited. Pointers are built only for places that are told of: a key may
//! be as long as the body, and a pointer for each of its children would be the square of that. Refuses to know of
//! integrations.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Deepest nesting of a record. Field paths are written by people; nobody names a field at level 32.
const MAX_DEPTH: usize = 32;
/// Most keys in one object: twenty times the attribute cap.
const MAX_KEYS: usize = 2_000;
/// Most items with nulls that are kept of an array: as many as an answer names.
const MAX_NULL_ITEMS: usize = 1_000;
/// How much of a key a message shows, in characters.
const SHOWN_KEY: usize = 100;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Boolean(bool),
    /// The number's own text.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// An array is never stored. Kept are its items that have a null in them, with their places, and of many the first.
    Array(Vec<(usize, Node<'a>)>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// An object's members, the values not yet looked into.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

/// A text that borrows from the input where it has no escapes.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                let mut seen = Seen::default();
                while let Some(Text(key)) = map.next_key()? {
                    if members.len() == MAX_KEYS {
                        return Err(A::Error::custom(format!("an object has more than {MAX_KEYS} keys")));
                    }
                    if !seen.is_first(key.clone(), &members) {
                        let shown: String = key.chars().take(SHOWN_KEY).collect();
                        return Err(A::Error::custom(format!("the key {shown:?} stands twice in one object")));
                    }
                    members.push((key, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// The keys of an object so far, to find one that stands twice.
#[derive(Default)]
struct Seen<'a>(HashSet<Cow<'a, str>>);

impl<'a> Seen<'a> {
    /// Whether the key is not among `members`. While there are few, comparing is quicker than hashing.
    fn is_first(&mut self, key: Cow<'a, str>, members: &[(Cow<'a, str>, &RawValue)]) -> bool {
        const FEW: usize = 32;
        if members.len() < FEW {
            return members.iter().all(|(known, _)| *known != key);
        }
        if self.0.is_empty() {
            self.0.extend(members.iter().map(|(known, _)| known.clone()));
        }
        self.0.insert(key)
    }
}

/// Why a text is no tree, and where below the value (a JSON pointer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeError {
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

/// A place in a tree, as steps from its top.
#[derive(Clone, Copy)]
pub(crate) enum Place<'p> {
    /// The tree's own pointer.
    Top(&'p str),
    Key(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

impl Place<'_> {
    /// The place as a JSON pointer.
    pub(crate) fn pointer(&self) -> String {
        match self {
            Self::Top(pointer) => (*pointer).to_owned(),
            Self::Key(parent, key) => join(&parent.pointer(), key),
            Self::Item(parent, at) => format!("{}/{at}", parent.pointer()),
        }
    }
}

impl<'a> Node<'a> {
    /// Reads a whole value.
    pub(crate) fn read(raw: &'a RawValue, place: Place<'_>) -> Result<Self, TreeError> {
        Self::at_depth(raw, place, 0)
    }

    fn at_depth(raw: &'a RawValue, place: Place<'_>, depth: usize) -> Result<Self, TreeError> {
        let fail = |detail: String| TreeError { pointer: place.pointer(), detail };
        let text = raw.get();
        if depth > MAX_DEPTH {
            return Err(fail(format!("the record is nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(match text.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Boolean(true),
            Some(b'f') => Self::Boolean(false),
            Some(b'"') => {
                let Text(text) = serde_json::from_str(text).map_err(|error| fail(without_place(&error)))?;
                Self::Text(text)
            }
            Some(b'[') => {
                let mut items = Items { place, depth, kept: Vec::new(), bad: None };
                let read = serde_json::Deserializer::from_str(text).deserialize_seq(&mut items);
                match (items.bad, read) {
                    (Some(bad), _) => return Err(bad),
                    (None, Err(error)) => return Err(fail(without_place(&error))),
                    (None, Ok(())) => Self::Array(items.kept),
                }
            }
            Some(b'{') => {
                let Members(members) = serde_json::from_str(text).map_err(|error| fail(without_place(&error)))?;
                let nodes = members.into_iter().map(|(key, value)| {
                    let node = Self::at_depth(value, Place::Key(&place, &key), depth + 1)?;
                    Ok((key, node))
                });
                Self::Object(nodes.collect::<Result<_, _>>()?)
            }
            _ => Self::Number(text),
        })
    }

    fn has_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Array(items) => !items.is_empty(),
            Self::Object(members) => members.iter().any(|(_, node)| node.has_null()),
            _ => false,
        }
    }

    fn member(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Finds a dot-separated path: a literal key `"a.b"` before the nested `{"a":{"b":…}}`, the longest literal
    /// key first, at every level. Gives what `take` makes of the value and its place.
    pub(crate) fn find<T>(
        &self,
        path: &str,
        place: Place<'_>,
        take: &mut dyn FnMut(&Self, Place<'_>) -> T,
    ) -> Option<T> {
        if let Some(found) = self.member(path) {
            return Some(take(found, Place::Key(&place, path)));
        }
        path.rmatch_indices('.').find_map(|(dot, _)| {
            let (head, tail) = (path.get(..dot)?, path.get(dot + 1..)?);
            self.member(head)?.find(tail, Place::Key(&place, head), take)
        })
    }

    /// Tells of every null in it, in order, until `tell` wants no more.
    pub(crate) fn nulls(
        &self,
        place: Place<'_>,
        tell: &mut dyn FnMut(Place<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Self::Null => tell(place),
            Self::Array(items) => items.iter().try_for_each(|(at, item)| item.nulls(Place::Item(&place, *at), tell)),
            Self::Object(members) => {
                members.iter().try_for_each(|(key, node)| node.nulls(Place::Key(&place, key), tell))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    /// How many fields it has; an array is one, and so is an empty object.
    pub(crate) fn fields(&self) -> usize {
        match self {
            Self::Object(members) if !members.is_empty() => members.iter().map(|(_, node)| node.fields()).sum(),
            _ => 1,
        }
    }
}

/// What is wrong without line and column, which count from the value's start and not from the body's; the pointer tells
/// the place.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned()
}

/// Reads an array item by item, so that one of millions of items takes no more room than its text.
struct Items<'p, 'a> {
    place: Place<'p>,
    depth: usize,
    kept: Vec<(usize, Node<'a>)>,
    /// What is wrong below, in place of an error of serde's, which has no pointer.
    bad: Option<TreeError>,
}

impl<'de> Visitor<'de> for &mut Items<'_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut at = 0;
        while let Some(item) = seq.next_element()? {
            let node = Node::at_depth(item, Place::Item(&self.place, at), self.depth + 1).map_err(|bad| {
                self.bad = Some(bad);
                A::Error::custom("an item is bad")
            })?;
            if self.kept.len() < MAX_NULL_ITEMS && node.has_null() {
                self.kept.push((at, node));
            }
            at += 1;
        }
        Ok(())
    }
}

/// A JSON pointer one step longer (RFC 6901: `~` is `~0`, `/` is `~1`).
pub(crate) fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(), TreeError> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        Node::read(raw, Place::Top("/r")).map(|_| ())
    }

    #[test]
    fn the_longest_literal_key_wins_at_every_level() {
        let find = |text: &str, path: &str| {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            let node = Node::read(raw, Place::Top("")).unwrap();
            node.find(path, Place::Top(""), &mut |node, place| (format!("{node:?}"), place.pointer()))
        };
        let found = |node: &str, pointer: &str| Some((format!("Number(\"{node}\")"), pointer.to_owned()));
        assert_eq!(find(r#"{"a.b":1,"a":{"b":2}}"#, "a.b"), found("1", "/a.b"));
        assert_eq!(find(r#"{"a":{"b":2}}"#, "a.b"), found("2", "/a/b"));
        assert_eq!(find(r#"{"a":{"b.c":1,"b":{"c":2}},"a.b":{"c":3}}"#, "a.b.c"), found("3", "/a.b/c"));
        assert_eq!(find(r#"{"a":{"b.c":1,"b":{"c":2}}}"#, "a.b.c"), found("1", "/a/b.c"));
        assert_eq!(find(r#"{"a.b":{"x":1},"a":{"b":{"c":2}}}"#, "a.b.c"), found("2", "/a/b/c"));
        assert_eq!(find(r#"{"a":1}"#, "a.b"), None);
    }

    #[test]
    fn duplicates_depth_width_and_lone_surrogates_are_refused() {
        assert!(read(r#"{"a":{"b":1,"b":2}}"#).unwrap_err().detail.contains("\"b\" stands twice"));
        assert!(read(r#"{"a":1,"\u0061":2}"#).is_err(), "the same key, escaped");
        assert!(read(&format!("{}1{}", "[".repeat(40), "]".repeat(40))).is_err());
        assert!(read(&format!("{}1{}", "[".repeat(20), "]".repeat(20))).is_ok());
        let many = |last: &str| {
            let keys: Vec<String> = (0..100).map(|n| format!("\"k{n}\":1,")).collect();
            read(&format!("{{{}\"{last}\":1}}", keys.concat()))
        };
        assert!(many("k").is_ok() && ["k0", "k31", "k32", "k99"].iter().all(|twice| many(twice).is_err()));
        let wide: Vec<String> = (0..=MAX_KEYS).map(|n| format!("\"k{n}\":1")).collect();
        assert!(read(&format!("{{{}}}", wide.join(","))).is_err());
        assert_eq!(read(r#"{"a":["\ud800"]}"#).unwrap_err().pointer, "/r/a/0");
    }

    #[test]
    fn of_an_array_only_items_with_nulls_are_kept() {
        let read = |text: &str| {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            let node = Node::read(raw, Place::Top("")).unwrap();
            let mut nulls = Vec::new();
            let _ = node.nulls(Place::Top(""), &mut |place| {
                nulls.push(place.pointer());
                ControlFlow::Continue(())
            });
            (matches!(&node, Node::Array(kept) if kept.len() == nulls.len()), nulls)
        };
        assert_eq!(read(r#"[1,"a",[2],{"b":[]},true]"#), (true, vec![]));
        assert_eq!(read(r#"[1,null,[2,[3,null]],{"b":null}]"#).1, ["/1", "/2/1/1", "/3/b"]);
        assert_eq!(read(&format!("[{}]", vec!["null"; 5_000].join(","))).1.len(), MAX_NULL_ITEMS);
        let raw: &RawValue = serde_json::from_str(r#"[1,{"a":[{"b":1,"b":2}]}]"#).unwrap();
        assert_eq!(Node::read(raw, Place::Top("/r")).unwrap_err().pointer, "/r/1/a/0");
    }

    #[test]
    fn nulls_are_found_at_any_depth() {
        let raw: &RawValue = serde_json::from_str(r#"{"a":null,"b":{"c/d":[1,null]}}"#).unwrap();
        let node = Node::read(raw, Place::Top("/data/0")).unwrap();
        let first = |wanted: usize| {
            let mut found = Vec::new();
            let _ = node.nulls(Place::Top("/data/0"), &mut |place| {
                found.push(place.pointer());
                if found.len() < wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            found
        };
        assert_eq!(first(9), ["/data/0/a", "/data/0/b/c~1d/1"]);
        assert_eq!(first(1), ["/data/0/a"]);
    }
}
