//! What goes on beside the callers while the server is killed: accounts, imports, rules, checkpoints, backups. What was
//! acknowledged of it is remembered, and must be there afterwards.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::json;

use crate::support::{Ask, Client, System, eventually, property, segment};

/// Rows of one file.
const ROWS: usize = 300;

/// The integration for files.
pub fn uploads() -> String {
    format!("name = \"Files\"\nkind = \"csv\"\nuser_identifier = \"Id\"\n{}", property("Points", "", "number"))
}

/// What was acknowledged.
#[derive(Default)]
pub struct Beside {
    clients: Vec<String>,
    imports: Vec<(String, usize)>,
    rule: Option<u32>,
    next: usize,
}

impl Beside {
    /// One kind of work, again and again until the server is killed.
    pub fn run(&mut self, round: usize, client: &Client, killed: &AtomicBool) {
        while !killed.load(Ordering::SeqCst) {
            self.next += 1;
            let answered = match round % 5 {
                0 => client.request(Method::POST, "/admin/v1/maintenance/checkpoint").try_ask().is_some(),
                1 => self.make_client(client),
                2 => self.upload(client),
                3 => self.write_rule(client),
                _ => {
                    let request = client.request(Method::POST, "/admin/v1/maintenance/backup");
                    request.header("accept", "application/octet-stream").try_ask().is_some()
                }
            };
            if !answered {
                return;
            }
        }
    }

    fn make_client(&mut self, client: &Client) -> bool {
        let id = format!("made-{}", self.next);
        let body = json!({ "client_id": id, "role": "Viewer" });
        let reply = client.request(Method::POST, "/admin/v1/clients").json(&body).try_ask();
        if reply.as_ref().is_some_and(|reply| (200..300).contains(&reply.status)) {
            self.clients.push(id);
        }
        reply.is_some()
    }

    fn upload(&mut self, client: &Client) -> bool {
        let file: String = (0..ROWS).map(|row| format!("f{}-{row}@example.com,{row}\n", self.next)).collect();
        let request = client.request(Method::POST, "/admin/v1/systems/s/integrations/files/imports");
        let reply = request.header("content-type", "text/csv").body(format!("Id,Points\n{file}")).try_ask();
        let Some(reply) = reply else { return false };
        if reply.status == 202 {
            let id = reply.json()["id"].as_str().expect("an import's id").to_owned();
            self.imports.push((id, self.next));
        }
        true
    }

    fn write_rule(&mut self, client: &Client) -> bool {
        let number = self.next as u32;
        let body = json!({ "text": segment(&format!("crm.Seats >= {number}")) });
        let reply = client.request(Method::PUT, "/admin/v1/systems/s/segments/edited").json(&body).try_ask();
        if reply.as_ref().is_some_and(|reply| (200..300).contains(&reply.status)) {
            self.rule = Some(number);
        }
        reply.is_some()
    }

    /// Asserts that all of it is there. What was checked once need not be looked at again.
    #[track_caller]
    pub fn check(&mut self, system: &System<'_>, when: &str) {
        for id in self.clients.drain(..) {
            let client = system.client.get(&format!("/admin/v1/clients/{id}")).is(200);
            assert_eq!(client["role"], "Viewer", "{when}: {client}");
        }
        for (id, number) in self.imports.drain(..) {
            eventually("the import goes on and finishes", || {
                let import = system.client.get(&format!("/admin/v1/imports/{id}")).is(200);
                match import["state"].as_str() {
                    Some("done") if import["stored"] == json!(ROWS) => Ok(()),
                    Some("failed") => panic!("{when}: {import}"),
                    _ => Err(import.to_string()),
                }
            });
            for row in [0, ROWS / 2, ROWS - 1] {
                let attributes = system.attributes(&format!("f{number}-{row}@example.com"));
                assert_eq!(attributes["files"]["Points"], json!(row), "{when}: row {row} of {id}");
            }
        }
        if let Some(number) = self.rule.take() {
            // The one after it may have been written, and its answer lost.
            let text = system.client.get("/admin/v1/systems/s/segments/edited").is(200)["text"].to_string();
            let right = [number, number + 1].iter().any(|number| text.contains(&format!(">= {number}\\n")));
            assert!(right, "{when}: rule {number} was acknowledged, and there is {text}");
        }
    }
}
