//! What end users, integrations, rules, filters and files hold stays text on every page of a system.

use serde_json::{Value, json};

use super::super::watch::{Watch, as_record, planted, watched};
use super::house;
use crate::support::{Ask, FIRST_EMAIL, FIRST_PASSWORD, Server, encode, eventually, nightly};

/// One value for each payload, by what it is.
struct Kinds {
    names: Vec<String>,
    descriptions: Vec<String>,
    identifiers: Vec<String>,
    /// Where a record holds a text, and where a number.
    fields: Vec<String>,
    numbers: Vec<String>,
    properties: Vec<String>,
    people: Vec<String>,
    values: Vec<String>,
    segments: Vec<String>,
    abouts: Vec<String>,
    filters: Vec<String>,
    columns: Vec<String>,
    strangers: Vec<String>,
    files: Vec<String>,
}

impl Kinds {
    fn new() -> Self {
        Self {
            names: planted("integration", 200),
            descriptions: planted("description", 500),
            identifiers: planted("identifier", 300),
            fields: planted("field", 300),
            numbers: planted("number", 300),
            properties: planted("property", 300),
            people: planted("person", 256),
            values: planted("value", 1000),
            segments: planted("segment", 200),
            abouts: planted("about", 300),
            filters: planted("filter", 200),
            columns: planted("column", 150),
            strangers: planted("stranger", 150),
            files: planted("upload", 200),
        }
    }

    /// An integration of two properties, and one that takes files.
    fn integrations(&self) -> Vec<(String, String)> {
        let property = |field: &str, name: &str, kind: &str, about: &str| {
            let (field, about) = (json!(field), json!(about));
            format!("[[properties]]\nfield = {field}\nname = \"{name}\"\ntype = \"{kind}\"\ndescription = {about}\n")
        };
        let api = |number: usize| {
            let [name, about, identifier] =
                [&self.names, &self.descriptions, &self.identifiers].map(|kind| json!(kind[number]));
            let head = format!("name = {name}\ndescription = {about}\nuser_identifier = {identifier}\n");
            let text = property(&self.fields[number], "V", "string", &self.properties[number]);
            (
                format!("integrations/i{number}.toml"),
                [head, text, property(&self.numbers[number], "N", "number", "")].concat(),
            )
        };
        let columns: String = self
            .columns
            .iter()
            .enumerate()
            .map(|(number, column)| property(column, &format!("C{number}"), "number", ""))
            .collect();
        let csv = format!("name = \"Files\"\nkind = \"csv\"\nuser_identifier = \"id\"\n{columns}");
        let apis = (0..self.names.len()).map(api);
        apis.chain([("integrations/files.toml".to_owned(), csv)]).collect()
    }

    fn rules(&self) -> Vec<(String, String)> {
        let rule = |number: usize| {
            let (name, about) = (&self.segments[number], &self.abouts[number]);
            let text = json!(self.values[number]);
            // Some run as scripts and fail with what they say.
            let script = format!("if is_set(i{number}.V) {{ throw {text}; }}\nlet n = 0; while n < 1 {{ n += 1; }}\n");
            let script = if number % 10 == 1 { script } else { String::new() };
            (format!("segments/s{number}.rhai"), format!("// {name}\n// {about}\n{script}i{number}.V == {text}\n"))
        };
        (0..self.segments.len()).map(rule).collect()
    }

    fn plant(&self, server: &Server) {
        let system = server.system("s");
        let files = [self.integrations(), self.rules()].concat();
        system.write(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>());
        system.reload();
        system.is_live();
        for number in 0..self.names.len() {
            let (integration, person) = (format!("i{number}"), json!(self.people[number]));
            let good = json!([{ (self.identifiers[number].as_str()): person, (self.fields[number].as_str()): self.values[number] }]);
            system.update(&integration, &good).is(200);
            let bad = json!([{ (self.identifiers[number].as_str()): person, (self.numbers[number].as_str()): self.values[number] }]);
            system.update(&integration, &bad).is(422);
            system.update("crm", &json!([{ "Email": person, "Type": self.values[number] }])).is(200);
            let condition = json!({ "attribute": "crm.Customer_Type", "operator": "is", "value": self.values[number] });
            let filter = json!({ "name": self.filters[number], "shared": true, "where": condition });
            system.client.put(&system.public(&format!("filters/f{number}")), &filter).is_success();
        }
        self.upload(server);
    }

    /// One file for each payload as its name; the last has rows that are refused, and columns that nobody declared.
    fn upload(&self, server: &Server) {
        let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
        let cells = |cells: &[String]| cells.iter().map(quoted).collect::<Vec<_>>().join(",");
        let row = |person: &String| format!("{},{},{}\n", quoted(person), cells(&self.values), cells(&self.strangers));
        let bad = format!("id,{},{}\n{}", cells(&self.columns), cells(&self.strangers), row(&self.people[0]));
        let path = server.system("s").admin("integrations/files/imports");
        let mut last = Value::Null;
        for (number, name) in self.files.iter().enumerate() {
            let text = if number + 1 == self.files.len() { bad.clone() } else { "id\n".to_owned() };
            let path = format!("{path}?on_error=skip&file_name={}", encode(name));
            let request = server.client().request(reqwest::Method::POST, &path).header("content-type", "text/csv");
            last = request.body(text).ask().is(202);
        }
        let last = format!("/admin/v1/imports/{}", last["id"].as_str().unwrap());
        eventually("the last file is judged", || match server.client().get(&last).is(200) {
            end if end["state"] == "done" => Ok(()),
            other => Err(other.to_string()),
        });
    }
}

#[test]
fn no_value_of_a_system_runs_or_loads_anything() {
    let server = house();
    let kinds = Kinds::new();
    kinds.plant(&server);
    let watch = watched(&server, FIRST_EMAIL, FIRST_PASSWORD);
    for values in [
        &kinds.names,
        &kinds.descriptions,
        &kinds.identifiers,
        &kinds.fields,
        &kinds.properties,
        &kinds.people,
        &kinds.values,
        &kinds.segments,
        &kinds.abouts,
        &kinds.filters,
        &kinds.columns,
        &kinds.strangers,
        &kinds.files,
    ] {
        watch.plants(values);
    }
    let open = |path: &str| watch.open(&format!("/console/systems/s/{path}"));
    for path in [
        "integrations",
        "integrations/new",
        "integrations/new?kind=csv",
        "integrations/files",
        "integrations/files/edit",
        "segments",
        "segments/big",
        "new-segment",
        "end-users",
        "insights?charts=yes",
    ] {
        open(path);
    }
    uploads(&watch);
    for number in 0..kinds.names.len() {
        let person = encode(&kinds.people[number]);
        let paths = [
            format!("integrations/i{number}"),
            format!("integrations/i{number}/edit"),
            format!("integrations/i{number}/endpoint"),
            format!("integrations/i{number}/rotate"),
            format!("integrations/i{number}/delete"),
            format!("segments/s{number}/members"),
            format!("segments/s{number}/delete"),
            format!("end-users/{person}?why=s{number}"),
            format!("end-users/{person}/delete"),
            format!("segments/s{number}"),
            format!("insights?filter=f{number}&select=i{number}.V&select=crm.Customer_Type"),
        ];
        watch.open_some(&paths.map(|path| format!("/console/systems/s/{path}")));
        if number % 4 != 1 && !nightly() {
            continue;
        }
        // What modules draw: the builder of what there is, and what they ask the API for.
        open(&format!("segments/s{number}"));
        watch.browser.becomes("document.querySelector('#check').textContent.trim() !== ''");
        watch.look(&format!("the segment s{number}, checked"));
        open(&format!("insights?filter=f{number}&select=i{number}.V&select=crm.Customer_Type"));
        watch.browser.becomes("document.querySelector('#charts .chart') !== null");
        watch.look(&format!("the filter f{number}, drawn"));
    }
    in_addresses_and_forms(&watch, &kinds);
    in_pop_ups(&watch);
    watch.has_seen_all(|page| {
        ["/{s}/integrations", "/{s}/segments", "/{s}/new-segment", "/{s}/insights", "/{s}/end-users"]
            .iter()
            .any(|part| page.contains(part))
    });
}

/// Every part of the list of uploads.
fn uploads(watch: &Watch<'_>) {
    watch.open("/console/systems/s/integrations/files");
    while let Some(older) =
        watch.browser.run("return document.querySelector('.pager a:last-child')?.search ?? null").as_str()
    {
        if watch.browser.url().ends_with(older) {
            break;
        }
        watch.open(&format!("/console/systems/s/integrations/files{older}"));
    }
}

/// What is asked in an address or a form, and said again by the page.
fn in_addresses_and_forms(watch: &Watch<'_>, kinds: &Kinds) {
    let at = |below: &str| format!("/console/systems/s/{below}");
    watch.open(&at("new-segment"));
    for (number, value) in kinds.values.iter().enumerate() {
        let asked = encode(value);
        let condition = encode(&json!({ "attribute": value }).to_string());
        watch.open_some(&[
            at(&format!("end-users?q={}", encode(&kinds.strangers[number]))),
            at(&format!("segments?q={asked}")),
            at(&format!("insights?rule={asked}")),
            at(&format!("insights?where={condition}&select={asked}")),
        ]);
        let rule = format!("// {value}\ncrm[{}] == {}", json!(value), json!(value));
        let draft = vec![("do", "check"), ("name", value.as_str()), ("id", value), ("text", &rule)];
        let wizard = vec![("do", "create"), ("name", value.as_str()), ("id", value), ("user_identifier", value)];
        let filter = vec![("do", "save"), ("name", value.as_str()), ("where", value), ("id", "f0")];
        watch.submit_some(&[
            (&at("new-segment"), draft.clone()),
            (&at("segments/big"), draft.clone()),
            (&at("integrations/new"), wizard),
            (&at("insights"), filter),
        ]);
        if number % 4 == 1 || nightly() {
            watch.submit(&at("segments/big"), &draft);
            watch.browser.becomes("document.querySelector('#check').textContent.trim() !== ''");
            watch.look("a rule with mistakes");
        }
    }
    let sample = json!({ "data": [as_record(&kinds.strangers)] }).to_string();
    let wizard = [("do", "propose"), ("name", "Some"), ("id", "some"), ("kind", "api"), ("sample", &sample)];
    watch.submit(&at("integrations/new"), &wizard);
    let mut trial = as_record(&kinds.strangers);
    trial[&kinds.identifiers[0]] = json!(kinds.people[0]);
    trial[&kinds.fields[0]] = json!(kinds.values[0]);
    watch.submit(&at("integrations/i0/endpoint"), &[("payload", &trial.to_string())]);
    trial[&kinds.numbers[0]] = json!(kinds.values[0]);
    watch.submit(&at("integrations/i0/endpoint"), &[("payload", &trial.to_string())]);
}

fn in_pop_ups(watch: &Watch<'_>) {
    for number in [2, 6, 20] {
        watch.open(&format!("/console/systems/s/integrations/i{number}"));
        watch.browser.find(".head details.menu summary").click();
        watch.browser.find(".head details.menu a.danger").click();
        watch.browser.find("dialog .ends button");
        watch.look("the pop-up");
        watch.open(&format!("/console/systems/s/segments/s{number}"));
        watch.browser.find(".head a[href$='/delete']").click();
        watch.browser.find("dialog .ends button");
        watch.look("the pop-up");
    }
}
