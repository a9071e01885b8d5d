//! Callers that remember what they were promised, and the checker of those promises.
//!
//! Each caller has end users of its own and waits for one answer before it sends the next call, so at any moment a caller has at
//! most one call whose fate is open. After a crash each caller's end users must therefore be exactly as its acknowledged calls
//! left them, or exactly as the open call would have left all of them. Anything else is a lost write or half a call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{Ask, Client, System, encode};

/// End users of one caller.
const PEOPLE: usize = 6;
/// Callers at once.
pub const CALLERS: usize = 8;

/// The attributes of the integration `crm` that an end user should have; no entry: the end user should be unknown.
type Expected = BTreeMap<usize, BTreeMap<String, Value>>;

/// One caller: what it was promised, and the call whose fate is open.
pub struct Caller {
    number: usize,
    calls: u64,
    promised: Expected,
    open: Option<Expected>,
}

/// Whether callers go on.
pub struct Load {
    acknowledged: AtomicUsize,
    stop_after: usize,
}

impl Load {
    /// A load that counts what is acknowledged, and calls `stop_after` enough.
    pub fn new(stop_after: usize) -> Self {
        Self { acknowledged: AtomicUsize::new(0), stop_after }
    }
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }
    /// Whether enough calls were acknowledged.
    pub fn is_enough(&self) -> bool {
        self.acknowledged() >= self.stop_after
    }
}

/// A small generator of repeatable choices (splitmix64).
fn choice(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Caller {
    pub fn all() -> Vec<Self> {
        let caller = |number| Self { number, calls: 0, promised: Expected::new(), open: None };
        (0..CALLERS).map(caller).collect()
    }

    fn id(&self, person: usize) -> String {
        format!("c{}-{person}@example.com", self.number)
    }

    /// Makes calls until the connection breaks or a call is refused because the server is stopping.
    pub fn run(&mut self, system: &str, client: &Client, token: &str, load: &Load) {
        loop {
            self.calls += 1;
            let seed = choice(self.calls.wrapping_mul(31).wrapping_add(self.number as u64));
            let (after, reply) = match seed % 10 {
                0 => self.delete(system, client, seed),
                1..=5 => self.replace(client, token, seed),
                _ => self.merge(client, token, seed),
            };
            match reply {
                Some(200 | 204 | 404) => {
                    self.promised = after;
                    load.acknowledged.fetch_add(1, Ordering::SeqCst);
                }
                // Refused on the way out: not taken, so nothing is open.
                Some(503) => return,
                Some(status) => panic!("a call was answered {status}"),
                None => {
                    self.open = Some(after);
                    return;
                }
            }
        }
    }

    fn values(&self, person: usize) -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("Seats".to_owned(), json!(self.calls)),
            ("Customer_Type".to_owned(), json!(format!("call {} of {} for {person}", self.calls, self.number))),
        ])
    }

    /// One record: merges two of the four attributes.
    fn merge(&self, client: &Client, token: &str, seed: u64) -> (Expected, Option<u16>) {
        let person = (seed >> 8) as usize % PEOPLE;
        let values = self.values(person);
        let record = json!({ "Email": self.id(person), "Seats": values["Seats"], "Type": values["Customer_Type"] });
        let mut after = self.promised.clone();
        after.entry(person).or_default().extend(values);
        (after, send(client, token, &json!([record])))
    }

    /// Several records: each replaces, some with fewer attributes.
    fn replace(&self, client: &Client, token: &str, seed: u64) -> (Expected, Option<u16>) {
        let (first, count) = ((seed >> 8) as usize % PEOPLE, 2 + (seed >> 16) as usize % (PEOPLE - 1));
        let mut after = self.promised.clone();
        let mut records = Vec::new();
        for person in (first..first + count).map(|person| person % PEOPLE) {
            let mut values = self.values(person);
            let mut record =
                json!({ "Email": self.id(person), "Seats": values["Seats"], "Type": values["Customer_Type"] });
            if (seed >> (24 + person)) & 1 == 1 {
                values.insert("Signup".to_owned(), json!("2024-02-29"));
                values.insert("Customer_Status".to_owned(), json!("x".repeat((seed >> 32) as usize % 900)));
                record["Signup"] = values["Signup"].clone();
                record["Status"] = values["Customer_Status"].clone();
            }
            after.insert(person, values);
            records.push(record);
        }
        (after, send(client, token, &Value::from(records)))
    }

    fn delete(&self, system: &str, client: &Client, seed: u64) -> (Expected, Option<u16>) {
        let person = (seed >> 8) as usize % PEOPLE;
        let path = format!("/public/v1/systems/{system}/end-users/{}", encode(&self.id(person)));
        let reply = client.request(reqwest::Method::DELETE, &path).try_ask().map(|reply| reply.status);
        let mut after = self.promised.clone();
        let known = after.remove(&person).is_some();
        if let Some(status) = reply {
            assert!(status == 503 || known == (status == 204), "deleting a known ({known}) end user gave {status}");
        }
        (after, reply)
    }

    /// Asserts that the caller's end users are as promised, or as the open call would have left all of them; that becomes what is
    /// promised from now on.
    #[track_caller]
    pub fn check(&mut self, system: &System<'_>, when: &str) {
        let mut found = Expected::new();
        for person in 0..PEOPLE {
            if let Value::Object(attributes) = system.attributes(&self.id(person)) {
                let crm = attributes.get("crm").and_then(Value::as_object).cloned().unwrap_or_default();
                found.insert(person, crm.into_iter().collect());
            }
        }
        let open = self.open.take();
        if found == self.promised {
            return;
        }
        let Some(open) = open else {
            panic!("{when}: caller {} was promised\n{:#?}\nand finds\n{found:#?}", self.number, self.promised);
        };
        assert_eq!(
            found, open,
            "{when}: caller {}: neither as promised (below) nor as its open call would have it\n{:#?}",
            self.number, self.promised
        );
        self.promised = open;
    }

    /// Asserts what an update call counts: everything promised sent again is unchanged, one change is one update.
    #[track_caller]
    pub fn check_counts(&mut self, system: &System<'_>, token: &str, when: &str) {
        let record = |person: &usize, values: &BTreeMap<String, Value>| {
            let mut record = json!({ "Email": self.id(*person), "Undeclared": 1 });
            for (name, value) in values {
                record[name.trim_start_matches("Customer_")] = value.clone();
            }
            record
        };
        let mut records: Vec<Value> = self.promised.iter().map(|(person, values)| record(person, values)).collect();
        let known = records.len() as u64;
        if known < 2 {
            return;
        }
        let counts = system.client.update(token, &Value::from(records.clone())).counts();
        assert_eq!((counts.unchanged, counts.updated, counts.created), (known, 0, 0), "{when}: the same again");
        records[0]["Seats"] = json!(-1);
        let counts = system.client.update(token, &Value::from(records)).counts();
        assert_eq!((counts.unchanged, counts.updated, counts.created), (known - 1, 1, 0), "{when}: one changed");
        let first = self.promised.values_mut().next().expect("there are two");
        first.insert("Seats".to_owned(), json!(-1));
    }
}

/// An update call's status; `None` when the connection broke before the answer was there.
fn send(client: &Client, token: &str, data: &Value) -> Option<u16> {
    client.update_request(token, data).try_ask().map(|reply| reply.status)
}
