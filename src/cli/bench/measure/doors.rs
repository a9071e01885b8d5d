//! S5: whether the time of an answer tells that there is an account.
//!
//! Each door is tried for an account that is there and for one that is not, in turn, from an address of its own each time,
//! so that nobody is slowed down for guessing. Invariant: no figure unless both get the same answer.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::api::post_from;
use super::super::error::BenchError;
use super::super::load::Latencies;
use super::super::metric::{Metric, Question};
use super::super::report::OURS;
use super::super::wire::{Answer, Connection};
use super::Bench;

/// Attempts at each door, for each of the two.
const TRIES: u64 = 1_000;
/// Whose account there is, and whose there is not.
const SUBJECTS: [&str; 2] = ["with an account", "without one"];
/// Longest time until a mail is there.
const MAIL_LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked for.
const POLL: Duration = Duration::from_millis(10);
/// Somebody who is invited and follows the link: it works once.
const INVITED: &str = "invited@rollcall.example";

/// A way to ask that must not tell.
struct Door {
    metric: Metric,
    path: &'static str,
    status: u16,
}

const DOORS: [Door; 4] = [
    Door { metric: Metric::LogIn, path: "/accounts/login", status: 401 },
    Door { metric: Metric::Forgot, path: "/accounts/forgot-password", status: 202 },
    Door { metric: Metric::AccessRequest, path: "/accounts/access-requests", status: 202 },
    Door { metric: Metric::Activation, path: "/accounts/activate", status: 404 },
];

impl Door {
    /// What is asked, of the address of somebody and with a link's token.
    fn body(&self, email: &str, token: &str) -> Value {
        match self.metric {
            Metric::LogIn => json!({ "email": email, "password": "none of theirs!" }),
            Metric::AccessRequest => json!({ "email": email, "name": "Somebody", "reason": "" }),
            Metric::Activation => json!({ "token": token, "password": "none of theirs!" }),
            _ => json!({ "email": email }),
        }
    }
}

impl Bench {
    /// S5: the medians at each door, and how far they are apart.
    pub(super) async fn doors(&mut self) -> Result<(), BenchError> {
        let (Some(own), Some(workspace)) = (&self.own, &self.workspace) else { return Ok(()) };
        let ((email, _), outbox) = (own.launcher.admin(), workspace.outbox());
        let token = self.used_link(&outbox).await?;
        for round in 1..=self.settings.runs {
            self.say_round(Question::Doors, round);
            for door in &DOORS {
                let medians = self.try_door(door, email, &token).await?;
                for (subject, median) in SUBJECTS.iter().zip(medians) {
                    self.figures.add(Question::Doors, subject, door.metric, median);
                }
                let [with, without] = medians;
                self.figures.add(Question::Doors, OURS, door.metric, (with - without).abs());
            }
        }
        Ok(())
    }

    /// The median times for somebody who has an account, and for nobody.
    async fn try_door(&mut self, door: &Door, email: &str, token: &str) -> Result<[f64; 2], BenchError> {
        let mut connection = Connection::open(&self.api.authority).await?;
        let mut times = [Vec::new(), Vec::new()];
        for n in 0..TRIES {
            self.streams += 2;
            // As long as those that there are.
            let nobody = format!("{:0width$}{}", self.streams, "@rollcall.example", width = email.len() - 17);
            let link = format!("{}{:07}", token.get(..token.len() - 7).unwrap_or_default(), self.streams);
            let asked = [door.body(email, token), door.body(&nobody, &link)];
            let mut bodies: [Vec<u8>; 2] = Default::default();
            // Now one of them comes first, now the other.
            for at in if n % 2 == 0 { [0, 1] } else { [1, 0] } {
                let caller = self.streams + at as u64;
                let (Some(asked), Some(times), Some(body)) = (asked.get(at), times.get_mut(at), bodies.get_mut(at))
                else {
                    continue;
                };
                let request = post_from(&self.api.authority, door.path, caller, asked);
                let sent = Instant::now();
                let answer = connection.expect(&request, door.status).await?;
                times.push(u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX));
                body.extend_from_slice(answer);
            }
            let [with, without] = bodies;
            if with != without {
                let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
                let what = format!("what {} says where there is no account", door.path);
                return Err(BenchError::Wrong { what, expected: text(&with), found: text(&without) });
            }
        }
        Ok(times.map(|times| Latencies::new(times).percentile(0.5)))
    }

    /// The token of a link that somebody has used.
    async fn used_link(&self, outbox: &Path) -> Result<String, BenchError> {
        let mut connection = Connection::open(&self.api.authority).await?;
        // Of a benchmark that was here before there may be one.
        let Answer { status, body } = connection.exchange(&self.api.make_user("invited", INVITED)).await?;
        if status != 200 {
            let body = String::from_utf8_lossy(body).into_owned();
            return Err(BenchError::Status { request: "POST /admin/v1/users".into(), status, body });
        }
        let until = Instant::now() + MAIL_LIMIT;
        let token = loop {
            if let Some(token) = token_in(outbox) {
                break token;
            }
            if Instant::now() >= until {
                let (what, expected) = ("the outbox".to_owned(), format!("a mail to {INVITED}"));
                return Err(BenchError::Wrong { what, expected, found: "none".into() });
            }
            tokio::time::sleep(POLL).await;
        };
        let body = json!({ "token": token, "password": "theirs for good!" });
        connection.expect(&post_from(&self.api.authority, "/accounts/activate", 0, &body), 204).await?;
        Ok(token)
    }
}

/// The token in the mail to the one who is invited, once it is there.
fn token_in(outbox: &Path) -> Option<String> {
    let mails = std::fs::read_dir(outbox).ok()?.flatten();
    let mails = mails.filter(|mail| mail.path().extension().is_some_and(|extension| extension == "eml"));
    let text =
        mails.filter_map(|mail| std::fs::read_to_string(mail.path()).ok()).find(|text| text.contains(INVITED))?;
    // Quoted-printable, as mails are.
    let text = text.replace("=\r\n", "").replace("=3D", "=");
    let (_, rest) = text.split_once("?token=")?;
    Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect())
}
