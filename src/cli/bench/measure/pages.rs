//! The console: how long each of its pages takes to come, as HTML, for an Admin alone.
//!
//! Every page that looks at end users is asked for again and again; so are some that do not. Invariant: no figure unless a
//! page answers 200, which whoever is not logged in does not get.

use std::time::Duration;

use serde_json::json;

use super::super::api::{page, post_from, same};
use super::super::dataset::{EndUser, SEED};
use super::super::error::BenchError;
use super::super::load;
use super::super::metric::{Metric, Question};
use super::super::report::OURS;
use super::super::segments::{INTEGRATION, SYSTEM, segments};
use super::super::wire::Connection;
use super::Bench;

/// Shortest time for a page, so that even a slow one comes some times.
const LEAST: Duration = Duration::from_millis(500);

impl Bench {
    /// Each page's median and p99; and of the slowest.
    pub(super) async fn pages(&mut self) -> Result<(), BenchError> {
        let Some(cookie) = self.session().await? else { return Ok(()) };
        let pages = pages(self.settings.segments > 0);
        let each = (self.seconds() / u32::try_from(pages.len()).unwrap_or(1)).max(LEAST);
        for round in 1..=self.settings.runs {
            self.say_round(Question::Pages, round);
            let (mut p50, mut p99) = (0.0_f64, 0.0_f64);
            for (name, path) in &pages {
                let request = page(&self.api.authority, path, &cookie);
                let latencies = load::run(&self.api.authority, same(&request, 1), each).await?.latencies;
                let (median, late) = (latencies.percentile(0.5), latencies.percentile(0.99));
                self.figures.add(Question::Pages, name, Metric::P50, median);
                self.figures.add(Question::Pages, name, Metric::P99, late);
                (p50, p99) = (p50.max(median), p99.max(late));
            }
            self.figures.add(Question::Pages, OURS, Metric::P50, p50);
            self.figures.add(Question::Pages, OURS, Metric::P99, p99);
        }
        self.figures.note("Of the console's pages, Rollcall's own figures are those of the slowest one.".into());
        Ok(())
    }

    /// The cookie of the Admin's session; none where the server is somebody else's.
    async fn session(&self) -> Result<Option<String>, BenchError> {
        let Some(own) = &self.own else { return Ok(None) };
        let (email, password) = own.launcher.admin();
        let body = json!({ "email": email, "password": password });
        let mut connection = Connection::open(&self.api.authority).await?;
        connection.expect(&post_from(&self.api.authority, "/accounts/login", 0, &body), 204).await?;
        let missing = || BenchError::Wrong {
            what: "the answer to a log-in".into(),
            expected: "a cookie".into(),
            found: "none".into(),
        };
        connection.cookie().map(Some).ok_or_else(missing)
    }
}

/// The pages, each with its name in the table.
fn pages(segmented: bool) -> Vec<(&'static str, String)> {
    let end_user = EndUser::new(SEED, 0).id();
    let segment = segments(1).into_iter().next().map(|segment| segment.id).filter(|_| segmented);
    let at = |below: &str| format!("/console/systems/{SYSTEM}{below}");
    let integration = format!("/integrations/{INTEGRATION}");
    let mut pages = vec![
        ("Home", "/console".to_owned()),
        ("Overview", at("")),
        ("Integrations", at("/integrations")),
        ("an integration", at(&integration)),
        ("its properties", at(&format!("{integration}/edit"))),
        ("its endpoint", at(&format!("{integration}/endpoint"))),
        ("the wizard", at("/integrations/new")),
        ("Segments", at("/segments")),
        ("a new segment", at("/new-segment")),
        ("Insights", at("/insights")),
        ("Insights with charts", at("/insights?charts=yes")),
        ("End users", at("/end-users")),
        ("an end user", at(&format!("/end-users/{end_user}"))),
        ("users of a system", at("/users")),
        ("settings of a system", at("/settings")),
        ("Users", "/console/users".to_owned()),
        ("Systems", "/console/systems".to_owned()),
        ("Clients", "/console/clients".to_owned()),
        ("Audit", "/console/audit".to_owned()),
        ("Profile", "/console/profile".to_owned()),
    ];
    if let Some(segment) = segment {
        pages.push(("a segment", at(&format!("/segments/{segment}"))));
        pages.push(("its members", at(&format!("/segments/{segment}/members"))));
        pages.push(("why an end user is in it", at(&format!("/end-users/{end_user}?why={segment}"))));
    }
    pages
}
