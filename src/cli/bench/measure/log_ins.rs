//! P9: page loads while operators log in: hashing a password takes a processor tens of milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;
use tokio::task::JoinSet;

use super::super::api::post_from;
use super::super::error::BenchError;
use super::super::metric::{Metric, Question};
use super::super::report::OURS;
use super::super::targets::ALONE;
use super::super::wire::Connection;
use super::Bench;

/// Connections that log in.
const CONNECTIONS: u64 = 8;

impl Bench {
    /// P9: page loads while nobody logs in, and while 8 connections do nothing else.
    pub(super) async fn log_ins(&mut self) -> Result<(), BenchError> {
        let Some(own) = &self.own else { return Ok(()) };
        let (email, password) = own.launcher.admin();
        let body = json!({ "email": email, "password": password });
        // Each from an address of its own: attempts at one account from one address wait for each other.
        let requests: Vec<Vec<u8>> =
            (1..=CONNECTIONS).map(|n| post_from(&self.api.authority, "/accounts/login", n, &body)).collect();
        self.send_page_loads(self.short()).await?;
        for round in 1..=self.settings.runs {
            self.say_round(Question::LogIns, round);
            let before = self.processors();
            let outcome = self.send_page_loads(self.seconds()).await?;
            self.record(Question::LogIns, ALONE, Some(Metric::Answers), &outcome, &before);

            let people = People::begin(&self.api.authority, &requests).await?;
            let before = self.processors();
            let outcome = self.send_page_loads(self.seconds()).await?;
            let (log_ins, elapsed) = (people.so_far(), outcome.elapsed);
            self.record(Question::LogIns, OURS, Some(Metric::Answers), &outcome, &before);
            self.figures.add(Question::LogIns, OURS, Metric::LogIns, log_ins as f64 / elapsed.as_secs_f64());
            people.end().await?;
        }
        Ok(())
    }
}

/// Those who log in, each again and again.
struct People {
    tasks: JoinSet<Result<(), BenchError>>,
    done: Arc<AtomicU64>,
    enough: Arc<AtomicBool>,
}

impl People {
    async fn begin(authority: &str, requests: &[Vec<u8>]) -> Result<Self, BenchError> {
        let mut people = Self { tasks: JoinSet::new(), done: Arc::default(), enough: Arc::default() };
        for request in requests {
            let mut connection = Connection::open(authority).await?;
            let (request, done, enough) = (request.clone(), Arc::clone(&people.done), Arc::clone(&people.enough));
            people.tasks.spawn(async move {
                while !enough.load(Ordering::Relaxed) {
                    connection.expect(&request, 204).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Ok(people)
    }

    /// How many have been let in.
    fn so_far(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits for the last of them; an attempt that was refused is an error.
    async fn end(mut self) -> Result<(), BenchError> {
        self.enough.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            let died = |error| BenchError::Connection {
                request: "logging in".into(),
                source: std::io::Error::other::<tokio::task::JoinError>(error),
            };
            ended.map_err(died)??;
        }
        Ok(())
    }
}
