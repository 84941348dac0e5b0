//! `pressrun subscribers ask`: one confirm mail to each reader who was brought as pending.
//!
//! Promises: nobody is mailed without `--yes`, and no address twice in a month.

use clap::Args;
use serde_json::json;

use crate::app::App;
use crate::cli::output::{print, print_json};
use crate::cli::{Exit, audit};
use crate::lists;
use crate::signup::pending::{ask, count};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Short name of the list.
    #[arg(long)]
    list: String,
    /// Only the readers of this import, by its number.
    #[arg(long, value_name = "ID")]
    import: Option<i64>,
    /// Asks them; without, it is only told how many there are.
    #[arg(long)]
    yes: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(app: &App, arguments: &Arguments) -> anyhow::Result<Exit> {
    let list = lists::find(app, &arguments.list).await?;
    let slug = &list.slug;
    let tally = match arguments.yes {
        true => {
            let what = "asked pending readers to confirm";
            audit::note(app, what, &format!("list {slug}")).await?;
            ask(app, list.id, arguments.import).await?
        }
        false => count(app, list.id, arguments.import).await?,
    };
    if arguments.json {
        print_json(&json!({
            "list": slug,
            "waiting": tally.waiting,
            "asked": tally.asked,
            "lately": tally.lately,
            "later": tally.later,
        }))?;
        return Ok(Exit::Done);
    }
    let mut text = format!(
        "readers of `{slug}` who were brought as pending and have not confirmed: {}\n",
        tally.waiting
    );
    match (arguments.yes, tally.waiting) {
        (_, 0) => {}
        (false, _) => text.push_str(
            "`--yes` sends each of them one mail that asks; those who asked you for none may take it for spam\n",
        ),
        (true, _) => {
            text.push_str(&format!(
                "asked: {}; the mails go out with `pressrun serve`, or beside the next run\n",
                tally.asked
            ));
            if tally.lately > 0 {
                text.push_str(&format!(
                    "asked within the last 30 days, and left alone: {}\n",
                    tally.lately
                ));
            }
            if tally.later > 0 {
                text.push_str(&format!(
                    "for another day: {}; half of `signup.confirms_per_hour` goes to such mails\n",
                    tally.later
                ));
            }
        }
    }
    print(&text)?;
    Ok(Exit::Done)
}
