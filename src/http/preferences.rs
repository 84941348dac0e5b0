//! The preferences page behind the manage link: lists, pause, frequency, address, tracking, and the way to what a reader
//! said of herself, to her data, and out for good.
//!
//! Promises: GET changes nothing; every wish is one POST with the link alone, but for the way back to a list that was
//! left more than a day ago, which leads through a mail, and for her data and her erasure, which do, too; nothing that she
//! said of herself is told to whoever has the link, nor changed by it; a link from the mailbox that a reader gave up opens
//! nothing, and still ends what she gets; a wish for another address gets the same answer whoever has it. Leaves leaving
//! to `leave` and what the mailbox proves to `prove`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use minijinja::context;
use minijinja::value::Serde;

use crate::address::EmailAddress;
use crate::clock::{DAY, Timestamp};
use crate::config::privacy::Tracking;
use crate::http::Public;
use crate::http::fault::Fault;
use crate::http::form::{Form, Tail};
use crate::http::leave;
use crate::http::listener::Client;
use crate::http::prove;
use crate::http::subscribe::shown_wrong;
use crate::id::{ListId, SubscriptionKey};
use crate::issue::dates;
use crate::schedule;
use crate::signup::offer::Wrong;
use crate::store::former::Opens;
use crate::store::preferences::{Reader, StandingOn};
use crate::store::proofs::Act;
use crate::subscriber::Status;
use crate::token::{Claim, Purpose, verify};

/// A pause ends within a year: whoever wants longer wants to leave.
const LONGEST_PAUSE: i64 = 366;

/// `GET /preferences/{token}`: everything that can be chosen.
pub async fn page(State(site): State<Arc<Public>>, Tail(token): Tail) -> Result<Response, Fault> {
    match claim(&site, &token).await? {
        Opens::Hers(key) => show(&site, key, &token, Told::default()).await,
        Opens::Nothing(_) => Ok(given_up(&site, &token)),
    }
}

/// `POST /preferences/{token}`: one of its buttons.
pub async fn press(
    State(site): State<Arc<Public>>,
    Extension(client): Extension<Client>,
    Tail(token): Tail,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Fault> {
    let opens = claim(&site, &token).await?;
    let ends = leave::is_of_leaving(form.get("answer"));
    let key = match opens {
        Opens::Hers(key) => key,
        Opens::Nothing(key) if ends => key,
        Opens::Nothing(_) => {
            let page = given_up(&site, &token);
            return Ok((StatusCode::BAD_REQUEST, page).into_response());
        }
    };
    let store = &site.app.store;
    let at = site.app.clock.now();
    let told;
    let mut wrong = None;
    let notice = match form.get("answer") {
        answer if leave::is_of_leaving(answer) => {
            let path = format!("/preferences/{token}");
            return leave::decide(&site, client, &headers, &form, (key, None), &path).await;
        }
        "lists" => {
            let reader = store.reader(key).await?.ok_or(Fault::NotFound)?;
            choose(&site, key, &reader, &form, at).await?
        }
        "pause" => match until(&site, form.get("until"), at) {
            None => {
                wrong = Some(at_field(
                    "until",
                    "Please choose a day within the coming year.",
                ));
                ""
            }
            Some(until) if store.pause(key, until, at).await? => {
                told = format!("Paused. Nothing comes before {}.", shown_day(&site, until));
                told.as_str()
            }
            Some(_) => "There is nothing to pause: you are on no list.",
        },
        "unpause" => {
            store.unpause(key).await?;
            "Welcome back: mail comes to you again, as often as you chose."
        }
        "tracking-on" | "tracking-off" => {
            let on = form.get("answer") == "tracking-on";
            store.set_tracking(key, on, at).await?;
            match on {
                true => "What you open and click may be counted.",
                false => "Nothing you open or click is counted any more, in old mails neither.",
            }
        }
        "address" => match move_to(&site, key, form.get("email"), at).await? {
            Ok(said) => {
                told = said;
                told.as_str()
            }
            Err(what) => {
                wrong = Some(at_field("email", &what));
                ""
            }
        },
        "export" => {
            prove::ask(&site, key, Act::Export).await?;
            prove::ASKED
        }
        "erase" => {
            let reader = store.reader(key).await?.ok_or(Fault::NotFound)?;
            let values = context! { address => reader.address.masked(), token };
            return Ok(site.pages.render("erase.html", values));
        }
        "erase-mail" => {
            prove::ask(&site, key, Act::Erase).await?;
            prove::ASKED
        }
        _ => {
            let page = show(&site, key, &token, Told::default()).await?;
            return Ok((StatusCode::BAD_REQUEST, page).into_response());
        }
    };
    let typed = wrong.is_some().then_some(&form);
    let told = Told {
        notice,
        wrong,
        typed,
    };
    show(&site, key, &token, told).await
}

/// What the page says of the button that was pressed.
#[derive(Default)]
struct Told<'a> {
    notice: &'a str,
    /// Why it was refused, and at which field.
    wrong: Option<Wrong>,
    /// What was typed into the form that was refused.
    typed: Option<&'a Form>,
}

fn at_field(field: &str, what: &str) -> Wrong {
    Wrong {
        field: field.to_owned(),
        what: what.to_owned(),
    }
}

async fn claim(site: &Public, token: &str) -> Result<Opens, Fault> {
    match verify(&site.app.keyring, Purpose::Manage, token) {
        Some(Claim::Manage(leave::TEST)) => Ok(Opens::Hers(leave::TEST)),
        Some(Claim::Manage(key)) => site.app.store.opened_by(key).await?.ok_or(Fault::NotFound),
        _ => Err(Fault::NotFound),
    }
}

/// What a link says that opens no page any more.
fn given_up(site: &Public, token: &str) -> Response {
    site.pages.render("given_up.html", context! { token })
}

async fn show(
    site: &Public,
    key: SubscriptionKey,
    token: &str,
    Told {
        notice,
        wrong,
        typed,
    }: Told<'_>,
) -> Result<Response, Fault> {
    if key == leave::TEST {
        return Ok(leave::test(site));
    }
    let reader = site.app.store.reader(key).await?.ok_or(Fault::NotFound)?;
    let now = site.app.clock.now();
    let zone = &site.app.config.publication.timezone;
    let from = &site.app.config.from;
    let day = |at: i64| {
        schedule::on_the_wall(Timestamp(at), zone)
            .date()
            .to_string()
    };
    let shown: Vec<&StandingOn> = reader
        .standings
        .iter()
        .filter(|on| is_shown(site, on))
        .collect();
    let titles = |lists: Vec<&&StandingOn>| -> Vec<String> {
        lists.iter().map(|on| on.title.clone()).collect()
    };
    let digests = titles(shown.iter().filter(|on| has_digest(site, on)).collect());
    // Whoever waits for a digest that nobody promises gets nothing, and is told so.
    let stranded = shown.iter().filter(|on| on.is_on() && on.is_monthly());
    let stranded = titles(stranded.filter(|on| !has_digest(site, on)).collect());
    let all_digests = digests.len() == shown.len();
    let again = |name: &str| typed.map_or("", |form| form.get(name)).to_owned();
    let lists: Vec<_> = shown
        .iter()
        .map(|on| context! { slug => &on.slug, title => &on.title, on => on.is_on() })
        .collect();
    let paused = reader.standings.iter();
    let paused = paused.filter(|on| on.status == Some(Status::Paused));
    // Some pauses have no end but the reader's word.
    let until = paused.clone().filter_map(|on| on.paused_until).max();
    let active = reader.standings.iter().any(StandingOn::is_on);
    let monthly = reader.standings.iter().any(StandingOn::is_monthly);
    let values = context! {
        address => reader.address.masked(),
        suppressed => reader.suppressed.is_some(),
        write_to => from.reply_to.as_ref().unwrap_or(&from.address).as_str(),
        may_move => reader.may_move(),
        lists,
        digests,
        all_digests,
        stranded,
        monthly,
        about => site.signups.asks(),
        active,
        paused => paused.count() > 0,
        until => until.map(|until| shown_day(site, Timestamp(until))),
        first_day => day(now.0 + DAY),
        last_day => day(now.0 + LONGEST_PAUSE * DAY),
        counted => Serde(counted(site)),
        tracking => is_tracked(site, &reader),
        moving => reader.moving_since.is_some(),
        notice,
        wrong => shown_wrong(wrong),
        email => again("email"),
        day => again("until"),
        token,
    };
    Ok(site.pages.render("preferences.html", values))
}

/// A day where the publication is, as people write it on the page, whose own words are English.
fn shown_day(site: &Public, at: Timestamp) -> String {
    let zone = &site.app.config.publication.timezone;
    dates::shown(schedule::on_the_wall(at, zone).date(), "en")
}

/// What is counted of readers who have nothing against it.
fn counted(site: &Public) -> Tracking {
    let tracking = &site.app.config.tracking;
    match tracking.opens || tracking.clicks {
        true => site.app.config.privacy.tracking,
        false => Tracking::Off,
    }
}

fn is_tracked(site: &Public, reader: &Reader) -> bool {
    let unasked = site.app.config.privacy.unasked;
    reader.tracking == "on" || (reader.tracking == "unset" && unasked)
}

/// Lists that are offered, and those the reader is or was on.
fn is_shown(site: &Public, on: &StandingOn) -> bool {
    on.status.is_some() || site.app.config.offered_lists().any(|slug| slug == on.slug)
}

/// Whether the author promises a digest of the month.
fn has_digest(site: &Public, on: &StandingOn) -> bool {
    site.app.config.signup.monthly.contains(&on.slug)
}

/// Takes the boxes of the lists, and how often.
async fn choose(
    site: &Public,
    key: SubscriptionKey,
    reader: &Reader,
    form: &Form,
    at: Timestamp,
) -> Result<&'static str, Fault> {
    let store = &site.app.store;
    let since = at.before(leave::UNDO);
    let just_left = |on: &StandingOn| on.left_at >= Some(since.0);
    // A copy that was forwarded holds this link too, so that it brings nobody back whom it may not be from.
    let reads = reader
        .standings
        .iter()
        .any(|on| on.is_on() || just_left(on));
    let mut asked = Vec::new();
    let mut refused = false;
    for on in reader.standings.iter().filter(|on| is_shown(site, on)) {
        let wanted = form.all("list").any(|slug| slug == on.slug);
        let has = on.is_on();
        if wanted && !has {
            let list = ListId(on.list_id);
            let sure = match on.status {
                Some(Status::Unsubscribed) => just_left(on),
                _ => reads,
            };
            match (reader.is_proven(), sure) {
                (false, _) => refused = true,
                (true, false) => asked.push(list),
                (true, true) => {
                    let fresh = site.app.chance.key();
                    refused |= !store.join(key, list, fresh, at).await?;
                }
            }
        } else if !wanted && has {
            store.leave_list(key, ListId(on.list_id), at).await?;
        }
    }
    if let frequency @ ("every" | "monthly") = form.get("frequency") {
        let each = reader.standings.iter();
        let may = each.filter(|on| frequency == "every" || has_digest(site, on));
        let may: Vec<ListId> = may.map(|on| ListId(on.list_id)).collect();
        store.set_frequency(key, frequency, &may).await?;
    }
    if !asked.is_empty() {
        let revision = &site.site.confirm_revision;
        site.signups.ask_again(reader, &asked, revision).await?;
        return Ok(
            "You had left more than a day ago, so this page alone does not bring you back: the link in a mail to your \
             address does. One is sent a day at most. All else is saved.",
        );
    }
    Ok(match (refused, reader.suppressed.is_some()) {
        (false, _) => "Saved.",
        (true, true) => {
            "You were put on no further list, because this address gets no mail from us. All else is saved."
        }
        (true, false) => {
            "You were put on no further list, because this address is not confirmed: the link in the mail that \
             you got when you signed up does it. All else is saved."
        }
    })
}

/// The beginning of the day `YYYY-MM-DD` where the publication is, if it is in the coming year.
fn until(site: &Public, day: &str, now: Timestamp) -> Option<Timestamp> {
    let day: jiff::civil::Date = day.trim().parse().ok()?;
    let zone = &site.app.config.publication.timezone;
    let at = schedule::in_zone(day.at(0, 0, 0, 0), zone)?;
    (at > now && at.0 <= now.0 + LONGEST_PAUSE * DAY).then_some(at)
}

async fn move_to(
    site: &Public,
    key: SubscriptionKey,
    email: &str,
    now: Timestamp,
) -> Result<Result<String, String>, Fault> {
    let Ok(address) = EmailAddress::parse(email) else {
        return Ok(Err("That is no address: nothing was changed.".to_owned()));
    };
    let reader = site.app.store.reader(key).await?.ok_or(Fault::NotFound)?;
    if !reader.may_move() {
        return Ok(Err(
            "Nothing was changed: you wanted no more mail from us.".to_owned()
        ));
    }
    let window = site.app.config.signup.address_window;
    if let Some(since) = reader
        .moving_since
        .filter(|since| now.since(*since) < window)
    {
        // It is her own wish that is told, and of nobody's address.
        let next = schedule::shown(since.after(window), &site.app.config.publication.timezone);
        return Ok(Err(format!(
            "You asked for another address a short while ago, so this one was not taken. Press the link in the mail \
             to that one, or ask again after {next}."
        )));
    }
    site.signups
        .request_move(key, &address, &site.site.address_revision)
        .await?;
    Ok(Ok(
        "If that address can be used, a mail is on its way to it. Until its link is pressed, everything stays as it is."
            .to_owned(),
    ))
}
