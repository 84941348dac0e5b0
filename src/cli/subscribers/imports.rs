//! `pressrun subscribers imports` and `undo-import`: imports as a whole.

use serde_json::{Value, json};

use crate::app::App;
use crate::cli::output::{print, print_json, table};
use crate::cli::{Exit, audit};
use crate::clock::Timestamp;
use crate::import::undo::{self, Left};
use crate::store::imports::Import;

pub(super) async fn list(app: &App, json: bool) -> anyhow::Result<Exit> {
    let imports = app.store.imports().await?;
    if json {
        print_json(&imports.iter().map(as_json).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    if imports.is_empty() {
        print("nothing was imported yet\n")?;
        return Ok(Exit::Done);
    }
    let row = |import: &Import| {
        let state = match (import.undone_at, import.finished_at) {
            (Some(_), _) => format!(
                "taken back: {} gone, {} stayed",
                import.removed, import.stayed
            ),
            (None, Some(_)) => "done".to_owned(),
            (None, None) => "broken off; importing again goes on".to_owned(),
        };
        let consent = match import.consent.as_str() {
            "" => "none stated".to_owned(),
            stated => stated.to_owned(),
        };
        let new = tally(import)["added"].as_u64().unwrap_or_default();
        vec![
            import.id.to_string(),
            import.begun_at.to_rfc3339(),
            import.list.clone(),
            import.file.clone(),
            format!("+{new}"),
            import.status.to_string(),
            state,
            consent,
        ]
    };
    let header = [
        "import", "began", "list", "file", "new", "as", "state", "consent",
    ];
    let rows: Vec<Vec<String>> = imports.iter().map(row).collect();
    print(&table(&header, &rows))?;
    Ok(Exit::Done)
}

pub(super) async fn undo(app: &App, id: i64, dry_run: bool, json: bool) -> anyhow::Result<Exit> {
    if !dry_run && app.store.import(id).await?.is_some() {
        audit::note(app, "took an import back", &format!("import {id}")).await?;
    }
    let undone = undo::run(app, id, dry_run).await?;
    if json {
        print_json(&undone)?;
        return Ok(Exit::Done);
    }
    let stayed = match undone.stayed {
        0 => String::new(),
        stayed => format!(
            "; {stayed} stay, who were mailed, did something or came with a later import, too"
        ),
    };
    let told = match dry_run {
        true => format!("import {id} would go: {} readers{stayed}\n", undone.removed),
        false => format!(
            "import {id} is taken back: {} readers gone{stayed}\n",
            undone.removed
        ),
    };
    let back = match (undone.put_back, dry_run) {
        (0, _) => String::new(),
        (back, true) => {
            format!("  {back} readers whom it took off or confirmed would be put back\n")
        }
        (back, false) => format!("  {back} readers whom it took off or confirmed are put back\n"),
    };
    print(&format!("{told}{back}{}", left(&undone.left)))?;
    Ok(Exit::Done)
}

/// What stays as the import left it, one kind a line.
fn left(left: &Left) -> String {
    let kinds = [
        (
            left.updated,
            "readers who were here before keep the names and fields that it gave them",
        ),
        (
            left.moved,
            "readers who were here before stay taken off or confirmed: something happened since",
        ),
        (
            left.known,
            "readers who were here before keep the tags that it put on them, if any",
        ),
        (
            left.barred,
            "addresses stay suppressed; `pressrun suppressions remove` allows one again",
        ),
    ];
    let kinds = kinds.iter().filter(|(number, _)| *number > 0);
    kinds
        .map(|(number, what)| format!("  {number} {what}\n"))
        .collect()
}

/// What the import came to, as it noted it.
fn tally(import: &Import) -> Value {
    serde_json::from_str(&import.tally).unwrap_or_default()
}

fn as_json(import: &Import) -> Value {
    let time = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
    let mut object = json!(import);
    object["begun_at"] = json!(import.begun_at.to_rfc3339());
    object["finished_at"] = json!(time(import.finished_at));
    object["undone_at"] = json!(time(import.undone_at));
    let tally = tally(import);
    for name in [
        "added",
        "pending",
        "confirmed",
        "updated",
        "known",
        "left",
        "taken_off",
        "barred",
        "unsubscribed",
        "suppressed",
        "duplicates",
        "rejected",
        "rows",
    ] {
        object[name] = tally.get(name).cloned().unwrap_or_default();
    }
    object
}
