//! `/console/systems/{s}/integrations…`: where attributes come from.
//!
//! | file | owns |
//! | --- | --- |
//! | `list` | every integration, and how much room is left |
//! | `draft` | an integration as fields of a form, and what a sample proposes for them |
//! | `wizard` | making one: name; identifier and properties |
//! | `change` | changing one by the same fields, disabling and deleting it |
//! | `endpoint` | where its calls go, its token, a trial |
//! | `detail` | what it stores, its last calls, its uploads |

pub(super) mod change;
pub(super) mod detail;
mod draft;
pub(super) mod endpoint;
pub(super) mod list;
pub(super) mod wizard;
