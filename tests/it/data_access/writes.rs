//! Writing with a permission over some unit groups: only whom it is over, and never a hint of anybody else.

use reqwest::Method;
use serde_json::{Value, json};

use super::{operator, server, system_of};
use crate::support::{Reply, System, Visitor, entry};

fn update(who: &Visitor, system: &System<'_>, data: &Value) -> Reply {
    who.post("/public/v1/user/data", &json!({ "token": system.token("crm"), "data": data }))
}

#[test]
fn an_update_that_names_anyone_outside_is_refused_whole_without_a_hint() {
    let server = server();
    let whole = system_of(server, &["A", "C"]);
    let ann = operator(server, &[entry("Writer", &whole.id, "(U) a")]);
    let one = |id: &str| json!([{ "Email": id, "Note": "changed" }]);
    let counts = update(&ann, &whole, &one("a1")).counts();
    assert_eq!((counts.updated, counts.created), (1, 0));
    let outside = update(&ann, &whole, &one("c1"));
    let unknown = update(&ann, &whole, &one("nobody"));
    outside.problem(403);
    assert_eq!(outside.body, unknown.body, "whether there is such an end user is not told");
    let mixed = json!([{ "Email": "a2", "Note": "changed" }, { "Email": "c1", "Note": "changed" }]);
    assert_eq!(update(&ann, &whole, &mixed).body, outside.body);
    for (id, note) in [("a1", "changed"), ("a2", "quiet"), ("c1", "secret")] {
        assert_eq!(whole.attributes(id)["crm"]["Note"], note, "{id}");
    }
    assert_eq!(whole.attributes("nobody"), Value::Null);
    // What is wrong with the call itself is told first, whomever it names.
    let bad = |id: &str| update(&ann, &whole, &json!([{ "Email": id, "Seats": "many" }]));
    assert_eq!(bad("c1").problem(422).body, bad("nobody").problem(422).body);

    // Out of the group by one's own hand, and not back.
    update(&ann, &whole, &json!([{ "Email": "a3", "Team": "B" }])).counts();
    update(&ann, &whole, &json!([{ "Email": "a3", "Team": "A" }])).problem(403);
    let all = operator(server, &[entry("Writer", &whole.id, "(U) a"), entry("Writer", &whole.id, "*")]);
    assert_eq!(update(&all, &whole, &one("fresh")).counts().created, 1);
    let elsewhere = operator(server, &[entry("Writer", "idle", "*")]);
    update(&elsewhere, &whole, &one("a1")).problem(403);
}

#[test]
fn unsetting_and_deleting_find_nobody_outside() {
    let server = server();
    let whole = system_of(server, &["A", "C"]);
    let path = |id: &str, rest: &str| whole.public(&format!("end-users/{id}{rest}"));
    let ann = operator(server, &[entry("Writer", &whole.id, "(U) a"), entry("Keeper", &whole.id, "b")]);
    assert_eq!(
        ann.delete(&path("c1", "/attributes/crm.Note")).problem(404).body,
        ann.delete(&path("nobody", "/attributes/crm.Note")).problem(404).body
    );
    ann.delete(&path("a1", "/attributes/crm.Note")).is(204);
    assert_eq!(whole.attributes("c1")["crm"]["Note"], "secret");
    let keeper = operator(server, &[entry("Keeper", &whole.id, "(U) a")]);
    let outside = keeper.delete(&path("c1", ""));
    assert_eq!(outside.problem(404).body, keeper.delete(&path("nobody", "")).problem(404).body);
    ann.delete(&path("a1", "")).problem(404);
    keeper.delete(&path("a1", "")).is(204);
    assert_eq!((whole.attributes("a1"), whole.attributes("c1")["crm"]["Team"].clone()), (Value::Null, json!("C")));
}

#[test]
fn importing_takes_everybody() {
    let server = server();
    let whole = system_of(server, &["A", "C"]);
    let path = whole.admin("integrations/files/imports");
    let upload = |who: &Visitor, file: &'static str| {
        who.ask(who.request(Method::POST, &path).header("content-type", "text/csv").body(file))
    };
    let ann = operator(server, &[entry("Writer", &whole.id, "(U) a")]);
    let (inside, outside) = (upload(&ann, "Email,Note\na1,x\n"), upload(&ann, "Email,Note\nc1,x\n"));
    inside.problem(403).says("every end user");
    assert_eq!(inside.body, outside.body);
    let all = operator(server, &[entry("Writer", &whole.id, "*")]);
    let import = upload(&all, "Email,Note\na1,x\nc1,y\n").is(202);
    let import = format!("/admin/v1/imports/{}", import["id"].as_str().unwrap());
    all.get(&import).is(200);
    // Rows are end users: neither they nor their number are for who sees some.
    ann.get(&path).problem(403);
    for rest in ["", "/errors.csv"] {
        let (there, not) = (ann.get(&format!("{import}{rest}")), ann.get(&format!("/admin/v1/imports/none{rest}")));
        assert_eq!((there.status, not.status), (404, 404));
    }
}

#[test]
fn a_filter_stays_its_owners_whoever_is_called_alike() {
    let server = server();
    let whole = system_of(server, &["A"]);
    let path = whole.public("filters/mine");
    let body = json!({ "where": { "all": [] }, "shared": true });
    let (name, operator) = super::named_operator(server, &[entry("Reader", &whole.id, "*")]);
    // A client that is called as the operator is.
    let made = server.client().post("/admin/v1/clients", &json!({ "client_id": name, "role": "Editor" })).is(201);
    let token = server.token_of(&name, made["client_secret"].as_str().unwrap());
    let client = server.anonymous().with_bearer(&token);
    let put = |body: &Value| operator.ask(operator.request(Method::PUT, &path).json(body));
    assert_eq!(put(&body).is(201)["owner"], name.as_str());
    client.put(&path, &body).problem(403).says("somebody else");
    client.delete(&path).problem(403);
    put(&json!({ "where": { "all": [] }, "shared": false })).is(200);
    client.get(&path).problem(404);
    operator.delete(&path).is(204);
    assert_eq!(client.put(&path, &body).is(201)["owner"], name.as_str());
    operator.delete(&path).problem(403);
}
