//! The page: what is asked, how many that are, who, and how their values are spread.

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::answer::{Failure, sentences};
use super::super::choices::choices;
use super::super::end_users::path_of;
use super::super::figures::{grouped, percent};
use super::super::frame::{Frame, Section};
use super::super::visit::VisitAt;
use super::asking::Asking;
use super::charts::Chart;
use crate::engine::{Found, Reader};
use crate::filters::Filter;
use crate::http::api::asking::{Asked, SCRIPT_TIME};
use crate::http::api::attributes::{self, AttributeItem};
use crate::http::api::convert::{as_rule, as_where};
use crate::http::api::selection::Selection;
use crate::http::auth::needs;
use crate::http::page::{Page, cursor_after};
use crate::http::problem::{Kind, Problem};
use crate::http::turns::aside;
use crate::model::{AttributeId, FilterId, Value};
use crate::ruleset::RuleSet;

/// End users of one part of the table.
const SHOWN: usize = 50;
/// Columns when none are chosen.
const COLUMNS: usize = 4;
/// Most charts of one page.
const CHARTS: usize = 8;

pub(super) type Visit = VisitAt<needs::EndUsersAndSegmentsRead>;

#[derive(Template)]
#[template(path = "http/console/insights/page.html")]
struct InsightsPage {
    frame: Frame,
    path: String,
    system: String,
    asking: Asking,
    choices: String,
    /// What is asked as JSON of a filter; empty where it is none.
    condition: String,
    /// What is asked as a rule.
    rule: String,
    /// Why what is asked can't be shown as conditions.
    why: String,
    wrong: Vec<String>,
    filters: Vec<FilterRow>,
    filter: Option<FilterRow>,
    attributes: Vec<AttributeRow>,
    answer: Option<Answer>,
    csv: String,
    ndjson: String,
    drawn: String,
}

struct FilterRow {
    id: String,
    name: String,
    owner: String,
    own: bool,
    shared: bool,
    path: String,
}

struct AttributeRow {
    id: String,
    name: String,
    integration: String,
    count: String,
    chosen: bool,
}

/// Who was found.
struct Answer {
    total: String,
    all: String,
    share: String,
    columns: Vec<(String, String)>,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
    charts: Vec<Chart>,
    failed: u64,
    last_error: String,
}

struct Row {
    id: String,
    path: String,
    values: Vec<String>,
}

/// Both forms of what is asked.
#[derive(Default)]
struct Forms {
    condition: String,
    rule: String,
    why: String,
}

impl Forms {
    fn of(asking: &Asking, rules: &RuleSet) -> Result<Self, Problem> {
        if let Some(json) = asking.json()? {
            let condition = asking.condition.clone();
            return Ok(Self { condition, rule: as_rule(json, rules)?.rule, why: String::new() });
        }
        let Some(rule) = asking.rule() else { return Ok(Self::default()) };
        let made = as_where(rule, rules)?;
        let condition = made.condition.map(|json| json.to_string()).unwrap_or_default();
        Ok(Self { condition, rule: made.rule, why: made.why.unwrap_or_default() })
    }
}

/// The page.
pub(in crate::http::console) async fn page(visit: Visit, query: RawQuery) -> Result<Response, Failure> {
    let mut asking = Asking::read(&query);
    let filter = saved(&visit, &asking.filter)?;
    if let Some(filter) = &filter
        && asking.condition.is_empty()
        && asking.rule.is_empty()
    {
        asking.condition.clone_from(&filter.content.condition);
    }
    let reader = visit.reader()?;
    let (rules, asked) = (std::sync::Arc::clone(reader.rules()), asking.clone());
    let (reader, known, forms) = aside(move || {
        let known = attributes::all(&reader).items;
        Ok((reader, known, Forms::of(&asked, &rules)))
    })
    .await?;
    let (forms, mut wrong) = match forms {
        Ok(forms) => (forms, Vec::new()),
        // What has mistakes is shown as it was written.
        Err(problem) => (Forms { rule: asking.rule.clone(), ..Forms::default() }, sentences(&problem)),
    };
    if asking.select.is_empty() {
        // What is known of most.
        let mut filled: Vec<_> = known.iter().filter(|item| item.count > 0).collect();
        filled.sort_by_key(|item| std::cmp::Reverse(item.count));
        asking.select = filled.into_iter().take(COLUMNS).map(|item| item.id.clone()).collect();
    }
    let (path, chosen) = (visit.path("insights"), asking.select.clone());
    let row = |item: &AttributeItem| AttributeRow {
        id: item.id.clone(),
        name: item.name.clone(),
        integration: item.integration_name.clone(),
        count: grouped(item.count),
        chosen: chosen.contains(&item.id),
    };
    let rows = known.iter().map(row).collect();
    let answer = match wrong.is_empty() {
        true => match answer(&visit, &asking, reader, known, path.clone()).await {
            Ok(answer) => Some(answer),
            Err(problem) if problem.kind() == Kind::Internal => return Err(problem.into()),
            Err(problem) => {
                wrong = sentences(&problem);
                None
            }
        },
        false => None,
    };
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let who = visit.who().to_owned();
    let listed = visit.state.filters.list(visit.system(), &who);
    let page = InsightsPage {
        frame: visit.frame(Section::Insights),
        system: visit.system().to_string(),
        choices: choices(&visit.rules),
        condition: forms.condition,
        rule: forms.rule,
        why: forms.why,
        wrong,
        filters: listed.iter().map(|filter| FilterRow::new(filter, &who, &path)).collect(),
        filter: filter.map(|filter| FilterRow::new(&filter, &who, &path)),
        attributes: rows,
        answer,
        csv: asking.address(&format!("{path}/export"), "", &[("form", "csv")]),
        ndjson: asking.address(&format!("{path}/export"), "", &[("form", "ndjson")]),
        drawn: asking.address(&path, &asking.cursor, &[("charts", "yes")]),
        path,
        asking,
    };
    Ok(visit.show(status, &page))
}

/// The saved filter of that id, if it is to be seen.
fn saved(visit: &Visit, id: &str) -> Result<Option<std::sync::Arc<Filter>>, Problem> {
    if id.is_empty() {
        return Ok(None);
    }
    let found = FilterId::new(id).ok().and_then(|id| visit.state.filters.get(visit.system(), &id, &visit.who()));
    found.map(Some).ok_or_else(|| Problem::not_found(format!("there is no filter `{id}`, or none that you may see")))
}

impl FilterRow {
    fn new(filter: &Filter, who: &str, path: &str) -> Self {
        Self {
            id: filter.id.to_string(),
            name: filter.content.name.clone(),
            owner: filter.owner.clone(),
            own: filter.owner == who,
            shared: filter.content.shared,
            path: Asking { filter: filter.id.to_string(), ..Asking::default() }.address(path, "", &[]),
        }
    }
}

async fn answer(
    visit: &Visit,
    asking: &Asking,
    reader: Reader,
    known: Vec<AttributeItem>,
    path: String,
) -> Result<Answer, Problem> {
    let selection = Selection::read(Some(asking.select.as_slice()), reader.rules())?;
    let page = Page::new(Some(SHOWN), Some(asking.cursor.clone()))?;
    let after = page.row(&visit.state.accounts, visit.system())?;
    let (asked, reader) = Asked::read(visit, asking.json()?, asking.rule(), reader).await?;
    let turn = asked.turn(&visit.state).await?;
    let (asking, people) = (asking.clone(), visit.path("end-users"));
    let (accounts, system) = (std::sync::Arc::clone(&visit.state.accounts), visit.system().clone());
    aside(move || {
        let _turn = turn;
        let found = reader.find(&asked.question(&reader), SCRIPT_TIME)?;
        let part = found.page(after, page.limit);
        let rows = part.rows.iter().map(|row| {
            let end_user = reader.at(*row);
            let values = selection.values(&end_user).map(|value| value.as_ref().map(shown).unwrap_or_default());
            Row { path: path_of(&people, end_user.id()), values: values.collect(), id: end_user.id().to_owned() }
        });
        let rows = rows.collect();
        let integration = |id: &AttributeId| {
            reader.rules().integrations.get(&id.integration).map(|one| one.name.clone()).unwrap_or_default()
        };
        let columns = selection.attributes().map(|id| (id.name.to_string(), integration(id))).collect();
        let charts = if asking.charts { charts(&reader, &asking, &known, &found) } else { Vec::new() };
        let all = reader.len();
        Ok(Answer {
            total: grouped(found.total()),
            all: grouped(all),
            share: percent(found.total(), all),
            columns,
            rows,
            first: after.map(|_| asking.address(&path, "", &[])),
            next: part
                .next
                .map(|row| cursor_after(row, &accounts, &system))
                .transpose()?
                .map(|cursor| asking.address(&path, &cursor, &[])),
            charts,
            failed: found.failures().count,
            last_error: found.failures().last.clone().unwrap_or_default(),
        })
    })
    .await
}

fn charts(reader: &Reader, asking: &Asking, known: &[AttributeItem], found: &Found) -> Vec<Chart> {
    let item = |id: &String| known.iter().find(|item| item.id == *id);
    let items = asking.select.iter().filter_map(item).take(CHARTS);
    items.filter_map(|item| Chart::new(reader, item, found)).collect()
}

fn shown(value: &Value) -> String {
    match value.to_json() {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}
