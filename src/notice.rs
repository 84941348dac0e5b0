//! Notices: what the author is told of a run, of the relays and of the subscribe form, by mail and by webhook.
//!
//! Promises: each is written down together with its mail, so that a crash neither loses nor doubles one; at
//! most one of a kind about the same within `notify.window`; no address of a reader and no
//! secret in it. Leaves noticing to `deliver` and `signup`, and the webhook's HTTP to `hook`.

use serde_json::json;

use crate::app::App;
use crate::clock::Timestamp;
use crate::compile::{Compiled, Context, Segment, Template};
use crate::config::notify::NoticeKind;
use crate::deliver::trouble::RelayTrouble;
use crate::id::SubscriberId;
use crate::run::{self, why};
use crate::stats::interval::{percent, ratio};
use crate::status::RunStatus;
use crate::store::notices::NewNotice;
use crate::store::runs::Run;
use crate::store::system_mail::NewSystemMail;

pub mod failing;
pub mod hook;

/// What is to be told, in words.
struct Told<'a> {
    kind: NoticeKind,
    about: &'a str,
    run: Option<&'a Run>,
    subject: String,
    sentence: String,
    /// The command that goes on, where there is one.
    command: Option<String>,
}

/// Tells the author that `run` has come into its status. Gives whether there was anything to tell.
pub async fn tell_status(app: &App, run: &Run) -> anyhow::Result<()> {
    let kind = match run.status {
        RunStatus::Sending => NoticeKind::Started,
        RunStatus::Finished => NoticeKind::Finished,
        _ => NoticeKind::Held,
    };
    if !wanted(app, kind) {
        app.store.note_told(run).await?;
        return Ok(());
    }
    let said = why::why(app, run).await?;
    let what = match kind {
        NoticeKind::Started => "is being sent",
        NoticeKind::Finished => "is sent",
        _ => "is held",
    };
    let told = Told {
        kind,
        about: &run.slug,
        run: Some(run),
        subject: format!("`{}` {what}", run.slug),
        sentence: said.sentence,
        command: said.command,
    };
    tell(app, &told).await
}

/// Tells the author once that more of `run` bounces than should.
pub async fn tell_bounces(app: &App, run: &Run, bounced: i64, of: i64) -> anyhow::Result<()> {
    let share = percent(ratio(bounced, of));
    let limit = percent(app.config.notify.bounce_rate);
    let said = why::why(app, run).await?;
    let command = match run.status {
        RunStatus::Sending => "pause",
        _ => "stats",
    };
    let told = Told {
        kind: NoticeKind::Bounces,
        about: &run.slug,
        run: Some(run),
        subject: format!("{share} of `{}` bounces", run.slug),
        sentence: format!(
            "{bounced} of {of} messages of `{}` bounced ({share}), more than {limit} (`notify.bounce_rate`); {}",
            run.slug, said.sentence
        ),
        command: Some(format!("pressrun {command} {}", run::name(app, run).await?)),
    };
    tell(app, &told).await
}

/// Tells the author once that more readers of `run` complain than may.
pub async fn tell_complaints(app: &App, run: &Run, complained: i64, of: i64) -> anyhow::Result<()> {
    let share = percent(ratio(complained, of));
    let limit = percent(app.config.notify.complaint_rate);
    let said = why::why(app, run).await?;
    let command = match run.status {
        RunStatus::Sending => "pause",
        _ => "stats",
    };
    let told = Told {
        kind: NoticeKind::Complaints,
        about: &run.slug,
        run: Some(run),
        subject: format!("{share} of the readers of `{}` complain", run.slug),
        sentence: format!(
            "{complained} of {of} readers of `{}` called it spam ({share}), more than {limit} \
             (`notify.complaint_rate`), and are never mailed again; {}",
            run.slug, said.sentence
        ),
        command: Some(format!("pressrun {command} {}", run::name(app, run).await?)),
    };
    tell(app, &told).await
}

/// Tells the author that a relay does not take mail.
pub async fn tell_relay_down(app: &App, trouble: &RelayTrouble) -> anyhow::Result<()> {
    let told = Told {
        kind: NoticeKind::RelayDown,
        about: &trouble.relay,
        run: None,
        subject: format!("relay {} takes no mail", trouble.relay),
        sentence: format!(
            "{}; what is queued waits or goes through other relays, and no reader is charged",
            trouble.sentence()
        ),
        command: Some("pressrun why".into()),
    };
    tell(app, &told).await
}

/// Tells the author that a relay takes mail again, if its failing was told.
pub async fn tell_relay_up(app: &App, relay: &str) -> anyhow::Result<()> {
    let told = Told {
        kind: NoticeKind::RelayUp,
        about: relay,
        run: None,
        subject: format!("relay {relay} takes mail again"),
        sentence: format!("relay {relay} takes mail again"),
        command: None,
    };
    tell(app, &told).await
}

/// Tells the author in this `sentence` how the subscribe form defends itself; `how` is the word for that.
pub async fn tell_signups(app: &App, how: &str, sentence: &str) -> anyhow::Result<()> {
    if !wanted(app, NoticeKind::Signups) {
        return Ok(());
    }
    let told = Told {
        kind: NoticeKind::Signups,
        about: how,
        run: None,
        subject: "a flood of signups".into(),
        sentence: sentence.into(),
        command: None,
    };
    tell(app, &told).await
}

/// Whether anybody is told anything of this kind.
pub fn wanted(app: &App, kind: NoticeKind) -> bool {
    let notify = &app.config.notify;
    (notify.to.is_some() || notify.webhook.is_some()) && notify.on.contains(&kind)
}

/// Whether something that concerns the author is not told yet, or was never brought to the webhook.
pub async fn is_outstanding(app: &App) -> anyhow::Result<bool> {
    let notify = &app.config.notify;
    if notify.to.is_none() && notify.webhook.is_none() {
        return Ok(false);
    }
    Ok(app.store.notices_outstanding().await?)
}

async fn tell(app: &App, told: &Told<'_>) -> anyhow::Result<()> {
    let (notify, now) = (&app.config.notify, app.clock.now());
    let id = app.chance.key();
    let body = body(app, told, id, now);
    let mut mail = None;
    if let Some(to) = &notify.to {
        let revision = run::keep_revision(app, &compiled(app, told), &[]).await?;
        mail = Some((revision, to.as_str()));
    }
    let mail = mail.as_ref().map(|(revision, to)| NewSystemMail {
        kind: "notice",
        revision,
        subscriber: SubscriberId(0),
        address: Some(to),
        list: None,
        data: "{}",
    });
    let notice = NewNotice {
        id,
        kind: told.kind.name(),
        about: told.about,
        run: told.run.map(Run::id),
        status: told.run.map(|run| (run.status, run.since)),
        body: &body,
        hook: notify.webhook.is_some(),
        mail: mail.as_ref(),
        window: notify.window,
    };
    app.store.tell(&notice, now).await?;
    Ok(())
}

/// As the webhook gets it.
fn body(app: &App, told: &Told<'_>, id: i64, now: Timestamp) -> String {
    let run = told.run.map(|run| {
        json!({ "id": run.id, "issue": run.slug, "status": run.status, "recipients": run.recipients })
    });
    let relay = match told.kind {
        NoticeKind::RelayDown | NoticeKind::RelayUp => Some(told.about),
        _ => None,
    };
    let body = json!({
        "id": id.to_string(),
        "kind": told.kind.name(),
        "at": now.to_rfc3339(),
        "publication": app.config.publication.name,
        "run": run,
        "relay": relay,
        "sentence": told.sentence,
        "command": told.command,
    });
    body.to_string()
}

/// The mail: plain words, nothing of the author's theme, nothing that could fail.
fn compiled(app: &App, told: &Told<'_>) -> Compiled {
    let publication = &app.config.publication.name;
    let close = format!(
        "Pressrun sends this for {publication} to the address in `[notify]` of its configuration."
    );
    let html = |text: &str| {
        let mut out = String::new();
        out.push_str(&Context::Html.escape(text));
        out
    };
    let mut paragraphs = vec![format!("<p>{}</p>", html(&told.sentence))];
    let mut text = told.sentence.clone();
    if let Some(command) = &told.command {
        text.push_str(&format!("\n\n    {command}"));
        paragraphs.push(format!("<p><code>{}</code></p>", html(command)));
    }
    text.push_str(&format!("\n\n-- \n{close}\n"));
    paragraphs.push(format!("<p><small>{}</small></p>", html(&close)));
    let subject = format!("{publication}: {}", told.subject);
    let literal = |text: String| Template(vec![Segment::Literal(text)]);
    Compiled {
        slug: "notice".into(),
        title: subject.clone(),
        subject: literal(subject),
        preheader: Template::default(),
        html: literal(format!(
            "<!doctype html>\n<html><body>\n{}\n</body></html>\n",
            paragraphs.join("\n")
        )),
        text: literal(text),
        links: Vec::new(),
        images: Vec::new(),
        only: Vec::new(),
    }
}
