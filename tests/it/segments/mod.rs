//! Segment rules: what is refused and how it is told, what a rule means, how it runs.

mod meaning;
mod modes;
mod wrong;
