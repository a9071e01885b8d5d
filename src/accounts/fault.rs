//! A bad place of what someone sent, as every change of accounts names it.

/// One bad place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A JSON pointer into what was sent.
    pub pointer: String,
    /// A short stable code for machines.
    pub code: &'static str,
    /// What is wrong and how to mend it.
    pub detail: String,
}

impl Fault {
    pub(super) fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

/// The most telling sentence of several faults.
pub(super) fn summary(faults: &[Fault]) -> String {
    match faults {
        [one] => one.detail.clone(),
        [first, ..] => format!("{} places are bad; the first: {}", faults.len(), first.detail),
        [] => String::new(),
    }
}
