//! The engine against a model: random calls, restarts and checkpoints in between, on the real store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;

mod membership;

use super::*;
use crate::model::{AttributeName, AttributeType, IntegrationId, Timestamp, Value};
use crate::store::Options;

const TYPES: [AttributeType; 3] = [AttributeType::String, AttributeType::Number, AttributeType::Date];

fn open(folder: &Path) -> Engine {
    let store = Store::open(folder, &Options { cache_mib: 8 }).unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
    Engine::start(store, clock, &EngineOptions { min_free_mib: 0 }).unwrap()
}

fn system() -> SystemId {
    SystemId::new("default").unwrap()
}

fn name(text: &str) -> AttributeName {
    AttributeName::new(text).unwrap()
}

fn attribute(integration: &str, attribute: &str) -> AttributeId {
    AttributeId { integration: IntegrationId::new(integration).unwrap(), name: name(attribute) }
}

fn update(integration: &str, mode: Mode, records: &[(&str, &[(&str, Value)])]) -> Update {
    let place = |name: &str| NAMES.iter().position(|known| *known == name).unwrap();
    let sets = |values: &[(&str, Value)]| values.iter().map(|(n, value)| (place(n), value.clone())).collect();
    Update {
        system: system(),
        integration: IntegrationId::new(integration).unwrap(),
        mode,
        declared: Arc::from(NAMES.map(name)),
        records: records
            .iter()
            .map(|(id, values)| Record { id: EndUserId::new(id).unwrap(), sets: sets(values) })
            .collect(),
        idempotency: None,
        beside: Vec::new(),
    }
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn text(value: &str) -> Value {
    Value::String(value.into())
}

#[test]
fn a_crowd_is_answered_whatever_became_of_its_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let ids: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let calls: Vec<_> = ids
        .iter()
        .map(|id| {
            let (engine, call) = (engine.clone(), update("crm", Mode::Merge, &[(id, &[("a", text("x"))])]));
            runtime.spawn(async move { engine.update(call).await.unwrap().created })
        })
        .collect();
    let created: u64 = calls.into_iter().map(|call| runtime.block_on(call).unwrap()).sum();
    assert_eq!(created, 300);
    drop(runtime);
    std::thread::scope(|scope| {
        for id in &ids {
            let record = (Table::Server, id.clone().into_bytes(), Some(Vec::new()));
            scope.spawn(|| engine.write_records_blocking(vec![record]).unwrap());
        }
    });
}

#[test]
fn one_record_merges_and_several_replace() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    let value = |id: &str, n: &str| {
        let snapshot = engine.snapshot();
        let end_user = snapshot.system(&system())?.find(&EndUserId::new(id).unwrap())?;
        end_user.value(&attribute("crm", n), AttributeType::String)
    };
    let call = |mode, records: &[(&str, &[(&str, Value)])]| block(engine.update(update("crm", mode, records))).unwrap();
    let outcome = |received, created, updated, unchanged| Outcome { received, created, updated, unchanged };

    assert_eq!(call(Mode::Merge, &[("x", &[("a", text("1")), ("b", text("2"))])]), outcome(1, 1, 0, 0));
    assert_eq!(call(Mode::Merge, &[("x", &[("a", text("3"))])]), outcome(1, 0, 1, 0));
    assert_eq!((value("x", "a"), value("x", "b")), (Some(text("3")), Some(text("2"))));
    assert_eq!(call(Mode::Merge, &[("x", &[("a", text("3"))])]), outcome(1, 0, 0, 1));
    assert_eq!(call(Mode::Merge, &[("nobody", &[])]), outcome(1, 0, 0, 1));
    assert_eq!(
        block(engine.update(update("web", Mode::Merge, &[("x", &[("a", text("w"))])]))).unwrap(),
        outcome(1, 0, 1, 0)
    );

    let replace: &[(&str, &[(&str, Value)])] =
        &[("x", &[("b", text("lost"))]), ("y", &[("c", text("4"))]), ("x", &[("c", text("5"))]), ("z", &[])];
    assert_eq!(call(Mode::Replace, replace), outcome(4, 1, 1, 1));
    assert_eq!((value("x", "a"), value("x", "b"), value("x", "c")), (None, None, Some(text("5"))));
    let snapshot = engine.snapshot();
    let x = snapshot.system(&system()).unwrap().find(&EndUserId::new("x").unwrap()).unwrap();
    assert_eq!(x.value(&attribute("web", "a"), AttributeType::String), Some(text("w")), "other integrations stay");
    assert_eq!(snapshot.system(&system()).unwrap().len(), 2);
    engine.stop();
}

#[test]
fn a_changed_type_reads_what_fits_and_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    block(engine.update(update("crm", Mode::Replace, &[("x", &[("a", text("7"))]), ("y", &[("a", text("seven"))])])))
        .unwrap();
    let read = |id: &str, kind| {
        let snapshot = engine.snapshot();
        let end_user = snapshot.system(&system()).unwrap().find(&EndUserId::new(id).unwrap()).unwrap();
        end_user.value(&attribute("crm", "a"), kind)
    };
    assert_eq!(read("x", AttributeType::Number), Some(Value::Number(7.0)));
    assert_eq!(read("y", AttributeType::Number), None);
    block(engine.update(update("crm", Mode::Merge, &[("x", &[("a", Value::Number(8.0))])]))).unwrap();
    assert_eq!(read("x", AttributeType::String), Some(text("8")), "the newer value, not the older text");
    assert_eq!(read("y", AttributeType::String), Some(text("seven")));
    engine.stop();
}

#[test]
fn an_idempotency_key_applies_once_and_refuses_another_call() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    let call = |engine: &Engine, value: &str, call_hash| {
        let mut update = update("crm", Mode::Merge, &[("x", &[("a", text(value))])]);
        update.idempotency = Some(Idempotency { key: b"client\0key".to_vec(), call_hash });
        block(engine.update(update))
    };
    let first = call(&engine, "1", 1).unwrap();
    block(engine.update(update("crm", Mode::Merge, &[("x", &[("a", text("2"))])]))).unwrap();
    let commit = engine.status().last_commit;
    assert_eq!(call(&engine, "1", 1), Ok(first));
    assert_eq!(engine.status().last_commit, commit, "not applied again");
    assert_eq!(call(&engine, "3", 2), Err(WriteError::KeyReused));
    engine.stop();
    drop(engine);
    let engine = open(folder.path());
    assert_eq!(call(&engine, "1", 1), Ok(first), "after a restart too");
    engine.stop();
}

#[test]
fn a_purge_drops_hidden_values_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    block(engine.update(update("crm", Mode::Merge, &[("x", &[("a", text("1")), ("b", text("2"))])]))).unwrap();
    let keep: Keep = Arc::new(|_, id| id.name.as_str() == "b");
    assert_eq!(block(engine.purge(keep)), Ok(1));
    engine.stop();
    drop(engine);
    let engine = open(folder.path());
    let snapshot = engine.snapshot();
    let x = snapshot.system(&system()).unwrap().find(&EndUserId::new("x").unwrap()).unwrap();
    assert_eq!(x.value(&attribute("crm", "a"), AttributeType::String), None);
    assert_eq!(x.value(&attribute("crm", "b"), AttributeType::String), Some(text("2")));
    engine.stop();
}

/// What a step of the property test does.
#[derive(Debug, Clone)]
enum Step {
    Update(usize, bool, Vec<(usize, Vec<(usize, usize)>)>),
    Delete(usize),
    Unset(usize, usize, usize),
    Checkpoint,
    Restart,
    /// The engine is dropped without a stop: as after a crash, there is no last checkpoint.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let sets = prop::collection::vec((0_usize..3, 0_usize..9), 0..4);
    let records = prop::collection::vec((0_usize..12, sets), 1..4);
    prop_oneof![
        8 => (0_usize..2, any::<bool>(), records).prop_map(|(i, merge, records)| Step::Update(i, merge, records)),
        2 => (0_usize..12).prop_map(Step::Delete),
        1 => (0_usize..12, 0_usize..2, 0_usize..3).prop_map(|(id, i, a)| Step::Unset(id, i, a)),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

const INTEGRATIONS: [&str; 2] = ["crm", "web"];
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Nine values, three of each type.
fn value(pick: usize) -> Value {
    match pick {
        0..3 => text(["", "gold", "silver"][pick]),
        3..6 => Value::Number([0.0, 9.99, 5e-7][pick - 3]),
        _ => Value::Date(crate::model::Date::from_days([-719_162, 0, 20_000][pick - 6]).unwrap()),
    }
}

type Model = BTreeMap<String, BTreeMap<(usize, usize), Value>>;

fn apply(model: &mut Model, integration: usize, merge: bool, records: &[(usize, Vec<(usize, usize)>)]) {
    let records = if merge { records.get(..1).unwrap_or_default() } else { records };
    let mut seen = BTreeSet::new();
    for (id, sets) in records.iter().rev().filter(|(id, _)| seen.insert(*id)) {
        let id = format!("user{id}");
        let sets: BTreeMap<_, _> = sets.iter().map(|(a, v)| ((integration, *a), value(*v))).collect();
        if sets.is_empty() && !model.contains_key(&id) {
            continue;
        }
        let end_user = model.entry(id).or_default();
        if !merge {
            end_user.retain(|(other, _), _| *other != integration);
        }
        end_user.extend(sets);
    }
}

fn check(engine: &Engine, model: &Model) {
    let snapshot = engine.snapshot();
    assert_eq!(snapshot.end_users(), model.len() as u64);
    for id in (0..12).map(|n| format!("user{n}")) {
        let end_user = snapshot.system(&system()).and_then(|data| data.find(&EndUserId::new(&id).unwrap()));
        assert_eq!(end_user.is_some(), model.contains_key(&id), "{id}");
        let (Some(end_user), Some(expected)) = (end_user, model.get(&id)) else { continue };
        for (i, integration) in INTEGRATIONS.iter().enumerate() {
            for (a, attribute_name) in NAMES.iter().enumerate() {
                for kind in TYPES {
                    let read = end_user.value(&attribute(integration, attribute_name), kind);
                    let expected = expected.get(&(i, a)).and_then(|value| value.read_as(kind));
                    assert_eq!(read, expected, "{id} {integration}.{attribute_name} as {kind}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn every_answer_is_what_a_plain_map_would_say(steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut engine = open(folder.path());
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Update(i, merge, records) => {
                    let mode = if merge { Mode::Merge } else { Mode::Replace };
                    let named: Vec<(String, BTreeMap<usize, usize>)> =
                        records.iter().map(|(id, sets)| (format!("user{id}"), sets.iter().copied().collect())).collect();
                    let wanted = if merge { &named[..1] } else { &named[..] };
                    let mut call = update(INTEGRATIONS[i], mode, &[]);
                    call.records = wanted.iter().map(|(id, sets)| Record {
                        id: EndUserId::new(id).unwrap(),
                        sets: sets.iter().map(|(a, v)| (*a, value(*v))).collect(),
                    }).collect();
                    block(engine.update(call)).unwrap();
                    apply(&mut model, i, merge, &records);
                }
                Step::Delete(id) => {
                    let id = format!("user{id}");
                    let gone = block(engine.delete(system(), EndUserId::new(&id).unwrap(), Vec::new())).unwrap();
                    prop_assert_eq!(gone, model.remove(&id).is_some());
                }
                Step::Unset(id, i, a) => {
                    let id = format!("user{id}");
                    let attribute = attribute(INTEGRATIONS[i], NAMES[a]);
                    let unset = block(engine.unset(system(), EndUserId::new(&id).unwrap(), attribute, Vec::new())).unwrap();
                    prop_assert_eq!(unset, model.get_mut(&id).is_some_and(|end_user| end_user.remove(&(i, a)).is_some()));
                }
                Step::Checkpoint => block(engine.checkpoint()).unwrap(),
                Step::Restart => {
                    engine.stop();
                    drop(engine);
                    engine = open(folder.path());
                }
                Step::Crash => {
                    engine.abandon();
                    drop(engine);
                    engine = open(folder.path());
                }
            }
            check(&engine, &model);
        }
        engine.stop();
    }
}
