//! Secrets that are planted or made, used in every way and in wrong places, show up in no log, metric, answer, export,
//! backup or file of the store.

use std::fs;

use reqwest::Method;
use serde_json::json;

use crate::support::{
    Ask, CLIENT_ID, CLIENT_SECRET, FIRST_EMAIL, FIRST_PASSWORD, PASSWORD, Reply, Server, operator, token_in,
};

const WRONG_PASSWORD: &str = "canary-Wrong!Password-52";
const NEW_PASSWORD: &str = "canary-New!Password-53";
const MAIL_SECRET: &str = "canary-mail-secret-54";
const SSO_SECRET: &str = "canary-sso-secret-55";

const CONFIG: &str = "
[mail]
transport = \"file\"
[sso]
issuer = \"https://127.0.0.1:1\"
client_id = \"rollcall\"
client_secret_env = \"SSO_SECRET\"
";

/// What is told, and where.
#[derive(Default)]
struct Told(String);

impl Told {
    fn take(&mut self, reply: &Reply) {
        self.0.push_str(&format!("{} {:?} {}\n", reply.what, reply.headers, reply.body));
    }
}

/// The secrets that the server makes, each taken from the one answer or mail that may show it.
fn made_and_used(server: &Server, told: &mut Told) -> Vec<(&'static str, String)> {
    let mut secrets = Vec::new();
    let system = server.system("s");
    let client = server.client();
    secrets.push(("integration token", system.token("crm")));
    client.post_empty(&system.admin("integrations/crm/rotate-token?grace_hours=1")).is_success();
    secrets.push(("rotated integration token", system.token("crm")));
    let made =
        client.post("/admin/v1/clients", &json!({ "client_id": "ci", "role": "Viewer", "systems": ["s"] })).is(201);
    secrets.push(("a client's secret", made["client_secret"].as_str().expect("a secret").to_owned()));
    let rotated = client.post_empty("/admin/v1/clients/ci/rotate").is(200);
    let secret = rotated["client_secret"].as_str().expect("a secret").to_owned();
    secrets.push(("access token", server.token_of("ci", &secret).rsplit('.').next().unwrap_or_default().to_owned()));
    secrets.push(("a client's rotated secret", secret));

    let browser = server.visitor();
    browser.log_in("eve", PASSWORD).is(204);
    let enrolled = browser.post("/accounts/me/totp", &json!({ "current_password": PASSWORD })).is(200);
    secrets.push(("second factor", enrolled["secret"].as_str().expect("a secret").to_owned()));
    told.take(&browser.get("/console/profile"));
    told.take(&browser.get("/accounts/me"));
    told.take(&browser.get("/accounts/me/sessions"));
    let cookie = browser.cookie().expect("a cookie");
    secrets.push(("session", cookie.split_once('=').expect("name=value").1.to_owned()));
    browser.post("/accounts/forgot-password", &json!({ "email": "eve" })).is(202);
    let token = token_in(&server.home.mail_to("eve@x.example", 1));
    let reset = json!({ "token": token, "password": NEW_PASSWORD });
    told.take(&browser.post("/accounts/reset-password", &reset));
    told.take(&browser.post("/accounts/reset-password", &reset));
    secrets.push(("reset link", token));
    let user = json!({ "username": "new", "first_name": "", "last_name": "", "email": "new@x.example",
        "roles": { "primary_role": { "role": "Viewer" }, "extra_roles": [] } });
    told.take(&client.post("/admin/v1/users", &user));
    secrets.push(("activation link", token_in(&server.home.mail_to("new@x.example", 1))));
    secrets
}

/// Secrets where they do not belong.
fn misplace(server: &Server, secrets: &[(&'static str, String)], told: &mut Told) {
    let (nobody, client) = (server.anonymous(), server.client());
    let visitor = server.visitor();
    for (_, secret) in secrets {
        // An answer may repeat a path to who sent it, so here only the log is asked.
        let _ = nobody.get(&format!("/nowhere?token={secret}"));
        told.take(&nobody.with_bearer(secret).get("/admin/v1/config"));
        told.take(&nobody.with_bearer(&format!("{secret}x")).get("/public/v1/systems/s/end-users/a"));
        told.take(&client.update(&format!("{secret}0"), &json!([{ "Email": "a", "Seats": 1 }])));
        told.take(&client.update_body(format!("{{\"token\":\"{secret}\",\"data\":")));
        told.take(&visitor.log_in(secret, secret));
        told.take(&visitor.post("/accounts/activate", &json!({ "token": format!("{secret}1"), "password": secret })));
        let basic = nobody.request(Method::POST, "/accounts/connect/token").basic_auth(CLIENT_ID, Some(secret));
        told.take(&basic.header("x-forwarded-for", "203.0.113.77").form(&[("grant_type", "x")]).ask());
        let cookie = format!("rollcall_session={secret}; other={secret}");
        told.take(&nobody.request(Method::GET, "/accounts/me").header("cookie", cookie).ask());
    }
}

/// Everything that a server tells of itself and gives away.
fn ask_everything(server: &Server, told: &mut Told) {
    let client = server.client();
    for path in [
        "/metrics",
        "/readyz",
        "/openapi.json",
        "/admin/v1/config",
        "/admin/v1/clients",
        "/admin/v1/users",
        "/admin/v1/users/export",
        "/admin/v1/audit?limit=500",
        "/admin/v1/systems/s/integrations/crm/calls",
        "/admin/v1/systems/s/integrations/crm",
        "/public/v1/systems/s/end-users/a",
    ] {
        let reply = client.get(path);
        reply.is_success();
        told.take(&reply);
    }
    told.take(&client.post("/public/v1/systems/s/end-users/export", &json!({})));
    told.take(&client.post_empty("/admin/v1/maintenance/checkpoint"));
    let doctor = server.home.run(&["doctor", "--config", "config.toml"]);
    told.0.push_str(&format!("{}{}", String::from_utf8_lossy(&doctor.stdout), String::from_utf8_lossy(&doctor.stderr)));
}

/// A backup that is sent, unpacked. It holds the key's file, which may be in it and is left out here.
fn backup(server: &Server) -> Vec<u8> {
    let request = server.client_with("operate").request(Method::POST, "/admin/v1/maintenance/backup");
    let response = request.header("accept", "application/octet-stream").send().expect("a backup");
    assert_eq!(response.status(), 200);
    zstd::decode_all(response.bytes().expect("all of it").as_ref()).expect("a backup is packed by zstd")
}

#[test]
fn no_secret_shows_up_anywhere() {
    let key: String = (0..32).map(|n: u8| format!("{:02x}", n.wrapping_mul(73).wrapping_add(11))).collect();
    let server = Server::with_admin()
        .config(CONFIG)
        .env("SSO_SECRET", SSO_SECRET)
        .env("MAIL_PASSWORD", MAIL_SECRET)
        .env("ROLLCALL_SECRET_KEY", &key)
        .env("RUST_LOG", "trace")
        .start()
        .put_operators(&[operator("eve", &json!({}))]);
    let mut told = Told::default();
    server.system("s").update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    server.visitor().log_in(FIRST_EMAIL, FIRST_PASSWORD).is(204);
    told.take(&server.visitor().log_in(FIRST_EMAIL, WRONG_PASSWORD));
    told.take(&server.visitor().get("/sso/login?next=/console"));
    let mut secrets = made_and_used(&server, &mut told);
    secrets.extend(
        [
            ("bootstrap client's secret", CLIENT_SECRET),
            ("bootstrap password", FIRST_PASSWORD),
            ("password", PASSWORD),
            ("wrong password", WRONG_PASSWORD),
            ("new password", NEW_PASSWORD),
            ("mail password", MAIL_SECRET),
            ("single sign-on's secret", SSO_SECRET),
            ("secret key", key.as_str()),
        ]
        .map(|(what, secret)| (what, secret.to_owned())),
    );
    misplace(&server, &secrets, &mut told);
    ask_everything(&server, &mut told);
    let unpacked = backup(&server);
    assert_eq!(server.stop().code, Some(0));

    let mut places = crate::first_run::bytes_below(&server.home.data());
    places.retain(|(path, _)| !path.contains("/outbox/"));
    assert!(fs::metadata(server.home.data().join("store/db")).is_ok_and(|file| file.len() > 0));
    places.push(("the log".to_owned(), server.log().into_bytes()));
    places.push(("an answer".to_owned(), told.0.into_bytes()));
    places.push(("a backup".to_owned(), unpacked));
    let raw_key = hex::decode(&key).expect("hex");
    let found: Vec<String> = secrets
        .iter()
        .map(|(what, secret)| (*what, secret.as_bytes()))
        .chain([("secret key in bytes", raw_key.as_slice())])
        .flat_map(|(what, secret)| {
            assert!(secret.len() > 8, "{what} is long enough to be looked for");
            let in_place = move |bytes: &Vec<u8>| bytes.windows(secret.len()).any(|window| window == secret);
            places
                .iter()
                .filter(move |(_, bytes)| in_place(bytes))
                .map(move |(place, _)| format!("{what} is in {place}"))
        })
        .collect();
    assert_eq!(found, [""; 0]);
}
