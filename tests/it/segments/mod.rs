//! Segment rules: what is refused and how it is told, what a rule means.

mod meaning;
mod wrong;
