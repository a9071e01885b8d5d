//! A power cut: what was not synced when the process died may be gone, page by page.

use serde_json::json;

use super::history::{Caller, Load};
use super::kill::files;
use crate::support::{Server, Shim, eventually, nightly};

/// Rounds of power cut and restart.
fn rounds() -> usize {
    if nightly() { 200 } else { 12 }
}

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut() {
    let mut home = Server::with(&files()).home();
    let shim = Shim::under(&mut home);
    let mut server = home.start();
    let token = server.system("s").token("crm");
    let mut callers = Caller::all();
    let (mut acknowledged, mut taken) = (0, 0);
    for round in 0..rounds() {
        let load = Load::new(1 + (round * 37) % 150);
        let client = server.client();
        std::thread::scope(|scope| {
            for caller in &mut callers {
                let (client, token, load) = (client.clone(), token.as_str(), &load);
                scope.spawn(move || caller.run("s", &client, token, load));
            }
            if round % 3 == 0 {
                let client = client.clone();
                scope.spawn(move || {
                    let request = client.request(reqwest::Method::POST, "/admin/v1/maintenance/checkpoint");
                    crate::support::Ask::try_ask(request);
                });
            }
            eventually("the load is taken", || {
                if load.is_enough() { Ok(()) } else { Err(format!("{} answers", load.acknowledged())) }
            });
            server.kill();
        });
        acknowledged += load.acknowledged();
        taken += shim.cut_power(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(round as u64 + 1));
        server = server.start_again();
        let system = server.system("s");
        let when = format!("power cut {round}, after {acknowledged} answers");
        for caller in &mut callers {
            caller.check(&system, &when);
        }
    }
    assert!(acknowledged > rounds() && taken > 0, "there was a load ({acknowledged}) and a loss ({taken})");
}

/// The test above can fail: where syncs keep nothing, acknowledged calls are gone or the store is refused.
#[test]
fn a_disk_that_lies_about_syncs_loses_what_was_acknowledged() {
    let lost = (1..=10_u64).any(|seed| {
        let mut home = Server::with(&files()).home();
        home.set_env("SHIM_LIES", "1");
        let shim = Shim::under(&mut home);
        let server = home.start();
        let system = server.system("s");
        let token = system.token("crm");
        for person in 0..30 {
            let data = json!([{ "Email": format!("u{person}"), "Seats": person }]);
            system.client.update(&token, &data).counts();
        }
        drop(system);
        server.kill();
        shim.cut_power(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        match server.into_home().try_start() {
            Err(_refused) => true,
            Ok(server) => {
                let client = server.fresh_client();
                (0..30).any(|person| client.get(&format!("/public/v1/systems/s/end-users/u{person}")).status != 200)
            }
        }
    });
    assert!(lost, "the power cut took nothing that mattered");
}
