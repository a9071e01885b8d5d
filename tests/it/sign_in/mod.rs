//! Operators at the door: logging in and out, links, sessions, second factors, and those who guess.

mod forms;
mod guessing;
mod links;
mod log_in;
mod second_factor;
mod sessions;

use std::sync::LazyLock;

use serde_json::json;

use crate::support::{Server, operator};

/// The server of tests that only need operators: an Admin who is `ACTIVE`, and one operator in every other state. Each
/// test calls from addresses of its own, so that no test's failures slow down another.
fn house() -> &'static Server {
    static HOUSE: LazyLock<Server> = LazyLock::new(|| {
        let server = Server::with_admin().start().put_operators(&[
            operator("ann", &json!({})),
            operator("inactive", &json!({ "status": "INACTIVE" })),
            operator("blocked", &json!({ "login_blocked": true })),
            operator(
                "invited",
                &json!({ "status": "PROVISIONED", "password": null, "password_not_set_reason": "NEW_ACCOUNT" }),
            ),
            operator("provider", &json!({ "login_method": "sso", "sso_id": "idp|1" })),
            operator("counted", &json!({})),
            operator("dora", &json!({})),
        ]);
        server.dies_with_the_tests();
        server
    });
    &HOUSE
}
