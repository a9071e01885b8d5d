//! `/console/systems/{s}/insights`: who fulfils a condition, and how their values are spread.
//!
//! | file | owns |
//! | --- | --- |
//! | `asking` | what is asked: the query of the page's address |
//! | `page` | the answer: count, table, saved filters |
//! | `charts` | how values are spread |
//! | `keep` | saving and deleting filters; exports |
//!
//! What is asked stands in the page's address, so that it can be shared and works without scripts; a module changes the
//! address while one builds, and puts the new answer in place of the old one.

mod asking;
mod charts;
pub(super) mod keep;
pub(super) mod page;
