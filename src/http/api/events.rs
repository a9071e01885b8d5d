//! `GET /public/v1/systems/{s}/events`: who enters and leaves segments, as server-sent events.
//!
//! A follower asks for what follows on a number, so nothing is kept for it between two answers: one that reads slowly
//! makes nothing grow, and one that comes back goes on where it was. Where moves in between can't be told any more it
//! gets a `reset`, which says that what it knows of members must be read anew.
//!
//! Invariants: only moves of end users in sight are told, and nothing of how many others there were; before anything is told the follower is asked again whether it
//! still may; a stream ends with its token, its system, and the server's stop.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::{At, Lasting, needs};
use super::super::problem::{Kind, Problem};
use super::super::turns::Turn;
use crate::accounts::SealError;
use crate::engine::{Cause, Event, Reader};
use crate::model::{EndUserId, SegmentId, SystemId, Timestamp};

/// Moves that are written at once.
const BATCH: usize = 256;
/// How long a stream is silent at most, so that whoever stands in between does not end it.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often it is asked whether the follower still may.
const RENEWAL: Duration = Duration::from_secs(1);
/// How often it is looked whether a system that nothing was ever stored in has got something.
const WAIT_FOR_FIRST: Duration = Duration::from_millis(200);
/// How long a client should wait before it comes back, in milliseconds.
const RETRY_MS: u32 = 2_000;
/// What a client that comes back sends.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells a proxy not to hold events back.
const NO_BUFFER: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// Who follows, and where.
type Stream = At<needs::EndUsersAndSegmentsRead>;

/// What is followed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// The `id` of the event after which to begin; 0: with the oldest that is kept. Left out: with what happens from now on.
    #[param(required = false)]
    after: Option<String>,
    /// Only these segments, with commas between them; left out: all.
    segment: Option<String>,
}

/// What is told of a move.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventData<'a> {
    /// The segment.
    segment: &'a str,
    /// The end user.
    id: &'a str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Why.
    cause: EventCause<'a>,
}

/// Why an end user entered or left a segment.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum EventCause<'a> {
    /// An integration changed attributes.
    Update {
        /// The integration.
        integration: &'a str,
        /// The attributes.
        attributes: Vec<String>,
    },
    /// The rules changed.
    Rules {
        /// To this revision.
        revision: &'a str,
    },
    /// A new day began.
    Day {
        /// The day.
        day: &'a str,
    },
}

impl<'a> From<&'a Cause> for EventCause<'a> {
    fn from(cause: &'a Cause) -> Self {
        match cause {
            Cause::Update { integration, attributes } => Self::Update {
                integration,
                attributes: attributes.iter().map(|name| format!("{integration}.{name}")).collect(),
            },
            Cause::Rules(revision) => Self::Rules { revision },
            Cause::Day(day) => Self::Day { day },
        }
    }
}

/// Follow who enters and leaves segments
///
/// Server-sent events: `event: entered` or `left`, with a number as `id` (for who sees only some of the end users, a text that
/// tells nothing of how many moves lie in between). Who comes back with `Last-Event-ID` (as browsers
/// do) misses nothing that is still kept: the last 65,536 moves of the system. `event: reset` says that some in between are
/// not; then read the members anew. Deleting an end user is no move. A comment comes every 15 seconds.
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/events", operation_id = "follow_events", tag = "Segments",
    params(
        ("s" = String, Path, description = "The system"),
        EventsQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the event after which to begin; goes before `after`"),
    ),
    responses(
        (status = 200, description = "Events without end; the schema is that of their `data`", body = EventData, content_type = "text/event-stream"),
        (status = 400, description = "No such number"),
        (status = 404, description = "Unknown system or segment"),
    ),
    security(("oauth2" = ["end_users:read", "segments:read"])),
)]
pub(crate) async fn follow(
    lasting: Lasting<needs::EndUsersAndSegmentsRead>,
    headers: HeaderMap,
    query: Result<Query<EventsQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let segments = query.segment.as_deref().map(|list| segments_in(list, &lasting)).transpose()?;
    let after = last_seen(&headers)?.or(query.after.as_deref()).map(|id| number_of(id, &lasting.at)).transpose()?;
    let turn = lasting.at.state.turns().follow()?;
    let follower = Follower::new(lasting, after, segments, turn);
    let stream = futures_util::stream::unfold(follower, |mut follower| async move {
        let bytes = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), follower))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        NO_BUFFER,
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

/// The segments of a list; 404 for one that there is not.
fn segments_in(list: &str, lasting: &Lasting<needs::EndUsersAndSegmentsRead>) -> Result<Vec<SegmentId>, Problem> {
    let known = |id: &str| {
        let id = SegmentId::new(id).ok()?;
        lasting.at.rules.segments.get(&id).map(|segment| segment.id.clone())
    };
    let unknown = |id: &str| Problem::not_found(format!("there is no segment `{id}`"));
    list.split(',').map(str::trim).map(|id| known(id).ok_or_else(|| unknown(id))).collect()
}

/// What `Last-Event-ID` says; an empty one says nothing.
fn last_seen(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let id = value.to_str().map_err(|_| no_event())?.trim();
    Ok((!id.is_empty()).then_some(id))
}

/// The number that an event's `id` stands for, or 0. Who sees only some of the end users can't name other numbers: by what
/// follows on each it would learn how many moves of others lie in between.
fn number_of(id: &str, at: &Stream) -> Result<u64, Problem> {
    let named = id.parse().ok();
    let number = match named {
        Some(0) => named,
        Some(_) => at.reader()?.sees_all().then_some(named).flatten(),
        None => at.state.accounts.bookmarked(id, &moves_of(at.system())),
    };
    number.ok_or_else(no_event)
}

fn no_event() -> Problem {
    Problem::new(
        Kind::Malformed,
        "`Last-Event-ID` (or `after`) is not one that an event had: send the last event's `id`, or 0",
    )
}

fn moves_of(system: &SystemId) -> String {
    format!("moves of {system}")
}

/// Somebody who follows, between two pieces of the stream.
struct Follower {
    lasting: Lasting<needs::EndUsersAndSegmentsRead>,
    stopping: watch::Receiver<bool>,
    segments: Option<Vec<SegmentId>>,
    /// Changes with each move; `None` while nothing was ever stored in the system.
    moves: Option<watch::Receiver<u64>>,
    /// The number to go on after.
    after: u64,
    /// Nothing was written yet.
    fresh: bool,
    /// When the last piece was written.
    written: Instant,
    _turn: Turn,
}

impl Follower {
    fn new(
        lasting: Lasting<needs::EndUsersAndSegmentsRead>,
        after: Option<u64>,
        segments: Option<Vec<SegmentId>>,
        turn: Turn,
    ) -> Self {
        let stopping = lasting.at.state.stopping();
        let moves = lasting.at.state.engine.follow_events(lasting.at.system());
        let last = moves.as_ref().map_or(0, |moves| moves.borrow().saturating_sub(1));
        let after = after.unwrap_or(last);
        Self { lasting, stopping, segments, moves, after, fresh: true, written: Instant::now(), _turn: turn }
    }

    /// The next piece of the stream, once there is one; `None`: it is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if *self.stopping.borrow() || self.lasting.renew().is_err() {
                return None;
            }
            if let Some(moves) = &mut self.moves {
                moves.borrow_and_update();
            } else {
                self.moves = self.lasting.at.state.engine.follow_events(self.lasting.at.system());
            }
            let (mut text, more) = self.what_follows()?;
            if std::mem::take(&mut self.fresh) {
                text.insert_str(0, &format!("retry: {RETRY_MS}\n\n"));
            }
            if text.is_empty() && self.written.elapsed() >= HEARTBEAT {
                // An id alone is no event, but what the client will come back with.
                let at = &self.lasting.at;
                let id = shown_id(self.after, &at.reader().ok()?, at).ok()?;
                text = format!(": still here\nid: {id}\n\n");
            }
            if !text.is_empty() {
                self.written = Instant::now();
                return Some(Bytes::from(text));
            }
            if more {
                tokio::task::yield_now().await;
            } else {
                self.wait().await;
            }
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) {
        let pause = if self.moves.is_some() { RENEWAL } else { WAIT_FOR_FIRST };
        let moved = async {
            match &mut self.moves {
                // The engine is there as long as we are.
                Some(moves) => drop(moves.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = moved => {}
            _ = self.stopping.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// The moves that follow, as text, and whether there are more.
    fn what_follows(&mut self) -> Option<(String, bool)> {
        let at = &self.lasting.at;
        let following = at.state.engine.events_after(at.system(), self.after, BATCH);
        let reader = at.reader().ok()?;
        let id_of = |number| shown_id(number, &reader, at).ok();
        let mut text = String::new();
        if following.gap {
            let from = following.events.first().map_or(following.next, |event| event.number.saturating_sub(1));
            push_reset(&mut text, &id_of(from)?, reader.now());
        }
        let in_sight = |event: &&Event| {
            reader.sees_all() || EndUserId::new(&event.id).is_ok_and(|id| reader.end_user(&id).is_some())
        };
        let wanted = |event: &&Event| {
            self.segments.as_ref().is_none_or(|wanted| wanted.iter().any(|segment| segment.as_str() == &*event.segment))
        };
        let told = following.events.iter().filter(wanted).filter(in_sight);
        for event in told {
            push_event(&mut text, event, &id_of(event.number)?);
        }
        let more = following.events.len() == BATCH;
        self.after = following.next;
        Some((text, more))
    }
}

/// A move's number as its event's id.
fn shown_id(number: u64, reader: &Reader, at: &Stream) -> Result<String, SealError> {
    if reader.sees_all() {
        return Ok(number.to_string());
    }
    at.state.accounts.bookmark(number, &moves_of(at.system()))
}

fn push_event(text: &mut String, event: &Event, id: &str) {
    let data =
        EventData { segment: &event.segment, id: &event.id, at: event.at, cause: EventCause::from(&*event.cause) };
    let kind = if event.entered { "entered" } else { "left" };
    // Texts and numbers always make JSON, on one line.
    let data = serde_json::to_string(&data).unwrap_or_default();
    let _ = write!(text, "id: {id}\nevent: {kind}\ndata: {data}\n\n");
}

fn push_reset(text: &mut String, from: &str, now: Timestamp) {
    const DETAIL: &str = "some moves before this can't be told any more: read the members anew";
    let _ = write!(text, "id: {from}\nevent: reset\ndata: {{\"at\":\"{now}\",\"detail\":\"{DETAIL}\"}}\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_move_is_told_with_its_cause() {
        let told = |entered, cause| {
            let mut text = String::new();
            let (id, segment) = (Arc::from("a\n\"b\""), Arc::from("premium"));
            let at = Timestamp::from_millis(0);
            push_event(&mut text, &Event { number: 7, at, id, segment, entered, cause: Arc::new(cause) }, "7");
            text
        };
        let update = Cause::Update { integration: Arc::from("crm"), attributes: vec![Arc::from("Seats")] };
        assert_eq!(
            told(true, update),
            "id: 7\nevent: entered\ndata: {\"segment\":\"premium\",\"id\":\"a\\n\\\"b\\\"\",\
             \"at\":\"1970-01-01T00:00:00.000Z\",\"cause\":{\"integration\":\"crm\",\"attributes\":[\"crm.Seats\"]}}\n\n"
        );
        assert!(told(false, Cause::Rules(Arc::from("abc"))).contains("event: left\n"));
        assert!(told(false, Cause::Rules(Arc::from("abc"))).contains("\"cause\":{\"revision\":\"abc\"}"));
        assert!(told(true, Cause::Day(Arc::from("2024-02-29"))).contains("\"cause\":{\"day\":\"2024-02-29\"}"));
    }

    #[test]
    fn the_last_event_is_read_from_its_header() {
        let of = |value: &str| {
            let headers = HeaderMap::from_iter([(LAST_EVENT_ID, HeaderValue::from_str(value).unwrap())]);
            last_seen(&headers).map(|id| id.map(str::to_owned)).map_err(|problem| problem.status().as_u16())
        };
        assert_eq!((of("17"), of(" "), of("x")), (Ok(Some("17".to_owned())), Ok(None), Ok(Some("x".to_owned()))));
        assert_eq!(last_seen(&HeaderMap::new()).unwrap(), None);
    }
}
