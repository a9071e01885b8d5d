//! The timer of a connection, as hyper wants one for the deadline of a request's header.
//!
//! hyper makes a deadline for every request and drops it when the header is there. Here they share one timer of the
//! runtime, which is left at an earlier deadline until it goes off, and only then moved to the one that holds by then:
//! a busy connection touches it once a minute and not twice a request. Knows nothing of HTTP.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use parking_lot::Mutex;

/// One connection's timer. To be made and used within the runtime.
#[derive(Clone)]
pub(super) struct OneTimer(Arc<Mutex<Pin<Box<tokio::time::Sleep>>>>);

impl OneTimer {
    /// A timer that no deadline is before.
    pub(super) fn new(first: Duration) -> Self {
        Self(Arc::new(Mutex::new(Box::pin(tokio::time::sleep(first)))))
    }
}

impl Timer for OneTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Deadline { timer: self.clone(), at })
    }
}

/// Until a moment that is no earlier than those before it.
struct Deadline {
    timer: OneTimer,
    at: Instant,
}

impl Sleep for Deadline {}

impl Future for Deadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.0.lock();
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= self.at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(self.at.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_holds_whatever_earlier_ones_the_timer_was_set_for() {
        let begun = Instant::now();
        let timer = OneTimer::new(Duration::from_millis(5));
        let at = |millis| timer.sleep_until(begun + Duration::from_millis(millis));
        for millis in [10, 20, 30] {
            // As hyper does it when a header comes in time.
            let mut met = at(millis);
            assert!(std::future::poll_fn(|cx| Poll::Ready(met.as_mut().poll(cx))).await.is_pending());
        }
        at(60).await;
        assert!(begun.elapsed() >= Duration::from_millis(60));
        at(40).await;
        timer.sleep(Duration::from_millis(10)).await;
        assert!(begun.elapsed() >= Duration::from_millis(70));
    }
}
