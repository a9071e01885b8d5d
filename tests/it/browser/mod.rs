//! Segments asked for by pages: the call, its keys, and the script, in a real browser.

mod evaluate;
mod ground;
mod keys;
mod script;
mod sharing;
mod site;

use hmac::{Hmac, Mac as _};
use reqwest::Method;
use reqwest::blocking::RequestBuilder;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Ask, Reply, System, crm, segment};

/// A system in which 50 seats make `premium`, and fewer or none `small`.
fn files() -> Vec<(&'static str, String)> {
    vec![
        ("integrations/crm.toml", crm()),
        ("segments/premium.rhai", segment("crm.Seats >= 50")),
        ("segments/small.rhai", segment("!(crm.Seats >= 50)")),
    ]
}

/// The same, for a server that starts with a system `s`.
fn files_of_s() -> Vec<(String, String)> {
    files().into_iter().map(|(path, text)| (format!("s/{path}"), text)).collect()
}

/// What a site needs: the keys, as `GET …/browser` shows them.
#[derive(Clone, Debug, PartialEq)]
struct Keys {
    publishable: String,
    secret: String,
}

impl Keys {
    #[track_caller]
    fn read(shown: &Value) -> Self {
        let text = |name: &str| shown[name].as_str().unwrap_or_else(|| panic!("no `{name}`: {shown}")).to_owned();
        Self { publishable: text("publishable_key"), secret: text("identity_secret") }
    }
    #[track_caller]
    fn of(system: &System<'_>) -> Self {
        Self::read(&system.client.get(&system.admin("browser")).is(200))
    }
    /// What the site's server makes for a page.
    fn hash(&self, id: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(id.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

/// The call of a page, not yet sent: without an access token.
fn page(system: &System<'_>, key: &str, body: &Value) -> RequestBuilder {
    let request = system.client.anonymous().request(Method::POST, &system.public("evaluate"));
    request.header("x-rollcall-key", key).json(body)
}

/// The call of a page with good keys.
#[track_caller]
fn evaluate(system: &System<'_>, keys: &Keys, id: &str) -> Reply {
    page(system, &keys.publishable, &json!({ "id": id, "id_hash": keys.hash(id) })).ask()
}
