//! Many connections for a while: how many answers, how long each took.
//!
//! Owns the clock of a run. Knows neither the requests nor the server. Every connection has one request under way at any
//! moment and sends the next when it is answered (a closed loop, as wrk and pgbench do); all live on the one thread that
//! the runtime has, since the server under test shares the machine.
//!
//! Invariant: a figure counts only answers with status 200; anything else ends the run with an error.

use std::io;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::error::BenchError;
use super::wire::Connection;

/// Seconds after the end of a run in which answers under way must come.
const GRACE: u64 = 30;

/// What one connection sends.
pub(super) trait Traffic: Send + 'static {
    /// The next request, complete with its head.
    fn next(&mut self) -> &[u8];
    /// Takes note that it was answered with 200.
    fn answered(&mut self) {}
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Outcome<T> {
    /// The traffics, with what they noted.
    pub(super) traffics: Vec<T>,
    /// Each answer's time.
    pub(super) latencies: Latencies,
    /// From the first request to the last answer.
    pub(super) elapsed: Duration,
}

impl<T> Outcome<T> {
    /// Answers a second.
    pub(super) fn rate(&self) -> f64 {
        self.latencies.count() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Runs one connection for each of the traffics, for that long.
pub(super) async fn run<T: Traffic>(
    authority: &str,
    traffics: Vec<T>,
    duration: Duration,
) -> Result<Outcome<T>, BenchError> {
    let mut ready = Vec::with_capacity(traffics.len());
    for traffic in traffics {
        ready.push((Connection::open(authority).await?, traffic));
    }
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (connection, traffic) in ready {
        tasks.spawn(drive(connection, traffic, start + duration));
    }
    let all = async {
        let (mut traffics, mut nanos) = (Vec::new(), Vec::new());
        while let Some(done) = tasks.join_next().await {
            let died = |error| BenchError::Connection { request: "the load".into(), source: io::Error::other(error) };
            let (traffic, mut taken) = done.map_err(died).flatten()?;
            traffics.push(traffic);
            nanos.append(&mut taken);
        }
        Ok(Outcome { traffics, elapsed: start.elapsed(), latencies: Latencies::new(nanos) })
    };
    let limit = duration + Duration::from_secs(GRACE);
    tokio::time::timeout(limit, all).await.unwrap_or(Err(BenchError::Stalled(GRACE)))
}

/// One connection until the deadline, for one request at least; the times in nanoseconds.
async fn drive<T: Traffic>(
    mut connection: Connection,
    mut traffic: T,
    deadline: Instant,
) -> Result<(T, Vec<u64>), BenchError> {
    let mut nanos = Vec::new();
    let mut sent = Instant::now();
    loop {
        connection.expect_ok(traffic.next()).await?;
        traffic.answered();
        let now = Instant::now();
        nanos.push(u64::try_from((now - sent).as_nanos()).unwrap_or(u64::MAX));
        if now >= deadline {
            return Ok((traffic, nanos));
        }
        sent = now;
    }
}

/// The times of a run's answers, sorted.
#[derive(Debug)]
pub(super) struct Latencies(Vec<u64>);

impl Latencies {
    /// Takes times in nanoseconds.
    pub(super) fn new(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        Self(nanos)
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time, in milliseconds, that this share (0 to 1) of the answers did not exceed (nearest rank); 0 if there are none.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is at most the length")]
    pub(super) fn percentile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).map_or(0.0, |&nanos| nanos as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers every request with 200, from the `failing`-th on (counted over all) with 503.
    async fn constant_server(failing: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let served = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let served = Arc::clone(&served);
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    while let Ok(1..) = stream.read(&mut request).await {
                        let status = if served.fetch_add(1, Ordering::Relaxed) < failing { 200 } else { 503 };
                        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        authority
    }

    #[derive(Debug)]
    struct Counted(usize);
    impl Traffic for Counted {
        fn next(&mut self) -> &[u8] {
            b"GET / HTTP/1.1\r\n\r\n"
        }
        fn answered(&mut self) {
            self.0 += 1;
        }
    }

    #[tokio::test]
    async fn every_answer_is_counted_once() {
        let authority = constant_server(usize::MAX).await;
        let traffics = (0..8).map(|_| Counted(0)).collect();
        let outcome = run(&authority, traffics, Duration::from_millis(100)).await.unwrap();
        let noted: usize = outcome.traffics.iter().map(|traffic| traffic.0).sum();
        assert_eq!(outcome.traffics.len(), 8);
        assert_eq!(noted, outcome.latencies.count());
        assert!(outcome.traffics.iter().all(|traffic| traffic.0 > 1));
        assert!(outcome.elapsed >= Duration::from_millis(100));
        assert!((outcome.rate() * outcome.elapsed.as_secs_f64() - noted as f64).abs() < 0.5);
    }

    #[tokio::test]
    async fn one_answer_that_is_not_200_ends_the_run() {
        let authority = constant_server(20).await;
        let traffics = (0..4).map(|_| Counted(0)).collect();
        let error = run(&authority, traffics, Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(error.to_string(), "GET /: answered 503: ok");
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let latencies = Latencies::new((1..=100).rev().map(|ms| ms * 1_000_000).collect());
        let milliseconds = |share| latencies.percentile(share);
        assert_eq!((milliseconds(0.5), milliseconds(0.99), milliseconds(1.0)), (50.0, 99.0, 100.0));
        assert_eq!(Latencies::new(vec![7_000_000]).percentile(0.5), 7.0);
        assert_eq!(Latencies::new(Vec::new()).percentile(0.5), 0.0);
    }
}
