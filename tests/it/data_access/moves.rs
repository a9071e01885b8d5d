//! Who is in a unit group changes with their attributes and with its rule, and with both what is seen.

use serde_json::{Value, json};

use super::{GROUPS, operator, server, system_of};
use crate::support::entry;

#[test]
fn an_end_user_is_seen_while_in_the_unit_group() {
    let server = server();
    let whole = system_of(server, &["A", "C"]);
    let ann = operator(server, &[entry("Reader", &whole.id, "(U) a")]);
    let moved = |team: &str| whole.update("crm", &json!([{ "Email": "c1", "Team": team }])).counts();
    let sees = || {
        let status = ann.get(&whole.public("end-users/c1")).status;
        let count = ann.get(&whole.public("segments/big")).is(200)["count"].clone();
        let total = ann.post(&whole.public("end-users/query"), &json!({ "count_only": true })).is(200)["total"].clone();
        let known = ann.get(&whole.public("end-users/c1/segments")).is(200)["known"].clone();
        (status, count, total, known)
    };
    let (outside, inside) = ((404, json!(3), json!(4), json!(false)), (200, json!(4), json!(5), json!(true)));
    assert_eq!(sees(), outside);
    moved("A");
    assert_eq!(sees(), inside);
    moved("B");
    assert_eq!(sees(), outside);
    moved("A");
    whole.client.delete(&whole.public("end-users/c1/attributes/crm.Team")).is(204);
    assert_eq!(sees(), outside);
}

#[test]
fn a_changed_unit_group_counts_from_its_reload_on() {
    let server = server();
    let whole = system_of(server, &["A", "B", "C"]);
    let ann = operator(server, &[entry("Reader", &whole.id, "(U) a")]);
    let members = || {
        let reply = ann.get(&whole.public("segments/known/members"));
        if reply.status == 403 { Value::Null } else { reply.is(200)["items"].clone() }
    };
    let write = |text: &str| {
        whole.write(&[("system.toml", text)]);
        whole.reload();
    };
    assert_eq!(members(), json!(["a1", "a2", "a3", "a4"]));
    write(&GROUPS.replace(r#"crm.Team == "A""#, r#"crm.Team == "C" && crm.Seats > 60"#));
    assert_eq!(members(), json!(["c1", "c2"]));
    assert_eq!(
        ann.get(&whole.public("attributes/crm.Note/distribution")).is(200)["values"],
        json!([{ "value": "secret", "count": 2 }])
    );
    write(&GROUPS.replace("(U) a", "(U) other"));
    assert_eq!(members(), Value::Null, "a unit group that is gone grants nothing");
    write(GROUPS);
    assert_eq!(members(), json!(["a1", "a2", "a3", "a4"]));
}
