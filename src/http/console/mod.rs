//! Pages for people: HTML made here, that works without scripts.
//!
//! | file | owns |
//! | --- | --- |
//! | `routes` | every page and form of the console, and who may use it |
//! | `visit` | the extractors: who opens a page, whether they may, and whether a form is theirs |
//! | `frame`, `icons` | what stands around a page: bar, menus, navigation |
//! | `answer`, `flash`, `form`, `when` | pages as answers, what is said after a form, forms, points in time |
//! | `list`, `people` | lists with search and paging; how operators are told of |
//! | `assets` | style and modules, and their addresses |
//! | `figures`, `choices`, `writing` | counts and drawings; what a builder of conditions offers; rule files written by a page |
//! | `door` | log-in, activation, reset, forgotten passwords, requests for access |
//! | the others | one page or a few that belong together, each with its template beside it |
//!
//! **To add a page:** a file here with a struct for its template, whose field `frame` comes from `visit.frame(Section::…)`;
//! a template beside it that begins `{% extends "http/console/frame.html" %}` and fills `title` and `content`; a handler
//! whose first argument says whom the page is for (`Visit<needs::…>`, `VisitAt<needs::…>` where the path has a system) and
//! which answers `visit.show(status, &page)`; a line in `routes`. A form has `{% include "http/console/token.html" %}` in
//! it; its handler takes `Posted<Visit<…>>` and answers `visit.done(path, &Flash::good("…"))`, or the page again with what
//! is `wrong` and status 422. A `Failure` tells any error by a page. Anything that a script makes easier begins as a link
//! to a page or as a form: `data-dialog` opens that page's `data-dialog-content` as a dialog here. A module goes into
//! `assets/` and into the list in `assets.rs`, and is loaded in the template's block `head`; one that adds something above what
//! stands there already is loaded with `blocking="render"`, so that nothing moves once it can be seen.
//!
//! Invariants: a page loads and runs nothing but files of this server, is framed by nobody and kept by no cache; a form is
//! taken only from a page of this server that was made for the session that sends it; a page shows nothing and does nothing
//! that the API would refuse to the same operator.

mod answer;
mod assets;
mod audit;
mod choices;
mod clients;
pub(super) mod door;
mod end_users;
mod figures;
mod flash;
mod form;
mod frame;
mod home;
mod icons;
mod insights;
mod integrations;
mod leave;
mod list;
mod people;
mod profile;
mod routes;
mod segments;
mod systems;
mod users;
mod visit;
mod when;
mod writing;

pub(super) use assets::url as asset;
pub(super) use routes::with_pages;

/// Where a person goes after log-in who did not come from anywhere.
pub(super) const HOME: &str = "/console";

/// The path, if it is one of this server, else [`HOME`]: `//evil`, `/\evil` and whole addresses lead elsewhere.
pub(super) fn local_path(path: &str) -> &str {
    let mut bytes = path.bytes();
    let begins_well = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
    let is_plain = path.len() <= 1024 && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if begins_well && is_plain { path } else { HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_gone_to() {
        for own in ["/", "/console", "/console/users?role=a%20b#x"] {
            assert_eq!(local_path(own), own);
        }
        let long = format!("/{}", "x".repeat(1024));
        for foreign in [
            "",
            "console",
            "//evil",
            "/\\evil",
            "\\\\evil",
            "https://evil",
            "javascript:x",
            "/a\\b",
            "/a\r\nb",
            "/a b",
            "/é",
            &long,
        ] {
            assert_eq!(local_path(foreign), HOME, "{foreign:?}");
        }
    }
}
