//! Queries: by filter and by rule, paged, counted; attributes and what values they have.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Reply, System, crm, encode, integration, segment, shared};

/// A system of twenty: `u00` to `u19` with as many seats, the even ones `paying`.
fn system() -> System<'static> {
    let system = shared().add_system(&[
        ("integrations/crm.toml", crm()),
        ("integrations/web.toml", integration("id", &[("Visits", "", "number")])),
        ("segments/big.rhai", segment("crm.Seats >= 15")),
    ]);
    let record = |n: u32| {
        let kind = if n.is_multiple_of(2) { "paying" } else { "free" };
        json!({ "Email": format!("u{n:02}"), "Seats": n, "Type": kind, "Signup": format!("2024-01-{:02}", n + 1) })
    };
    system.update("crm", &(0..20).map(record).collect()).counts();
    system.update("web", &json!([{ "id": "u03", "Visits": 7 }])).counts();
    system
}

#[track_caller]
fn query(system: &System<'_>, body: &Value) -> Reply {
    system.client.post(&system.public("end-users/query"), body)
}

#[track_caller]
fn ids(answer: &Value) -> Vec<&str> {
    answer["items"].as_array().expect("items").iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

#[test]
fn a_filter_and_a_rule_find_the_same() {
    let system = system();
    let filter = json!({ "all": [
        { "attribute": "crm.Seats", "operator": "at_least", "value": 15 },
        { "attribute": "crm.Customer_Type", "operator": "is", "value": "PAYING", "ignore_case": true },
    ] });
    let by_filter = query(&system, &json!({ "where": filter })).is(200);
    assert_eq!((by_filter["total"].as_u64(), ids(&by_filter)), (Some(2), vec!["u16", "u18"]));
    assert_eq!(by_filter["next_cursor"], Value::Null);
    let attributes = json!({ "crm": { "Customer_Type": "paying", "Seats": 16, "Signup": "2024-01-17" } });
    assert_eq!(by_filter["items"][0], json!({ "id": "u16", "attributes": attributes }));

    let by_rule = query(&system, &json!({ "rule": "in_segment(\"big\") && crm.Customer_Type == \"paying\"" })).is(200);
    assert_eq!(by_rule, by_filter);
    let by_script = "let n = 0; for x in 0..3 { n += x; } crm.Seats >= 12 + n && lower(crm.Customer_Type).len() == 6";
    assert_eq!(query(&system, &json!({ "rule": by_script })).is(200), by_filter, "what runs as a script, too");
    let by_segment = query(&system, &json!({ "where": { "not": { "segment": "big" } }, "count_only": true })).is(200);
    assert_eq!(by_segment, json!({ "total": 15, "items": [], "next_cursor": null }));
    assert_eq!(query(&system, &json!({})).is(200)["total"], 20, "who asks for nothing in particular gets everybody");
}

#[test]
fn a_cursor_neither_skips_nor_repeats_whoever_is_there_throughout() {
    let system = system();
    let (mut seen, mut cursor, mut round) = (Vec::new(), Value::Null, 0);
    loop {
        let mut body = json!({ "select": [], "limit": 3 });
        if cursor.is_string() {
            body["cursor"] = cursor;
        }
        let page = query(&system, &body).is(200);
        assert!(ids(&page).len() <= 3);
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        // Some come and some go while the pages are read.
        system.client.delete(&system.public(&format!("end-users/u{:02}", 19 - round))).is(204);
        system.update("crm", &json!([{ "Email": format!("new{round}"), "Seats": 1 }])).counts();
        cursor = page["next_cursor"].clone();
        round += 1;
        if cursor.is_null() {
            break;
        }
    }
    let distinct: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(distinct.len(), seen.len(), "nobody twice: {seen:?}");
    for n in 0..20 - round {
        assert!(distinct.contains(format!("u{n:02}").as_str()), "u{n:02} was there throughout: {seen:?}");
    }
}

#[test]
fn only_what_is_selected_is_shown() {
    let system = system();
    let one = json!({ "rule": "crm.Seats == 3" });
    let with = |select: Value| {
        let mut body = one.clone();
        body["select"] = select;
        query(&system, &body)
    };
    assert_eq!(
        with(json!(["web.Visits", "crm.Seats"])).is(200)["items"][0]["attributes"],
        json!({ "crm": { "Seats": 3 }, "web": { "Visits": 7 } })
    );
    assert_eq!(with(json!([])).is(200)["items"][0], json!({ "id": "u03", "attributes": {} }));
    with(json!(["crm.Seats", "crm.Nope", "x", "crm.Seats"])).problem(422).points_at(vec![
        "/select/1",
        "/select/2",
        "/select/3",
    ]);
}

#[test]
fn answers_are_right_right_after_a_write_a_delete_and_a_reload() {
    let system = system();
    let count =
        |filter: Value| query(&system, &json!({ "where": filter, "count_only": true })).is(200)["total"].clone();
    let seats = json!({ "attribute": "crm.Seats", "operator": "greater_than", "value": 100 });
    let big = json!({ "segment": "big" });
    assert_eq!((count(seats.clone()), count(big.clone())), (json!(0), json!(5)));
    system.update("crm", &json!([{ "Email": "u01", "Seats": 101 }])).counts();
    assert_eq!((count(seats.clone()), count(big.clone())), (json!(1), json!(6)), "after a write");
    system.client.delete(&system.public("end-users/u01/attributes/crm.Seats")).is(204);
    assert_eq!((count(seats.clone()), count(big.clone())), (json!(0), json!(5)), "after unsetting");
    system.client.delete(&system.public("end-users/u19")).is(204);
    assert_eq!(count(big.clone()), 4, "after a delete");
    system.write(&[("segments/big.rhai", &segment("crm.Seats < 3"))]);
    system.reload();
    assert_eq!(count(big), 2, "after a reload: u00 and u02, as u01 has none");
}

#[test]
fn a_question_with_mistakes_is_refused_with_each_of_them() {
    let system = system();
    let cases = [
        (
            json!({ "where": { "attribute": "crm.Seets", "operator": "is_set" } }),
            "/where/attribute",
            "did you mean `crm.Seats`",
        ),
        (
            json!({ "where": { "attribute": "crm.Seats", "operator": "contains", "value": 1 } }),
            "/where/operator",
            "equals",
        ),
        (
            json!({ "where": { "attribute": "crm.Seats", "operator": "equals", "value": "x" } }),
            "/where/value",
            "number",
        ),
        (json!({ "where": { "all": [{ "segment": "bigg" }] } }), "/where/all/0/segment", "did you mean `big`"),
        (
            json!({ "where": { "attribute": "crm.Customer_Type", "operator": "matches", "value": "(" } }),
            "/where/value",
            "",
        ),
        (json!({ "where": { "every": [] } }), "/where/every", ""),
        (json!({ "rule": "crm.Seets > 1" }), "/rule", "1:5: "),
        (json!({ "rule": "crm.Seats >" }), "/rule", "1:"),
        (json!({ "rule": "true", "where": { "all": [] } }), "/rule", "not both"),
    ];
    for (body, pointer, says) in cases {
        let problem = query(&system, &body).problem(422);
        assert!(problem.pointers().contains(&pointer), "{body}: {}", problem.body);
        problem.says(says);
    }
    for body in
        [json!({ "limit": 0 }), json!({ "limit": 1001 }), json!({ "cursor": "?" }), json!({ "selct": [] }), json!([])]
    {
        query(&system, &body).problem(400);
    }
    let deep = (0..200).fold(json!({ "all": [] }), |inner, _| json!({ "not": inner }));
    let reply = query(&system, &json!({ "where": deep }));
    assert!(matches!(reply.status, 400 | 422), "{reply:?}");
    let endless = query(&system, &json!({ "rule": "let n = 0; loop { n += 1; if n > 9 { throw \"enough\"; } }" }));
    let endless = endless.is(200);
    assert_eq!(
        (&endless["total"], &endless["errors"]),
        (&json!(0), &json!(20)),
        "a rule that fails finds nobody, and says so"
    );
    assert!(endless["last_error"].as_str().unwrap().contains("enough"), "{endless}");
}

#[test]
fn what_is_no_object_or_no_parameter_is_refused_in_words() {
    let system = system();
    // A list is no object, though its items stood for the members in their order.
    for body in [json!([]), json!([null, "crm.Seats > 1", null, null, null, true]), json!("x"), json!(5)] {
        let problem = query(&system, &body).problem(400);
        assert!(problem.body.contains("object") && !problem.body.contains("struct"), "{}", problem.body);
    }
    query(&system, &json!({ "limit": "5" })).problem(400).says("a whole number");
    for path in ["segments?limt=1", "segments/none/members?lmit=1", "filters?x", "segments?limit=1&limit=2"] {
        system.client.get(&system.public(path)).problem(400);
    }
    system.client.get("/admin/v1/systems?foo=1").problem(400);
}

#[test]
fn asking_needs_its_scopes() {
    let system = system();
    let path = system.public("end-users/query");
    let with = |scope: &str, body: &Value| system.server.client_with(scope).post(&path, body);
    with("segments:read", &json!({})).problem(403);
    with("end_users:read", &json!({ "rule": "crm.Seats > 1" })).is(200);
    with("end_users:read", &json!({ "where": { "segment": "big" } })).problem(403).says("segments:read");
    with("end_users:read", &json!({ "rule": "in_segment(\"big\")" })).problem(403).says("segments:read");
    with("end_users:read segments:read", &json!({ "where": { "segment": "big" } })).is(200);
}

#[test]
fn an_end_user_who_is_called_like_a_call_is_reached_in_other_letters() {
    let system = system();
    system.update("crm", &json!([{ "Email": "query", "Seats": 1 }])).counts();
    assert_eq!(system.client.get(&system.public("end-users/%71uery")).is(200)["id"], "query");
}

#[test]
fn attributes_are_listed_with_what_can_be_asked_of_them() {
    let system = system();
    system.write(&[(
        "integrations/off.toml",
        &integration("id", &[("x", "", "string")]).replace("kind", "enabled = false\nkind"),
    )]);
    system.reload();
    let list = system.client.get(&system.public("attributes")).is(200);
    assert_eq!((&list["used"], &list["cap"]), (&json!(6), &json!(100)));
    let items = list["items"].as_array().unwrap();
    let known: Vec<_> =
        items.iter().map(|item| (item["id"].as_str().unwrap(), item["count"].as_u64().unwrap())).collect();
    assert_eq!(
        known,
        [
            ("crm.Customer_Type", 20),
            ("crm.Customer_Status", 0),
            ("crm.Seats", 20),
            ("crm.Signup", 20),
            ("web.Visits", 1)
        ]
    );
    let seats = &items[2];
    assert_eq!((&seats["integration"], &seats["integration_name"]), (&json!("crm"), &json!("Test")));
    assert_eq!((&seats["name"], &seats["type"]), (&json!("Seats"), &json!("number")));
    for operator in seats["operators"].as_array().unwrap() {
        let value = match operator.as_str().unwrap() {
            "between" => json!([1, 2]),
            list if list.ends_with("one_of") => json!([1]),
            set if set.ends_with("set") => Value::Null,
            _ => json!(1),
        };
        let mut filter = json!({ "attribute": "crm.Seats", "operator": operator });
        if !value.is_null() {
            filter["value"] = value;
        }
        query(&system, &json!({ "where": filter })).is(200);
    }
}

#[test]
fn a_distribution_counts_everybody_once() {
    let system = system();
    system.update("crm", &json!([{ "Email": "none", "Status": "x" }])).counts();
    let of = |path: &str| system.client.get(&system.public(&format!("attributes/{path}")));
    let types = of("crm.Customer_Type/distribution").is(200);
    let values = json!([{ "value": "free", "count": 10 }, { "value": "paying", "count": 10 }]);
    assert_eq!(types, json!({ "values": values, "other": 0, "distinct": 2, "none": 1 }));
    let top = of("crm.Customer_Type/distribution?top=1").is(200);
    assert_eq!((top["values"].as_array().unwrap().len(), &top["other"], &top["distinct"]), (1, &json!(10), &json!(2)));

    let filter = encode(&json!({ "attribute": "crm.Seats", "operator": "less_than", "value": 3 }).to_string());
    let few = of(&format!("crm.Customer_Type/distribution?where={filter}")).is(200);
    let values = json!([{ "value": "paying", "count": 2 }, { "value": "free", "count": 1 }]);
    assert_eq!(few, json!({ "values": values, "other": 0, "distinct": 2, "none": 0 }));

    let seats = of("crm.Seats/distribution").is(200);
    let buckets = seats["buckets"].as_array().unwrap();
    assert_eq!((&buckets[0], &seats["none"]), (&json!({ "from": 0, "to": 1, "count": 1 }), &json!(1)));
    assert_eq!(buckets.iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>(), 20);
    let days = of("crm.Signup/distribution").is(200);
    assert_eq!(days["buckets"][19], json!({ "from": "2024-01-20", "to": "2024-01-21", "count": 1 }));

    of("crm.Nope/distribution").problem(404);
    of("crm.Seats/distribution?where=%7B").problem(400);
    of("crm.Seats/distribution?top=0").problem(400);
    of("crm.Seats/distribution?wher=x").problem(400);
    let wrong = encode(r#"{"attribute":"crm.Seets","operator":"is_set"}"#);
    of(&format!("crm.Seats/distribution?where={wrong}")).problem(422).points_at(vec!["/where/attribute"]);
}

#[test]
fn a_changed_type_is_counted_as_it_reads_now() {
    let typed = |kind: &str| integration("id", &[("v", "", kind)]);
    let system = shared().add_system(&[("integrations/x.toml", typed("string"))]);
    system
        .update("x", &json!([{ "id": "a", "v": "7" }, { "id": "b", "v": "words" }, { "id": "c", "v": "7.5" }]))
        .counts();
    system.write(&[("integrations/x.toml", &typed("number"))]);
    system.reload();
    system.update("x", &json!([{ "id": "d", "v": 8 }])).counts();
    let numbers = system.client.get(&system.public("attributes/x.v/distribution")).is(200);
    let counted: u64 =
        numbers["buckets"].as_array().unwrap().iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum();
    assert_eq!((counted, &numbers["none"]), (3, &json!(1)), "{numbers}");
    let found =
        query(&system, &json!({ "where": { "attribute": "x.v", "operator": "between", "value": [7, 7.5] } })).is(200);
    assert_eq!(ids(&found), ["a", "c"]);
    assert_eq!(system.client.get(&system.public("attributes")).is(200)["items"][0]["count"], 3);
}
