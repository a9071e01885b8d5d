//! Connections against real sockets: deadlines, bounds, and the graceful stop.

use std::time::Instant;

use axum::routing::{get, post};
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use super::*;

const QUICK: Timing = Timing {
    handshake: Duration::from_millis(200),
    header: Duration::from_millis(200),
    write_stall: Duration::from_millis(200),
    drain: Duration::from_millis(400),
    drain_unused: Duration::from_millis(50),
    linger: Duration::from_millis(100),
};

/// A server on a port of its own, and what stops it.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<io::Result<()>>,
}

async fn start(router: Router, timing: Timing) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(serve_with(listener, router, None, timing, async move {
        let _ = stopped.await;
    }));
    Running { address, stop, ended }
}

impl Running {
    async fn connect(&self, sends: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(sends.as_bytes()).await.unwrap();
        stream
    }
}

/// Everything that comes until the server closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_header_is_cut_off() {
    let server = start(hello(), QUICK).await;
    let silent = server.connect("").await;
    let slow = server.connect("GET / HTTP/1.1\r\nHost:").await;
    let mut idle = server.connect("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut answer = [0_u8; 12];
    idle.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let before = Instant::now();
    assert_eq!(rest(silent).await, "");
    assert!(!rest(slow).await.contains("200"));
    assert!(rest(idle).await.ends_with("hello"));
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
}

#[tokio::test]
async fn headers_have_a_bound() {
    let server = start(hello(), Timing::default()).await;
    let large =
        format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Large: {}\r\n\r\n", "a".repeat(MAX_HEADER_BYTES));
    let answer = rest(server.connect(&large).await).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn what_is_no_request_is_answered_with_a_problem() {
    let server = start(hello(), Timing::default()).await;
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADER_LINES + 1));
    let large = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(2 * MAX_BUFFER));
    let after = "GET / HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n";
    for (sent, status) in [("nonsense\r\n\r\n", 400), (after, 400), (many.as_str(), 431), (large.as_str(), 431)] {
        let answer = rest(server.connect(sent).await).await;
        let answer = answer.split_once("hello").map_or(answer.as_str(), |(_, second)| second);
        let (head, body) = answer.split_once("\r\n\r\n").expect("a header and a body");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        for line in ["content-type: application/problem+json", "x-request-id: ", "connection: close"] {
            assert!(head.contains(&format!("\r\n{line}")), "{answer}");
        }
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{answer}");
        let problem: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(problem["status"], status);
    }
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let refuses = Router::new().route("/", post(|| async { axum::http::StatusCode::PAYLOAD_TOO_LARGE }));
    let server = start(refuses, Timing::default()).await;
    let size = 20 << 20;
    let mut stream = server.connect(&format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n")).await;
    stream.write_all(&vec![b'x'; size]).await.unwrap();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let large = Router::new().route("/", get(|| async { vec![b'x'; 64 << 20] }));
    let server = start(large, QUICK).await;
    let stuck = server.connect("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let before = Instant::now();
    // What the kernel holds can still be read; that it ends short shows that the server gave up.
    tokio::time::sleep(QUICK.write_stall * 5).await;
    assert!(rest(stuck).await.len() < 64 << 20);
    assert!(before.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_stop_answers_what_was_taken_and_waits_for_nobody_for_ever() {
    let (entered, mut has_entered) = tokio::sync::mpsc::channel::<()>(1);
    let (release, released) = watch::channel(());
    let slow = get(move || {
        let (entered, mut released) = (entered.clone(), released.clone());
        async move {
            let _ = entered.send(()).await;
            let _ = released.changed().await;
            "done"
        }
    });
    let router = Router::new().route("/slow", slow).route("/body", post(|body: String| async { body }));
    let server = start(router, QUICK).await;
    let unused = server.connect("").await;
    let stuck = server.connect("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf").await;
    let taken = server.connect("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    has_entered.recv().await.unwrap();
    server.stop.send(()).unwrap();
    let before = Instant::now();
    release.send(()).unwrap();
    let answer = rest(taken).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    assert_eq!(rest(unused).await, "");
    server.ended.await.unwrap().unwrap();
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    assert_eq!(rest(stuck).await, "");
    assert!(TcpStream::connect(server.address).await.is_err(), "nothing is accepted any more");
}

#[tokio::test]
async fn a_connection_is_kept_when_a_handler_leaves_a_small_body_unread() {
    use tokio::io::AsyncReadExt as _;
    let router = Router::new().route("/", post(|| async { "no" })).route("/next", get(|| async { "next" }));
    let server = start(router, Timing::default()).await;
    let mut stream = server.connect("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n").await;
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.unwrap();
    // The body comes in a packet of its own, as many clients send it, and then the next request.
    stream.write_all(b"12345").await.unwrap();
    stream.write_all(b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let answers = rest(stream).await;
    assert!(answers.ends_with("next"), "{answers}");
}
