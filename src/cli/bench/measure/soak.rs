//! R9: half of P1 and half of P2 for a long while: whether memory and disk level out, and whether the answers stay right.

use super::super::api::get;
use super::super::error::BenchError;
use super::super::metric::{Metric, Question};
use super::super::report::OURS;
use super::super::say;
use super::super::wire::Connection;
use super::{Bench, CHECKED};

/// How much memory and disk of the last quarter may be over that of the second one.
const GROWTH: f64 = 1.15;
/// Rounds below which nothing can be said of growth: in the first ones the store comes to its size.
const FEW: usize = 40;

impl Bench {
    /// In each round updates for half of the time and page loads for the other half, so that each comes at half of its
    /// speed; then everything is looked at.
    pub(super) async fn soak(&mut self) -> Result<(), BenchError> {
        let half = self.seconds() / 2;
        let (mut memory, mut disk) = (Vec::new(), Vec::new());
        for round in 1..=self.settings.runs {
            let before = self.processors();
            let outcome = self.send_updates(self.settings.connections, half).await?;
            self.record(Question::Soak, OURS, Some(Metric::Updates), &outcome, &before);
            let loads = self.send_page_loads(half).await?;
            self.figures.add(Question::Soak, OURS, Metric::Answers, loads.rate());
            self.truth.check(&self.api, CHECKED).await?;
            if let Some(mib) = self.own.as_ref().and_then(|own| own.server.memory()) {
                self.figures.add(Question::Soak, OURS, Metric::MemoryBusy, mib);
                memory.push(mib);
            }
            if let Some(bytes) = self.workspace.as_ref().map(|workspace| store_size(workspace.path())) {
                let mib = bytes as f64 / f64::from(1 << 20);
                self.figures.add(Question::Soak, OURS, Metric::StoreSize, mib);
                disk.push(mib);
            }
            let figure = |list: &[f64]| list.last().map_or_else(|| "?".to_owned(), |mib| format!("{mib:.0} MiB"));
            let (rounds, resident, stored) = (self.settings.runs, figure(&memory), figure(&disk));
            say(&format!("soak: round {round} of {rounds}: {resident} resident, {stored} on disk"));
        }
        let disagreements = disagreements(&self.api.authority).await?;
        if disagreements > 0.0 {
            return Err(wrong("rollcall_disagreements_total", "0", &disagreements.to_string()));
        }
        level("resident memory", &memory)?;
        level("the store on disk", &disk)
    }
}

fn wrong(what: &str, expected: &str, found: &str) -> BenchError {
    BenchError::Wrong { what: what.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}

/// Whether it has levelled out: the last quarter is hardly above the second one.
fn level(what: &str, figures: &[f64]) -> Result<(), BenchError> {
    if figures.len() < FEW {
        return Ok(());
    }
    let quarter = figures.len() / 4;
    let most = |from: usize| figures.iter().skip(from).take(quarter).copied().fold(0.0, f64::max);
    let (early, late) = (most(quarter), most(figures.len() - quarter));
    if late <= early * GROWTH {
        return Ok(());
    }
    Err(wrong(what, &format!("at most {:.0} MiB", early * GROWTH), &format!("{late:.0} MiB")))
}

/// Bytes of the store below a workspace's folder.
fn store_size(folder: &std::path::Path) -> u64 {
    std::fs::metadata(folder.join("data/store/db")).map_or(0, |file| file.len())
}

/// The sum of what the server's own sampler found, as it tells.
async fn disagreements(authority: &str) -> Result<f64, BenchError> {
    let mut connection = Connection::open(authority).await?;
    let text = connection.expect_ok(&get(authority, "/metrics", None)).await?;
    let text = String::from_utf8_lossy(text).into_owned();
    let counted = text.lines().filter(|line| line.starts_with("rollcall_disagreements_total"));
    Ok(counted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_from_a_level() {
        let rounds = |figure: fn(f64) -> f64| (0..FEW).map(|round| figure(round as f64)).collect::<Vec<f64>>();
        let growing = rounds(|round| 100.0 + round);
        assert!(level("x", &growing[..FEW - 1]).is_ok(), "too few rounds say nothing");
        assert!(level("x", &growing).is_err());
        assert!(level("x", &rounds(|round| 200.0 - 100.0 / (1.0 + round))).is_ok());
    }
}
