//! `/employees`: the people who receive messages.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use http::StatusCode;
use serde::Deserialize;
use simo_common::{
    api::people::{EditEmployee, Employee, ImportReport, ImportRow, NewEmployee, Waiting},
    page::Page,
    text,
};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

use super::{
    ApiError, ApiResult, Created,
    check::{Check, trimmed, trimmed_employee},
    created,
    list::{List, ListParams, answer},
    parameters::Params,
};
use crate::{
    api::{
        auth::{Admin, Viewer},
        body::{self, Json},
        due::Due,
        openapi::Problems,
    },
    app::App,
    store,
};

/// Bytes in the body of an import.
const IMPORT_BYTES: usize = 64 * 1024 * 1024;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, edit, remove))
        .routes(routes!(block))
        .routes(routes!(unblock))
        .routes(routes!(waiting))
        .routes(routes!(import).layer(DefaultBodyLimit::max(IMPORT_BYTES)))
}

/// Whose employees.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct GroupParam {
    /// Only the members of this group.
    group: Option<String>,
}

/// List employees
#[utoipa::path(get, path = "/employees", tag = "employees", operation_id = "employees",
    params(ListParams, GroupParam),
    responses((status = 200, description = "Sorted by name", body = Page<Employee>), Problems))]
async fn list(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    List(listing): List<String>,
    Params(GroupParam { group }): Params<GroupParam>,
) -> ApiResult<axum::Json<Page<Employee>>> {
    let rows = app.store.employees(viewer.client_no, group.as_deref(), &listing).await?;
    Ok(answer(rows))
}

/// How an employee is to be added.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct AddParams {
    /// The number passes to them: the present holder is archived, with their devices retired.
    #[serde(default)]
    #[param(default = false)]
    new_person: bool,
}

/// Add an employee
///
/// Their groups must be there. Archived ones come back as described here, if the name is the same; one who was
/// blocked stays so. A successor (`new_person`) reads nothing of what their predecessor got, whose history goes on under their
/// own name.
#[utoipa::path(post, path = "/employees", tag = "employees", operation_id = "add_employee",
    params(AddParams), request_body = NewEmployee, responses((status = 201, description = "Made", body = Employee), Problems))]
async fn add(
    admin: Admin,
    State(app): State<Arc<App>>,
    Params(AddParams { new_person }): Params<AddParams>,
    Json(new): Json<NewEmployee>,
) -> ApiResult<Created<Employee>> {
    let new = trimmed_employee(new);
    let mut check = Check::default();
    check.employee(&new);
    check.done()?;
    if !new_person {
        let added = app.store.add_employee(admin.client_no, &new).await;
        return Ok(created(added.map_err(or_new_person)?));
    }
    let employee = app.store.succeed_employee(admin.client_no, &new).await?;
    app.wake.all();
    Ok(created(employee))
}

/// If the error is a taken number, hints that `?new_person=true` passes it to another person.
fn or_new_person(error: store::Error) -> ApiError {
    let is_taken = matches!(error, store::Error::Conflict(_));
    let error = ApiError::from(error);
    if !is_taken {
        return error;
    }
    error.hint(text!(
        "if the number passes to somebody else, say `?new_person=true`",
        "если номер переходит к другому человеку, укажите `?new_person=true`"
    ))
}

/// Show an employee
#[utoipa::path(get, path = "/employees/{personnel_no}", tag = "employees", operation_id = "employee",
    params(("personnel_no" = String, Path, description = "The employee")),
    responses((status = 200, description = "The employee", body = Employee), Problems))]
async fn show(
    viewer: Viewer,
    State(app): State<Arc<App>>,
    Path(personnel_no): Path<String>,
) -> ApiResult<axum::Json<Employee>> {
    Ok(axum::Json(app.store.employee(viewer.client_no, &personnel_no).await?))
}

/// Change an employee
///
/// Fields that are left out stay, empty ones are cleared; `groups` are all their groups from now on.
#[utoipa::path(patch, path = "/employees/{personnel_no}", tag = "employees", operation_id = "edit_employee",
    params(("personnel_no" = String, Path, description = "The employee")), request_body = EditEmployee,
    responses((status = 200, description = "The employee", body = Employee), Problems))]
async fn edit(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(personnel_no): Path<String>,
    Json(mut edit): Json<EditEmployee>,
) -> ApiResult<axum::Json<Employee>> {
    for field in [&mut edit.full_name, &mut edit.email, &mut edit.phone, &mut edit.locale, &mut edit.timezone]
    {
        field.iter_mut().for_each(trimmed);
    }
    let mut check = Check::default();
    check.employee_edit(&edit);
    check.done()?;
    let edited = app.store.edit_employee(admin.client_no, &personnel_no, &edit).await?;
    Ok(axum::Json(edited))
}

/// Archive an employee
///
/// Their devices are retired, their own grants and pairing codes end, and they get nothing further. History goes on naming them. 409
/// when a topic's messages are for them.
#[utoipa::path(delete, path = "/employees/{personnel_no}", tag = "employees", operation_id = "remove_employee",
    params(("personnel_no" = String, Path, description = "The employee")),
    responses((status = 204, description = "Archived"), Problems))]
async fn remove(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(personnel_no): Path<String>,
) -> ApiResult<StatusCode> {
    app.store.remove_employee(admin.client_no, &personnel_no).await?;
    app.wake.all();
    Ok(StatusCode::NO_CONTENT)
}

/// Block an employee
///
/// They get nothing further, from this answer on, not even of what was queued before: that is withheld until they are unblocked.
#[utoipa::path(post, path = "/employees/{personnel_no}/block", tag = "employees", operation_id = "block_employee",
    params(("personnel_no" = String, Path, description = "The employee")),
    responses((status = 200, description = "The employee", body = Employee), Problems))]
async fn block(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(personnel_no): Path<String>,
) -> ApiResult<axum::Json<Employee>> {
    app.store.block_employee(admin.client_no, &personnel_no).await?;
    app.wake.all();
    Ok(axum::Json(app.store.employee(admin.client_no, &personnel_no).await?))
}

/// What waits for an employee
///
/// Deliveries that are queued. Blocking withholds them for as long as it lasts; removing denies them for good.
#[utoipa::path(get, path = "/employees/{personnel_no}/waiting", tag = "employees", operation_id = "waiting_for_employee",
    params(("personnel_no" = String, Path, description = "The personnel number")),
    responses((status = 200, description = "How much waits", body = Waiting), Problems))]
async fn waiting(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(personnel_no): Path<String>,
) -> ApiResult<axum::Json<Waiting>> {
    Ok(axum::Json(app.store.waiting_for(admin.client_no, &personnel_no).await?))
}

/// Unblock an employee
///
/// They get what is posted from now on, and what was withheld while they were blocked; what they were denied when it was accepted
/// stays so.
#[utoipa::path(post, path = "/employees/{personnel_no}/unblock", tag = "employees",
    operation_id = "unblock_employee",
    params(("personnel_no" = String, Path, description = "The employee")),
    responses((status = 200, description = "The employee", body = Employee), Problems))]
async fn unblock(
    admin: Admin,
    State(app): State<Arc<App>>,
    Path(personnel_no): Path<String>,
) -> ApiResult<axum::Json<Employee>> {
    app.store.unblock_employee(admin.client_no, &personnel_no).await?;
    app.wake.all();
    Ok(axum::Json(app.store.employee(admin.client_no, &personnel_no).await?))
}

/// How an import is to be done.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ImportParams {
    /// Only say what it would change.
    #[serde(default)]
    #[param(default = false)]
    dry_run: bool,
}

/// Import employees
///
/// All or nothing; every bad line is listed. Optional fields that are left out stay as they are, empty ones are cleared;
/// `groups` are all groups that a person has, and missing ones are made. Archived employees come back. A number that is
/// known under quite another name (neither given name and patronymic agree, nor family name and given name) is refused
/// until its row says which `person` is meant. Doing it twice changes nothing.
#[utoipa::path(post, path = "/employees/import", tag = "employees", operation_id = "import_employees",
    params(ImportParams), request_body = Vec<ImportRow>,
    responses((status = 200, description = "What was done", body = ImportReport), Problems))]
async fn import(
    admin: Admin,
    State(app): State<Arc<App>>,
    Params(ImportParams { dry_run }): Params<ImportParams>,
    request: Request,
) -> ApiResult<axum::Json<ImportReport>> {
    let bytes = body::read(&app, request, &mut Due::from_now()).await?;
    // Megabytes to parse and check: not on a thread that serves other requests.
    let (rows, mut check) = app.bodies.aside(move || body::parse(&bytes).map(checked_rows)).await??;
    // Rows with mistakes are left out, so that the store's errors in the others are reported in the same answer.
    let only_said = dry_run || check.failed();
    let imported = match app.store.import_employees(admin.client_no, rows, only_said).await {
        Err(store::Error::Invalid(doubts)) => {
            check.more(doubts);
            check.done().map(|()| ImportReport::default())
        }
        imported => match check.done() {
            Ok(()) => imported.map_err(ApiError::from),
            Err(mistakes) => Err(mistakes),
        },
    };
    let report = imported.map_err(|error| {
        if error.errors.iter().any(|(field, _)| field.ends_with(": person")) {
            return error.hint(text!(
                "give `person` in these rows: `new` for a successor, `same` for the same person renamed",
                "укажите в этих строках `person`: `new` для преемника, `same` для того же человека с новым именем"
            ));
        }
        error
    })?;
    if report.succeeded > 0 && !report.dry_run {
        app.wake.all();
    }
    Ok(axum::Json(report))
}

/// Splits the rows into the correct ones and the errors in the others.
fn checked_rows(rows: Vec<ImportRow>) -> (Vec<ImportRow>, Check) {
    let mut check = Check::default();
    let mut lines: HashMap<String, u64> = HashMap::with_capacity(rows.len());
    let mut checked = Vec::with_capacity(rows.len());
    for row in rows {
        let (line, person) = (row.line, row.person);
        let employee = trimmed_employee(row.employee);
        check.place = format!("line {line}: ");
        let before = check.count();
        check.employee(&employee);
        match lines.entry(employee.personnel_no.clone()) {
            Entry::Vacant(place) => {
                place.insert(line);
            }
            Entry::Occupied(place) => {
                let (no, first) = (place.key(), place.get());
                check.wrong(
                    "personnel_no",
                    text!("`{no}` is on line {first} already", "«{no}» уже есть в строке {first}"),
                );
            }
        }
        if check.count() == before {
            checked.push(ImportRow { line, employee, person });
        }
    }
    (checked, check)
}
