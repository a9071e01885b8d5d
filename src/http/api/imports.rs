//! CSV imports: uploading a file, following what becomes of it, its bad rows.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::{At, Caller, needs};
use super::super::body::{self, Pieces};
use super::super::page::{ListPage, Page, PageQuery, cursor};
use super::super::problem::{Kind, Problem};
use crate::accounts::Act;
use crate::http::AppState;
use crate::intake::imports::{Columns, Import, ImportState, NewImport, OnError, RowError, UploadError};
use crate::model::{Permission, Timestamp};

/// Pieces of a body, or of a file that is sent, that may wait: some hundred KiB.
const WAITING: usize = 8;
/// Why imports are for who may write everybody.
const WHY_ALL: &str = "a file may be about anyone";
/// Longest file name, in characters.
const MAX_FILE_NAME: usize = 255;

/// How a file is to be imported.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UploadQuery {
    /// What becomes of the good rows when there are bad ones: `abort` (the default) stores nothing, `skip` stores them.
    #[serde(default)]
    #[param(inline, required = false)]
    on_error: OnErrorParam,
    /// Whether to judge the file and store nothing.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
    /// The file's name, to tell imports apart.
    file_name: Option<String>,
}

/// [`OnError`] as it is sent.
#[derive(Debug, Default, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnErrorParam {
    /// Nothing is stored.
    #[default]
    Abort,
    /// The good rows are stored.
    Skip,
}

/// [`ImportState`] as it is sent.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ImportStateItem {
    /// It waits for its turn, or its rows are being judged; nothing is stored yet.
    Validating,
    /// Its rows are being stored.
    Applying,
    /// It came to its end.
    Done,
    /// It ended early: see `detail` and `errors`.
    Failed,
}

/// An import.
#[derive(Serialize, ToSchema)]
#[schema(as = Import)]
pub(crate) struct ImportItem {
    /// Its id.
    id: String,
    /// How far it is.
    state: ImportStateItem,
    /// Rows judged so far, without the header and wholly empty ones.
    rows_read: u64,
    /// Rows stored.
    stored: u64,
    /// Rows with anything bad.
    rejected: u64,
    /// The first 100 bad places; `errors.csv` has all.
    errors: Vec<RowErrorItem>,
    /// The system.
    system: String,
    /// The integration.
    integration: String,
    /// What becomes of the good rows when there are bad ones.
    on_error: OnErrorParam,
    /// Whether nothing is stored in any case.
    dry_run: bool,
    /// When the upload began.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the import ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// Rows in the file, once all are judged.
    rows_total: Option<u64>,
    /// The file's name, if it was sent.
    file_name: Option<String>,
    /// The file's size, in bytes.
    bytes: u64,
    /// Who uploaded it.
    client: String,
    /// What the file's columns were found to be, once its header was read.
    columns: Option<ColumnsItem>,
    /// Why it failed, or what it waits for.
    detail: Option<String>,
}

/// One bad place of a file.
#[derive(Serialize, ToSchema)]
#[schema(as = RowError)]
pub(crate) struct RowErrorItem {
    /// The row, as a spreadsheet numbers it: the header is row 1.
    row: u64,
    /// The column's name in the header; null: the whole row.
    column: Option<String>,
    /// A short stable code for machines.
    code: String,
    /// What is wrong and how to mend it; never what stands in the cell.
    detail: String,
}

/// What a file's columns were found to be.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportColumns)]
pub(crate) struct ColumnsItem {
    /// Those that are stored.
    stored: Vec<String>,
    /// Declared ones that the file lacks: whoever is in the file loses these attributes.
    missing: Vec<String>,
    /// The first 100 of those that are not declared, and ignored.
    ignored: Vec<String>,
}

impl From<OnError> for OnErrorParam {
    fn from(on_error: OnError) -> Self {
        match on_error {
            OnError::Abort => Self::Abort,
            OnError::Skip => Self::Skip,
        }
    }
}

impl From<OnErrorParam> for OnError {
    fn from(on_error: OnErrorParam) -> Self {
        match on_error {
            OnErrorParam::Abort => Self::Abort,
            OnErrorParam::Skip => Self::Skip,
        }
    }
}

impl From<ImportState> for ImportStateItem {
    fn from(state: ImportState) -> Self {
        match state {
            ImportState::Validating => Self::Validating,
            ImportState::Applying => Self::Applying,
            ImportState::Done => Self::Done,
            ImportState::Failed => Self::Failed,
        }
    }
}

impl From<RowError> for RowErrorItem {
    fn from(error: RowError) -> Self {
        let RowError { row, column, code, detail } = error;
        Self { row, column, code, detail }
    }
}

impl From<Columns> for ColumnsItem {
    fn from(columns: Columns) -> Self {
        let Columns { stored, missing, ignored } = columns;
        Self { stored, missing, ignored }
    }
}

impl From<Import> for ImportItem {
    fn from(import: Import) -> Self {
        Self {
            id: import.id.to_string(),
            state: import.state.into(),
            rows_read: import.rows_read,
            stored: import.stored,
            rejected: import.rejected,
            errors: import.errors.into_iter().map(RowErrorItem::from).collect(),
            system: import.system.to_string(),
            integration: import.integration.to_string(),
            on_error: import.on_error.into(),
            dry_run: import.dry_run,
            created_at: import.created_at,
            finished_at: import.finished_at,
            rows_total: import.rows_total,
            file_name: import.file_name,
            bytes: import.bytes,
            client: import.client,
            columns: import.columns.map(ColumnsItem::from),
            detail: import.detail,
        }
    }
}

/// Import a CSV file
///
/// Answers when the whole file is there; what becomes of it is at `Location`. Rows have the meaning of an update with
/// several records: each replaces the end user's attributes of this integration, and an empty cell is a missing field. As a
/// file may be about anyone, imports take `end_users:write` over every end user of the system.
#[utoipa::path(
    post, path = "/admin/v1/systems/{s}/integrations/{i}/imports", operation_id = "import_csv", tag = "Integrations",
    params(("s" = String, Path, description = "The system"), ("i" = String, Path, description = "The integration, of kind `csv`"), UploadQuery),
    request_body(content = String, content_type = "text/csv", description = "UTF-8 with or without byte order mark, RFC 4180, with a header row, of any size"),
    responses(
        (status = 202, description = "The file is taken", body = ImportItem, headers(("Location" = String, description = "The import"))),
        (status = 400, description = "No such parameter, or the body broke off"),
        (status = 404, description = "Unknown system or integration"),
        (status = 408, description = "Nothing more of the body came for a minute"),
        (status = 409, description = "The integration is not of kind `csv`, or disabled"),
        (status = 415, description = "Not text/csv in UTF-8"),
        (status = 507, description = "Too little disk is left"),
    ),
    security(("oauth2" = ["end_users:write"])),
)]
pub(crate) async fn upload(at: At<needs::EndUsersWrite>, request: Request) -> Result<Response, Problem> {
    at.demand_over_all(Permission::EndUsersWrite, WHY_ALL)?;
    let Query(query) = Query::<UploadQuery>::try_from_uri(request.uri())?;
    let new = NewImport {
        system: at.system().clone(),
        integration: at.integration()?.id.clone(),
        client: at.name().to_owned(),
        file_name: query.file_name.map(checked_file_name).transpose()?,
        on_error: query.on_error.into(),
        dry_run: query.dry_run,
        announced: length(request.headers()),
    };
    demand_csv(request.headers())?;
    let import = receive(&at.state, new, Pieces::of(request)).await?;
    if !import.dry_run {
        at.state.accounts.note(&at.actor, taken(&import)).await;
    }
    let location = HeaderValue::try_from(format!("/admin/v1/imports/{}", import.id));
    let location = location.map_err(|error| Problem::internal(&error.to_string()))?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(ImportItem::from(import))).into_response())
}

/// What the audit says of an import; what becomes of it is told by the import itself.
fn taken(import: &Import) -> Act {
    let object = format!("systems/{}/integrations/{}/imports/{}", import.system, import.integration, import.id);
    Act::new("import.begin", object).after(serde_json::json!({ "file_name": import.file_name, "bytes": import.bytes }))
}

/// Carries a body to the disk. The file is kept only once its end has come: whatever ends this earlier ends the upload.
async fn receive(state: &AppState, new: NewImport, mut pieces: Pieces) -> Result<Import, Problem> {
    let imports = state.imports.clone();
    // What is refused is refused before the body is read.
    let mut upload = beside(move || imports.begin(new)).await??;
    let (to_disk, mut waiting) = mpsc::channel::<Option<Bytes>>(WAITING);
    let writing = tokio::task::spawn_blocking(move || {
        while let Some(piece) = waiting.blocking_recv() {
            match piece {
                Some(piece) => upload.write(&piece)?,
                None => return upload.finish(),
            }
        }
        Err(UploadError::BrokenOff)
    });
    loop {
        let piece = pieces.next().await?;
        let ended = piece.is_none();
        // If nobody takes it any more, writing has failed, and says how below.
        if to_disk.send(piece).await.is_err() || ended {
            break;
        }
    }
    let written = writing.await.map_err(|error| Problem::internal(&error.to_string()))?;
    Ok(written?)
}

/// Does what blocks beside the threads that answer requests.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error.to_string()))
}

/// An integration's imports, newest first
#[utoipa::path(
    get, path = "/admin/v1/systems/{s}/integrations/{i}/imports", operation_id = "list_imports", tag = "Integrations",
    params(("s" = String, Path, description = "The system"), ("i" = String, Path, description = "The integration"), PageQuery),
    responses(
        (status = 200, description = "The imports; those that have ended are kept for 30 days, the last 100 of the server", body = ListPage<ImportItem>),
        (status = 400, description = "No such limit or cursor"),
        (status = 404, description = "Unknown system or integration"),
    ),
    security(("oauth2" = ["end_users:write"])),
)]
pub(crate) async fn list(at: At<needs::EndUsersWrite>, page: Page) -> Result<Json<ListPage<ImportItem>>, Problem> {
    at.demand_over_all(Permission::EndUsersWrite, WHY_ALL)?;
    let integration = at.integration()?;
    let found = at.state.imports.list(at.system(), &integration.id, page.limit, page.number()?);
    Ok(Json(ListPage {
        items: found.imports.into_iter().map(ImportItem::from).collect(),
        next_cursor: found.next_cursor.map(|number| cursor(&number.to_string())),
    }))
}

/// How far an import is
#[utoipa::path(
    get, path = "/admin/v1/imports/{id}", operation_id = "show_import", tag = "Integrations",
    params(("id" = String, Path, description = "The import")),
    responses(
        (status = 200, description = "The import", body = ImportItem),
        (status = 404, description = "Unknown import, or one of a system in which the caller may not import"),
    ),
    security(("oauth2" = ["end_users:write"])),
)]
pub(crate) async fn show(caller: Caller, id: ImportPath) -> Result<Json<ImportItem>, Problem> {
    Ok(Json(find(&caller, id)?.into()))
}

/// All bad rows of an import, as CSV
#[utoipa::path(
    get, path = "/admin/v1/imports/{id}/errors.csv", operation_id = "import_errors", tag = "Integrations",
    params(("id" = String, Path, description = "The import")),
    responses(
        (status = 200, description = "`row,column,code,detail`, one line for each bad place; safe to open in a spreadsheet", body = String, content_type = "text/csv"),
        (status = 404, description = "Unknown import, or one of a system in which the caller may not import"),
    ),
    security(("oauth2" = ["end_users:write"])),
)]
pub(crate) async fn errors(caller: Caller, id: ImportPath) -> Result<Response, Problem> {
    let import = find(&caller, id)?;
    let name = HeaderValue::try_from(format!("attachment; filename=\"import-{}-errors.csv\"", import.id));
    let name = name.map_err(|error| Problem::internal(&error.to_string()))?;
    let imports = caller.state.imports.clone();
    let csv = beside(move || imports.errors_csv(&import.id)).await?;
    let csv = csv.map_err(|error| Problem::internal(&format!("an import's errors can't be read: {error}")))?;
    let (to_caller, pieces) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        for piece in csv {
            // A caller who is gone wants no more.
            if to_caller.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    let stream = futures_util::stream::unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present")),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

/// The `{id}` of a path.
type ImportPath = Result<Path<String>, PathRejection>;

/// The import, for a caller who may import in its system. Who may not learns nothing of it.
fn find(caller: &Caller, id: ImportPath) -> Result<Import, Problem> {
    let Path(id) = id?;
    // Who may import nowhere is told so, which says nothing of this import.
    caller.demand(Permission::EndUsersWrite, None)?;
    let import = caller.state.imports.get(&id);
    let may_see = |import: &Import| caller.demand_over_all(Permission::EndUsersWrite, &import.system, WHY_ALL).is_ok();
    let import = import.filter(may_see);
    import.ok_or_else(|| {
        Problem::not_found(format!("there is no import `{id}`; those that ended long ago are forgotten"))
    })
}

/// Refuses everything but `Content-Type: text/csv` (415), and an encoding that is not UTF-8.
fn demand_csv(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Problem::new(Kind::UnsupportedMediaType, detail));
    if !body::media_type(headers).is_some_and(|kind| kind.eq_ignore_ascii_case("text/csv")) {
        return refused("send the file as `Content-Type: text/csv`");
    }
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let charset = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let charset = charset.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset")).map(|(_, value)| value);
    let utf_8 =
        |name: &str| matches!(name.trim().trim_matches('"').to_ascii_lowercase().as_str(), "utf-8" | "us-ascii");
    if charset.into_iter().all(utf_8) { Ok(()) } else { refused("the file must be UTF-8: save it as CSV UTF-8") }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn checked_file_name(name: String) -> Result<String, Problem> {
    if name.is_empty() || name.chars().count() > MAX_FILE_NAME || name.chars().any(char::is_control) {
        let detail = format!("`file_name` must have 1 to {MAX_FILE_NAME} characters, none of them a control character");
        return Err(Problem::new(Kind::Malformed, detail));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_csv_in_utf_8() {
        let status = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
            demand_csv(&headers).map_err(|problem| problem.status().as_u16())
        };
        for good in ["text/csv", "Text/CSV; charset=UTF-8", "text/csv;header=present; charset=\"utf-8\""] {
            assert_eq!(status(good), Ok(()), "{good}");
        }
        for bad in ["application/json", "text/plain", "text/csv; charset=iso-8859-1", "text/csv-schema"] {
            assert_eq!(status(bad), Err(415), "{bad}");
        }
        assert_eq!(demand_csv(&HeaderMap::new()).unwrap_err().status(), 415);
    }

    #[test]
    fn a_file_name_is_printable() {
        assert_eq!(checked_file_name("März 2026.csv".to_owned()).unwrap(), "März 2026.csv");
        for bad in ["", "a\nb", &"x".repeat(256)] {
            assert_eq!(checked_file_name(bad.to_owned()).unwrap_err().status(), 400, "{bad:?}");
        }
    }
}
