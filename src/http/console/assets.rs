//! What pages load: one style sheet, small ES modules, an icon. All of it is in the binary.
//!
//! Owns their names and how long a browser keeps them. Knows nothing of pages. The folder in their address is a hash of
//! them all, so a module may name another one as `./name.js` and no browser ever mixes two versions. Invariant: what is
//! served under today's hash never changes.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use xxhash_rust::xxh3::Xxh3;

use super::super::auth::Public;
use super::super::problem::Problem;

/// A year, and no question in between.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// For a page of another version, in the minute of an update.
const NOT_AT_ALL: HeaderValue = HeaderValue::from_static("no-store");

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file that pages load.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// Every one of them.
#[rustfmt::skip]
const ASSETS: &[Asset] = &[
    Asset { name: "style.css", kind: CSS, text: concat!(include_str!("assets/style.css"), include_str!("assets/pages.css")) },
    Asset { name: "icon.svg", kind: SVG, text: include_str!("assets/icon.svg") },
    // Loaded by every page of the frame.
    Asset { name: "console.js", kind: JS, text: include_str!("assets/console.js") },
    Asset { name: "dialogs.js", kind: JS, text: include_str!("assets/dialogs.js") },
    Asset { name: "menus.js", kind: JS, text: include_str!("assets/menus.js") },
    Asset { name: "ready.js", kind: JS, text: include_str!("assets/ready.js") },
    Asset { name: "small.js", kind: JS, text: include_str!("assets/small.js") },
    // Loaded where they are needed.
    Asset { name: "rows.js", kind: JS, text: include_str!("assets/rows.js") },
    Asset { name: "builder.js", kind: JS, text: include_str!("assets/builder.js") },
    Asset { name: "counts.js", kind: JS, text: include_str!("assets/counts.js") },
    Asset { name: "insights.js", kind: JS, text: include_str!("assets/insights.js") },
    Asset { name: "segment.js", kind: JS, text: include_str!("assets/segment.js") },
    Asset { name: "upload.js", kind: JS, text: include_str!("assets/upload.js") },
    Asset { name: "wizard.js", kind: JS, text: include_str!("assets/wizard.js") },
    Asset { name: "invite.js", kind: JS, text: include_str!("assets/invite.js") },
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Xxh3::new();
    for asset in ASSETS {
        hash.update(asset.name.as_bytes());
        hash.update(asset.text.as_bytes());
    }
    format!("{:016x}", hash.digest())
});

/// The address of one of them.
pub(in crate::http) fn url(name: &str) -> String {
    format!("/console/static/{}/{name}", *VERSION)
}

/// One of them.
pub(super) async fn serve(_: Public, path: Result<Path<(String, String)>, PathRejection>) -> Result<Response, Problem> {
    let Path((version, name)) = path?;
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or_else(Problem::no_route)?;
    let cache = if version == *VERSION { FOR_EVER } else { NOT_AT_ALL };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)), (header::CACHE_CONTROL, cache)];
    Ok((headers, asset.text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file below a folder of this room with that ending, with its text.
    fn files(folder: &std::path::Path, ending: &str) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let of = |path: std::path::PathBuf| match path.is_dir() {
            true => files(&path, ending),
            false if path.extension().is_some_and(|found| found == ending) => {
                vec![(path.file_name().unwrap().to_string_lossy().into(), std::fs::read_to_string(&path).unwrap())]
            }
            false => Vec::new(),
        };
        entries.flat_map(of).collect()
    }

    fn room() -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/console")
    }

    #[test]
    fn every_file_that_a_page_or_module_names_is_there() {
        let known = |name: &str| ASSETS.iter().any(|asset| asset.name == name);
        for (file, text) in files(&room(), "html") {
            for name in text.split("asset(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(known(name), "{file} names {name}");
            }
        }
        for (file, text) in files(&room(), "js") {
            assert!(known(&file), "{file} is served to nobody");
            for name in text.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(known(name), "{file} imports {name}");
            }
        }
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_nothing_is_built_of_text() {
        for asset in ASSETS {
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            for part in
                ["http:", "https:", "//cdn", "eval(", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"]
            {
                assert!(!text.contains(part), "{part} is in {}", asset.name);
            }
        }
    }

    #[test]
    fn no_page_has_a_script_or_style_or_handler_within() {
        for (file, text) in files(&room(), "html") {
            for part in [" style=", " onclick", " onload", " onsubmit", "javascript:", "<style", "<script>"] {
                assert!(!text.contains(part), "{part} is in {file}");
            }
        }
    }
}
