//! One integration: what it stores, its last calls or uploads.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::answer::{Failure, sentence};
use super::super::figures;
use super::super::frame::{Frame, Section};
use super::super::visit::VisitAt;
use super::super::when::Moment;
use super::super::writing::Pen;
use super::list::kind_name;
use crate::http::auth::needs;
use crate::http::page::{Page, cursor};
use crate::http::problem::Problem;
use crate::http::turns::aside;
use crate::intake::calls::CallRecord;
use crate::intake::imports::{Import, ImportState, OnError};
use crate::model::{AttributeId, AttributeType, Permission};
use crate::ruleset::{Integration, IntegrationKind};

/// Calls and uploads on a page.
const SHOWN: usize = 25;
/// Errors of one call, or rows of one file, that a page shows.
const SHOWN_ERRORS: usize = 10;

type Visit = VisitAt<needs::IntegrationsRead>;

#[derive(Template)]
#[template(path = "http/console/integrations/detail.html")]
struct DetailPage {
    frame: Frame,
    base: String,
    path: String,
    api: String,
    pen: Pen,
    id: String,
    name: String,
    description: String,
    kind: &'static str,
    is_csv: bool,
    enabled: bool,
    identifier: String,
    properties: Vec<PropertyRow>,
    /// Whether counts may be shown.
    counted: bool,
    calls: Vec<CallRow>,
    imports: Vec<ImportRow>,
    /// Whether files may be uploaded.
    uploads: bool,
    next: Option<String>,
    paged: bool,
}

struct PropertyRow {
    id: String,
    field: String,
    kind: AttributeType,
    description: String,
    count: String,
}

struct CallRow {
    at: Moment,
    client: String,
    status: u16,
    good: bool,
    records: String,
    took: String,
    errors: Vec<(String, String)>,
    more: u64,
}

impl From<CallRecord> for CallRow {
    fn from(call: CallRecord) -> Self {
        let errors = call.errors.iter().take(SHOWN_ERRORS);
        let errors: Vec<_> = errors.map(|error| (error.pointer.clone(), sentence(error.detail()))).collect();
        let told = errors.len() as u64;
        Self {
            at: Moment::of(call.at),
            client: call.client,
            status: call.status,
            good: call.status < 400,
            records: call.records.map(figures::grouped).unwrap_or_default(),
            took: milliseconds(call.duration_us),
            errors,
            more: call.errors_total.saturating_sub(told),
        }
    }
}

fn milliseconds(micros: u64) -> String {
    format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
}

/// An upload as a page shows it.
pub(super) struct ImportRow {
    id: String,
    at: Moment,
    file: String,
    client: String,
    state: &'static str,
    words: &'static str,
    class: &'static str,
    live: bool,
    read: u64,
    total: Option<u64>,
    stored: u64,
    rejected: u64,
    dry_run: bool,
    skips: bool,
    detail: String,
    errors: Vec<RowErrorRow>,
    missing: String,
    ignored: String,
}

struct RowErrorRow {
    row: u64,
    column: String,
    detail: String,
}

impl From<Import> for ImportRow {
    fn from(import: Import) -> Self {
        let (words, class) = match import.state {
            ImportState::Validating => ("Checking", "warn"),
            ImportState::Applying => ("Storing", "warn"),
            ImportState::Done => ("Done", "good"),
            ImportState::Failed => ("Failed", "bad"),
        };
        let errors = import.errors.into_iter().take(SHOWN_ERRORS).map(|error| RowErrorRow {
            row: error.row,
            column: error.column.unwrap_or_default(),
            detail: sentence(&error.detail),
        });
        let columns = import.columns.unwrap_or_default();
        Self {
            id: import.id.to_string(),
            at: Moment::of(import.created_at),
            file: import.file_name.unwrap_or_else(|| "A file".to_owned()),
            client: import.client,
            state: import.state.as_str(),
            words,
            class,
            live: !import.state.is_final(),
            read: import.rows_read,
            total: import.rows_total,
            stored: import.stored,
            rejected: import.rejected,
            dry_run: import.dry_run,
            skips: import.on_error == OnError::Skip,
            detail: import.detail.as_deref().map(sentence).unwrap_or_default(),
            errors: errors.collect(),
            missing: columns.missing.join(", "),
            ignored: columns.ignored.join(", "),
        }
    }
}

/// The page.
pub(in crate::http::console) async fn page(visit: Visit, page: Result<Page, Problem>) -> Result<Response, Failure> {
    let page = page?;
    let integration = visit.integration()?.clone();
    let properties = properties(&visit, &integration).await?;
    let uploads = visit.demand(Permission::EndUsersWrite).is_ok();
    let is_csv = integration.kind == IntegrationKind::Csv;
    let before = page.number()?;
    let (mut calls, mut imports, mut next) = (Vec::new(), Vec::new(), None);
    if is_csv && uploads {
        let found = visit.state.imports.list(visit.system(), &integration.id, SHOWN, before);
        (imports, next) = (found.imports.into_iter().map(ImportRow::from).collect(), found.next_cursor);
    } else if !is_csv {
        let found = visit.state.calls.list(visit.system(), &integration.id, SHOWN, before);
        (calls, next) = (found.calls.into_iter().map(CallRow::from).collect(), found.next_cursor);
    }
    let path = visit.path(&format!("integrations/{}", integration.id));
    let page = DetailPage {
        frame: visit.frame(Section::Integrations),
        base: visit.path("integrations"),
        api: format!("/admin/v1/systems/{}/integrations/{}", visit.system(), integration.id),
        pen: Pen::of(&visit, Permission::IntegrationsWrite),
        id: integration.id.to_string(),
        kind: kind_name(integration.kind),
        is_csv,
        enabled: integration.enabled,
        identifier: integration.user_identifier.to_string(),
        name: integration.name,
        description: integration.description,
        counted: properties.iter().any(|property| !property.count.is_empty()),
        properties,
        calls,
        imports,
        uploads,
        next: next.map(|number| format!("{path}?cursor={}", cursor(&number.to_string()))),
        paged: before.is_some(),
        path,
    };
    Ok(visit.show(StatusCode::OK, &page))
}

/// What it stores, and of how many end users where the operator may see them.
async fn properties(visit: &Visit, integration: &Integration) -> Result<Vec<PropertyRow>, Problem> {
    let attribute =
        |at: &crate::ruleset::Property| AttributeId { integration: integration.id.clone(), name: at.name.clone() };
    let ids: Vec<AttributeId> = integration.properties.iter().map(attribute).collect();
    let counts = if visit.demand(Permission::EndUsersRead).is_ok() && integration.enabled {
        let reader = visit.reader_for(&visit.rules, &[Permission::EndUsersRead])?;
        let ids = ids.clone();
        aside(move || Ok(reader.attribute_counts(&ids))).await?.into_iter().map(figures::grouped).collect()
    } else {
        vec![String::new(); ids.len()]
    };
    let rows = integration.properties.iter().zip(ids).zip(counts).map(|((property, id), count)| PropertyRow {
        id: id.to_string(),
        field: property.field.to_string(),
        kind: property.kind,
        description: property.description.clone(),
        count,
    });
    Ok(rows.collect())
}
