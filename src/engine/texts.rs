//! Texts packed one after another: identifiers, and String values.
//!
//! Knows nothing of columns or rows beyond their position. Invariant: `ends` rises, its last element is
//! `bytes.len()`, and every slice between two ends is valid UTF-8.

use serde::{Deserialize, Serialize};

use super::packed;

/// A list of texts in one buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Texts {
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    #[serde(with = "packed")]
    ends: Vec<u32>,
}

impl Texts {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize)
    }

    /// The bytes of the text at a position; empty beyond the end.
    pub(crate) fn raw(&self, at: usize) -> &[u8] {
        let end = self.ends.get(at).map_or(0, |end| *end as usize);
        self.bytes.get(self.start(at)..end).unwrap_or_default()
    }

    /// The text at a position; empty beyond the end.
    pub(crate) fn get(&self, at: usize) -> &str {
        std::str::from_utf8(self.raw(at)).unwrap_or_default()
    }

    /// The first position that holds this text.
    pub(crate) fn position(&self, text: &str) -> Option<usize> {
        let mut start = 0;
        self.ends.iter().position(|end| {
            let found = self.bytes.get(start..*end as usize) == Some(text.as_bytes());
            start = *end as usize;
            found
        })
    }

    /// Replaces the text at a position; positions in between that were never set become empty.
    pub(crate) fn set(&mut self, at: usize, text: &str) {
        while self.ends.len() <= at {
            self.ends.push(self.bytes.len() as u32);
        }
        let start = self.start(at);
        let end = self.ends.get(at).map_or(start, |end| *end as usize);
        if at + 1 == self.ends.len() {
            self.bytes.truncate(start);
            self.bytes.extend_from_slice(text.as_bytes());
        } else {
            self.bytes.splice(start..end, text.bytes());
        }
        let (longer, shorter) = (text.len() as u32, (end - start) as u32);
        for end in self.ends.iter_mut().skip(at) {
            *end = *end - shorter + longer;
        }
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len() as u32);
    }

    /// The same with some texts in the place of others.
    pub(crate) fn replaced(&self, new: &[Option<&str>]) -> Self {
        let mut replaced = Self::default();
        (0..self.len().max(new.len())).for_each(|at| match new.get(at) {
            Some(Some(text)) => replaced.push(text),
            _ => replaced.push(self.get(at)),
        });
        replaced
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Whether what was read from disk keeps the invariant.
    pub(crate) fn is_sound(&self) -> bool {
        self.ends.is_sorted()
            && self.ends.last().map_or(0, |end| *end as usize) == self.bytes.len()
            && std::str::from_utf8(&self.bytes)
                .is_ok_and(|text| self.ends.iter().all(|end| text.is_char_boundary(*end as usize)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_as_a_list_of_strings(writes in prop::collection::vec((0_usize..20, "\\PC{0,6}"), 0..60)) {
            let mut texts = Texts::default();
            let mut model: Vec<String> = Vec::new();
            for (at, text) in writes {
                texts.set(at, &text);
                if model.len() <= at { model.resize(at + 1, String::new()); }
                model[at] = text;
                prop_assert!(texts.is_sound());
            }
            prop_assert_eq!(texts.iter().collect::<Vec<_>>(), model.iter().map(String::as_str).collect::<Vec<_>>());
            for text in &model {
                prop_assert_eq!(texts.position(text), model.iter().position(|m| m == text));
            }
        }
    }
}
