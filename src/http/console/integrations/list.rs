//! The list of a system's integrations.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::super::figures::Bar;
use super::super::frame::{Frame, Section};
use super::super::visit::VisitAt;
use super::super::writing::Pen;
use crate::http::auth::needs;
use crate::model::{ATTRIBUTE_CAP, Permission};
use crate::ruleset::{Integration, IntegrationKind};

/// What is searched.
#[derive(Default, Deserialize)]
pub(in crate::http::console) struct Search {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "http/console/integrations/list.html")]
struct ListPage {
    frame: Frame,
    base: String,
    pen: Pen,
    query: String,
    rows: Vec<Row>,
    /// Whether there are any at all.
    some: bool,
    used: usize,
    cap: usize,
    room: Bar,
}

struct Row {
    id: String,
    name: String,
    description: String,
    kind: &'static str,
    enabled: bool,
    attributes: usize,
}

/// What a kind is called.
pub(super) fn kind_name(kind: IntegrationKind) -> &'static str {
    match kind {
        IntegrationKind::Api => "API",
        IntegrationKind::Csv => "CSV",
    }
}

impl Row {
    fn new(integration: &Integration) -> Self {
        Self {
            id: integration.id.to_string(),
            name: integration.name.clone(),
            description: integration.description.clone(),
            kind: kind_name(integration.kind),
            enabled: integration.enabled,
            attributes: integration.properties.len(),
        }
    }
}

/// Whether an integration, or an attribute of it, is called so.
fn is_called(integration: &Integration, wanted: &str) -> bool {
    let says = |text: &str| text.to_lowercase().contains(wanted);
    says(&integration.name)
        || says(integration.id.as_str())
        || integration.properties.iter().any(|property| says(property.name.as_str()) || says(property.field.as_str()))
}

/// The page.
pub(in crate::http::console) async fn page(
    visit: VisitAt<needs::IntegrationsRead>,
    query: Result<Query<Search>, QueryRejection>,
) -> Response {
    let query = query.unwrap_or_default().0.q.trim().to_owned();
    let wanted = query.to_lowercase();
    let all = &visit.rules.integrations;
    let used = visit.rules.attributes_used();
    let page = ListPage {
        frame: visit.frame(Section::Integrations),
        base: visit.path("integrations"),
        pen: Pen::of(&visit, Permission::IntegrationsWrite),
        rows: all.values().filter(|integration| is_called(integration, &wanted)).map(Row::new).collect(),
        some: !all.is_empty(),
        query,
        used,
        cap: ATTRIBUTE_CAP,
        room: Bar::new(used as u64, ATTRIBUTE_CAP as u64),
    };
    visit.show(StatusCode::OK, &page)
}
