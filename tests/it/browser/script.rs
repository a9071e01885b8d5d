//! `rollcall.js` in Chromium, on pages of other origins than the server's.

use std::net::TcpListener;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::site::Site;
use super::{Keys, files_of_s};
use crate::support::{Browser, Server};

/// Notes what a page must never see, and what it waits for.
const WITNESS: &str = "<script>
    window.thrown = [];
    addEventListener('error', event => thrown.push(String(event.message || event.target)));
    addEventListener('unhandledrejection', event => thrown.push(String(event.reason)));
    document.addEventListener('rollcall', event => { window.told = event.detail; });
</script>";

/// A server that lists one site, that site, another one, and the keys of the system `s`, in which Ann is `premium`.
struct World {
    server: Server,
    listed: Site,
    unlisted: Site,
    keys: Keys,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (listed, unlisted) = (Site::open(), Site::open());
    let config = format!("[server]\ncors_origins = [\"{}\"]\n", listed.origin());
    let server = Server::with(&files_of_s()).config(&config).start();
    server.dies_with_the_tests();
    let system = server.system("s");
    system.update("crm", &json!([{ "Email": "Ann \"A\" Ä", "Seats": 60 }])).counts();
    let keys = Keys::of(&system);
    drop(system);
    World { server, listed, unlisted, keys }
});

const ANN: &str = "Ann &quot;A&quot; Ä";

impl World {
    /// What `GET …/browser` says to paste, filled in.
    fn snippet(&self, id: &str, id_hash: &str) -> String {
        let system = self.server.system("s");
        let shown = system.client.get(&system.admin("browser")).is(200);
        let snippet = shown["snippet"].as_str().unwrap();
        assert!(snippet.contains("\"IDENTIFIER\"") && snippet.contains("\"HASH\""), "{snippet}");
        snippet.replace("IDENTIFIER", id).replace("\"HASH\"", &format!("\"{id_hash}\""))
    }
    fn anns(&self) -> String {
        self.snippet(ANN, &self.keys.hash("Ann \"A\" Ä"))
    }
}

/// The answer, once the page has it, as `{id, segments, error}`.
#[track_caller]
fn answer(browser: &Browser) -> Value {
    browser.becomes("window.rollcall");
    let answer = browser.run(
        "const { id, segments, error } = window.rollcall;
         return { id, segments, error: error ? error.message : null, thrown: window.thrown, same: window.told === window.rollcall };",
    );
    assert_eq!((&answer["thrown"], &answer["same"]), (&json!([]), &json!(true)), "{answer}");
    json!({ "id": answer["id"], "segments": answer["segments"], "error": answer["error"] })
}

#[test]
fn the_pasted_tag_gives_the_page_its_segments() {
    let world = &*WORLD;
    let browser = Browser::start();
    browser.open(&world.listed.page("/plain", WITNESS, &world.anns()));
    assert_eq!(answer(&browser), json!({ "id": "Ann \"A\" Ä", "segments": ["premium"], "error": null }));
    assert_eq!(browser.run("return document.documentElement.className"), "", "no class unless asked");
    for (attribute, class) in [("data-classes", "dark segment-premium"), ("data-classes=is-", "dark is-premium")] {
        let asked = world.anns().replace("data-system", &format!("{attribute} data-system"));
        let dark = "<script>document.documentElement.className = 'dark'</script>";
        browser.open(&world.listed.page("/classes", &format!("{WITNESS}{dark}{asked}"), ""));
        assert_eq!(answer(&browser)["segments"], json!(["premium"]));
        assert_eq!(browser.run("return document.documentElement.className"), class);
    }
    assert_eq!(browser.console_errors(), [""; 0]);
}

#[test]
fn it_works_under_a_strict_policy() {
    let world = &*WORLD;
    let browser = Browser::start();
    let server = world.server.base();
    let policy = format!(
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; img-src data:; script-src {server}; \
         connect-src {server}; require-trusted-types-for 'script'\">"
    );
    let tag = world.anns().replace("<script async", "<script async crossorigin data-classes");
    browser.open(&world.listed.page("/strict", &policy, &tag));
    browser.becomes("document.documentElement.classList.contains('segment-premium')");
    assert_eq!(browser.console_errors(), [""; 0]);
}

#[test]
fn a_page_of_another_origin_learns_nothing() {
    let world = &*WORLD;
    let browser = Browser::start();
    browser.open(&world.unlisted.page("/plain", WITNESS, &world.anns()));
    let answer = answer(&browser);
    assert_eq!((&answer["segments"], &answer["id"]), (&json!([]), &json!("Ann \"A\" Ä")));
    assert!(answer["error"].is_string(), "{answer}");
    let errors = browser.console_errors().join("\n");
    assert!(errors.contains("blocked by CORS policy"), "{errors}");
}

#[test]
fn what_goes_wrong_never_harms_the_page() {
    let world = &*WORLD;
    let browser = Browser::start();
    browser.open(&world.listed.page("/hash", WITNESS, &world.snippet("Bob", &world.keys.hash("Ann"))));
    let refused = answer(&browser);
    assert_eq!((&refused["id"], &refused["segments"]), (&json!("Bob"), &json!([])));
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("403") && error.contains("id_hash"), "{error}");

    let nobody = world.snippet("", "");
    browser.open(&world.listed.page("/nobody", WITNESS, &nobody));
    assert_eq!(answer(&browser), json!({ "id": null, "segments": [], "error": null }), "nobody is logged in");

    // Connections are taken, and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("data-url=http://{} data-timeout=100 data-system", silent.local_addr().unwrap());
    browser.open(&world.listed.page("/silent", WITNESS, &world.anns().replace("data-system", &silent)));
    let error = answer(&browser)["error"].as_str().unwrap().to_owned();
    assert!(error.contains("100 ms"), "{error}");
}

#[test]
fn code_of_the_page_may_ask_too() {
    let world = &*WORLD;
    let browser = Browser::start();
    let script = format!("<script src=\"{}/sdk/rollcall.js\"></script>", world.server.base());
    browser.open(&world.listed.page("/code", WITNESS, &script));
    let load = |options: Value| {
        browser.run(&format!(
            "return Rollcall.load({options}).then(answer => Object.assign({{}}, answer, {{ error: String(answer.error) }}));"
        ))
    };
    let Keys { publishable, .. } = &world.keys;
    let ask = |id: Value, hashed: &str, key: &str| {
        load(json!({ "system": "s", "key": key, "id": id, "idHash": world.keys.hash(hashed) }))
    };
    let known = ask(json!("Ann \"A\" Ä"), "Ann \"A\" Ä", publishable);
    assert_eq!(known, json!({ "id": "Ann \"A\" Ä", "segments": ["premium"], "error": "undefined" }));
    assert_eq!(ask(json!(7), "7", publishable)["segments"], json!(["small"]), "a number is its text");
    let refused = ask(json!("Ann"), "Ann", "pk_wrong");
    assert!(refused["error"].as_str().unwrap().contains("401"), "{refused}");
    for nonsense in ["null", "undefined", "7", "{}", "{ id: 'Ann', url: 'no url' }", "{ id: 'Ann', key: '\\n' }"] {
        let answer = browser.run(&format!("return Rollcall.load({nonsense});"));
        assert_eq!(answer["segments"], json!([]), "{nonsense}: {answer}");
    }
    assert_eq!(browser.run("return [window.rollcall === undefined, window.thrown]"), json!([true, []]));
}
