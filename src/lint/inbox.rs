//! The inbox row: subject and preheader.

use crate::issue::own::head::preview;
use crate::lint::place::value_offset;
use crate::lint::{Desk, filled};

/// Characters that a mail program shows on a desk; phones show about forty.
const SUBJECT: usize = 70;
/// Characters that a message may carry: `message` refuses longer ones, because no header needs them.
const SUBJECT_LIMIT: usize = 193;
/// Emoji beyond which filters take a subject for advertising.
const EMOJI: usize = 3;
/// Characters of a preheader: fewer leave room for whatever comes next, more are never seen.
const PREHEADER: std::ops::RangeInclusive<usize> = 20..=140;

pub(super) fn check(desk: &mut Desk<'_>) {
    let issue = desk.inputs.issue;
    let key = if issue.front.subject.is_some() {
        "subject"
    } else {
        "title"
    };
    let written = issue.front.subject.as_ref().unwrap_or(&issue.front.title);
    let subject = match desk.inputs.compiled {
        Some(compiled) => filled(compiled, &compiled.subject),
        None => defaulted(written),
    };
    let subject = subject.trim().to_owned();
    let at = value(desk, key, written);
    length(desk, at, &subject);
    reply(desk, at, &subject);
    shouting(desk, at, &subject);
    repeated(desk, at, &subject);
    let front = &issue.front;
    let text = match (desk.inputs.compiled, &issue.layout) {
        (Some(compiled), _) => filled(compiled, &compiled.preheader),
        // What its own layout shows there nobody knows before it is made.
        (None, Some(_)) => return,
        (None, None) => {
            let written = front.preheader.as_ref().or(front.teaser.as_ref());
            defaulted(written.map_or("", String::as_str))
        }
    };
    preheader(desk, text.trim(), &subject);
}

/// A line of the front matter as a reader without any fields gets it, where the issue was not compiled.
fn defaulted(written: &str) -> String {
    let mut out = String::with_capacity(written.len());
    for (number, part) in written.split("[[").enumerate() {
        let slot = part.split_once("]]").filter(|_| number > 0);
        let (default, rest) = match slot {
            Some((slot, rest)) => (
                slot.split_once('|').map_or("", |(_, default)| default),
                rest,
            ),
            None => ("", part),
        };
        out.push_str(default);
        out.push_str(rest);
    }
    out
}

fn value(desk: &Desk<'_>, key: &str, written: &str) -> (usize, usize) {
    let source = desk.inputs.issue.source();
    let offset = value_offset(&source, desk.inputs.issue.front.place(key), written);
    (offset, written.len())
}

fn length(desk: &mut Desk<'_>, at: (usize, usize), subject: &str) {
    let count = subject.chars().count();
    if count > SUBJECT_LIMIT {
        let message =
            format!("the subject has {count} characters; at most {SUBJECT_LIMIT} are sent");
        desk.say("subject-limit", at, message, "say it in a few words");
    } else if count > SUBJECT {
        let message = format!(
            "the subject has {count} characters; inboxes show about {SUBJECT}, phones about 40"
        );
        desk.say(
            "subject-length",
            at,
            message,
            "put what matters into the first 40 characters",
        );
    }
}

fn reply(desk: &mut Desk<'_>, at: (usize, usize), subject: &str) {
    let lower = subject.to_lowercase();
    let prefixes = [
        "re:", "fwd:", "fw:", "aw:", "wg:", "sv:", "vs:", "tr:", "rv:",
    ];
    if let Some(prefix) = prefixes.iter().find(|prefix| lower.starts_with(**prefix)) {
        let shown: String = subject.chars().take(prefix.len()).collect();
        let message =
            format!("the subject begins with `{shown}`, and this is no answer to anybody");
        let help =
            "take it out: mailbox providers refuse it, and laws against misleading subjects do too";
        desk.say("subject-reply", at, message, help);
    }
}

fn shouting(desk: &mut Desk<'_>, at: (usize, usize), subject: &str) {
    let letters: Vec<char> = subject.chars().filter(|c| c.is_alphabetic()).collect();
    let cased = letters
        .iter()
        .filter(|c| c.is_lowercase() || c.is_uppercase());
    let words = subject.split_whitespace().count();
    let capitals =
        cased.clone().count() >= 10 && words > 1 && cased.clone().all(|c| c.is_uppercase());
    let marks = subject.matches(['!', '\u{ff01}']).count();
    let emoji = subject.chars().filter(|c| is_emoji(*c)).count();
    let what = if capitals {
        "is all in capitals".to_owned()
    } else if marks > 1 {
        format!("holds {marks} exclamation marks")
    } else if emoji > EMOJI {
        format!("holds {emoji} emoji")
    } else {
        return;
    };
    let help = "filters and readers take that for advertising";
    desk.say("subject-shouting", at, format!("the subject {what}"), help);
}

/// Pictographs; what only changes the one before (skin, gender, joiners) does not count.
fn is_emoji(c: char) -> bool {
    let skin = '\u{1f3fb}'..='\u{1f3ff}';
    matches!(c, '\u{1f300}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b50}' | '\u{2b55}')
        && !skin.contains(&c)
}

fn repeated(desk: &mut Desk<'_>, at: (usize, usize), subject: &str) {
    let same = |other: &str| plain(other) == plain(subject);
    let slug = &desk.inputs.issue.slug;
    let mut earlier = desk.inputs.facts.earlier.iter();
    if let Some(other) = earlier.find(|other| other.slug != *slug && same(&other.subject)) {
        let where_ = if other.sent { "went out with" } else { "has" };
        let message = format!("the issue `{}` {where_} the same subject", other.slug);
        let help = "mail programs put both into one thread; say what is new in this one";
        desk.say("subject-repeated", at, message, help);
    }
}

fn preheader(desk: &mut Desk<'_>, text: &str, subject: &str) {
    let front = &desk.inputs.issue.front;
    let (key, written) = match (&front.preheader, &front.teaser) {
        (Some(own), _) => ("preheader", own),
        (None, Some(teaser)) => ("teaser", teaser),
        (None, None) => ("title", &front.title),
    };
    let layout = desk.inputs.issue.layout.as_ref();
    let own = layout.and_then(|_| preview(&desk.inputs.issue.text));
    let (key, at) = match own {
        Some((start, words)) => ("preview", (start, words.len())),
        None => (key, value(desk, key, written)),
    };
    if text.is_empty() {
        let message =
            "there is no preheader: the inbox shows the first words of the mail".to_owned();
        let help = match layout {
            Some(_) => "write `<mj-preview>...`, one sentence that makes one open it",
            None => "add `preheader: ...`, one sentence that makes one open it",
        };
        desk.say("preheader-missing", at, message, help);
        return;
    }
    let count = text.chars().count();
    if !PREHEADER.contains(&count) {
        let (least, most) = (PREHEADER.start(), PREHEADER.end());
        let message =
            format!("the {key} has {count} characters; {least} to {most} fill an inbox row");
        let help = match key {
            "teaser" => "a `preheader: ...` of its own may stand beside the teaser",
            _ => "the row beside the subject is the second thing readers see",
        };
        desk.say("preheader-length", at, message, help);
    }
    let (own, other) = (plain(text), plain(subject));
    if own.starts_with(&other) || other.starts_with(&own) {
        let message = format!("the {key} says what the subject says");
        let help = "go on where the subject ends";
        desk.say("preheader-repeats", at, message, help);
    }
}

/// Letters and digits in lower case.
fn plain(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}
