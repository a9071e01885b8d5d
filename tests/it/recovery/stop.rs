//! SIGTERM under load: what was taken is answered, nothing acknowledged is lost, and the end comes in time.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use super::history::{Caller, Load};
use super::kill::files;
use crate::support::{Server, eventually, nightly};

/// The contract's bound on a graceful stop, with a little room for a busy machine.
const BOUND: Duration = Duration::from_secs(11);

/// A client that began a call and never ends it.
fn stuck_client(server: &Server, bearer: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.base().trim_start_matches("http://")).expect("connect");
    let head = format!(
        "POST /public/v1/user/data HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bearer}\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{\"token\":"
    );
    stream.write_all(head.as_bytes()).expect("send half a call");
    stream
}

#[test]
fn sigterm_under_load_loses_nothing_and_ends_in_time() {
    let mut server = Server::with(&files()).start();
    let token = server.system("s").token("crm");
    let mut callers = Caller::all();
    for round in 0..if nightly() { 50 } else { 5 } {
        let client = server.client();
        // Two rounds have a stuck client in them, which may cost the whole bound.
        let stuck = (round % 3 == 1).then(|| {
            let idle = TcpStream::connect(server.base().trim_start_matches("http://")).expect("connect");
            (stuck_client(&server, client.bearer()), idle)
        });
        let load = Load::new(20 + 15 * (round % 10));
        let ended = std::thread::scope(|scope| {
            for caller in &mut callers {
                let (client, token, load) = (client.clone(), token.as_str(), &load);
                scope.spawn(move || caller.run("s", &client, token, load));
            }
            eventually("the load is taken", || {
                if load.is_enough() { Ok(()) } else { Err(format!("{} answers", load.acknowledged())) }
            });
            server.stop()
        });
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.after < BOUND, "round {round} (stuck client: {}) took {:?}", stuck.is_some(), ended.after);
        drop(stuck);

        server = server.start_again();
        let system = server.system("s");
        for caller in &mut callers {
            caller.check(&system, &format!("round {round}"));
        }
    }
}
