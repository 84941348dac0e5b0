//! Items: their numbers, and parts of whole items for some readers.
//!
//! Promises: every item knows whom it is for; nothing that stands in such a part, or behind it, goes to anybody
//! else. Numbers are those of a reader who gets everything; how many of the items above others do not see is kept
//! beside them.

use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};

use crate::issue::block::{Block, Inline, plain_text};
use crate::issue::directive::{Directive, Kind};
use crate::issue::notes::Whom;
use crate::issue::{Assembly, Item};
use crate::segment::Sieve;

/// A part of whole items for some readers, while it is read.
pub(super) struct Part {
    /// Where its closing line begins.
    close: usize,
    /// Absent where the segment means nothing, which was told.
    whom: Option<Whom>,
}

impl Assembly<'_> {
    /// Whether items begin in what a directive holds: then it is a part of whole items.
    pub(super) fn holds_items(&self, directive: &Directive) -> bool {
        let content = directive.content();
        let within = self.reader.rest().iter();
        let mut within = within.take_while(|(_, range)| range.start < content.end);
        directive.kind == Kind::Only
            && within.any(|(event, range)| content.contains(&range.start) && is_headline(event))
    }

    /// Begins a part of whole items, whose opening line comes next.
    pub(super) fn enter(&mut self, directive: &Directive) {
        self.reader.skip();
        let whom = self.whom(directive);
        self.reader.notes.whom.extend(whom.clone());
        let close = directive.close.start;
        self.parts.push(Part { close, whom });
        self.behind = false;
        let next = self.reader.rest().first();
        let Some((_, range)) = next.filter(|(event, range)| {
            let inner = self.masked.directive(range.start);
            !is_headline(event) && inner.is_none_or(|inner| !self.holds_items(inner))
        }) else {
            return;
        };
        let offset = self.reader.base + range.start;
        let message = "these words stand above the first `##` of their part";
        let error = self.reader.source.error(offset, "directive", message);
        let help = "put them below it, or into an `:::only` of their own";
        self.reader.found.push(error.help(help));
    }

    /// Ends the part of whole items whose closing line stands at `at`, and says whether that was all.
    pub(super) fn leaves(&mut self, at: usize) -> bool {
        let Some(part) = self.parts.pop_if(|part| part.close <= at) else {
            return false;
        };
        if part.whom.is_some() {
            self.reader.notes.whom.pop();
        }
        self.behind = true;
        if part.close == at {
            self.reader.skip();
        }
        true
    }

    /// Tells words behind a part of whole items that belong to none.
    pub(super) fn has_home(&mut self, blocks: &[Block], in_outro: bool, at: usize) {
        if !self.behind || in_outro || blocks.is_empty() {
            return;
        }
        self.behind = false;
        let offset = self.reader.base + at;
        let message = "these words belong to no item: the part above ended with its items";
        let error = self.reader.source.error(offset, "directive", message);
        let help = "begin an item with `##`, or write `***` before what closes the issue";
        self.reader.found.push(error.help(help));
    }

    /// Whom an item that begins here is for.
    fn whom_now(&mut self) -> Vec<Whom> {
        self.behind = false;
        let parts = self.parts.iter();
        parts.filter_map(|part| part.whom.clone()).collect()
    }

    /// Who sees numbered items above that another reader of this one does not; this one is counted for those below.
    fn counted(&mut self, whom: &[Whom]) -> Vec<(Sieve, usize)> {
        let known = |sieve: &Sieve| whom.iter().any(|(own, _)| own == sieve);
        let others = self
            .hidden
            .iter()
            .filter(|(chain, _)| !chain.iter().all(known));
        let unseen = others.map(|(chain, count)| (Sieve::all(chain), *count));
        let unseen = unseen.collect();
        let chain: Vec<Sieve> = whom.iter().map(|(sieve, _)| sieve.clone()).collect();
        match self.hidden.iter_mut().find(|(known, _)| *known == chain) {
            _ if chain.is_empty() => {}
            Some((_, count)) => *count += 1,
            None => self.hidden.push((chain, 1)),
        }
        unseen
    }

    /// The item whose headline was just opened.
    pub(super) fn item(&mut self, plain: bool, offset: usize) -> Item {
        // Links of the headline are named before its number is known to be there.
        self.reader.place = (self.sequence + 1).to_string();
        let mut headline = self.reader.headline(TagEnd::Heading(HeadingLevel::H2));
        if headline.is_empty() {
            self.reader
                .error(offset, "headline", "this item has no headline");
        }
        if plain {
            self.section = true;
            self.reader.place = plain_text(&headline).chars().take(40).collect();
            return Item {
                number: None,
                headline,
                offset,
                blocks: Vec::new(),
                whom: self.whom_now(),
                unseen: Vec::new(),
            };
        }
        let expected = self.sequence + 1;
        let own = own_number(&mut headline);
        if own.is_none() && touches_number(&headline, expected) {
            let message =
                format!("the number {expected} is printed twice: it touches its headline");
            let warning = self.reader.source.warning(offset, "number", message);
            let help = format!("leave a blank behind it, `{expected}. ...`, or take it out");
            self.reader.found.push(warning.help(help));
        }
        self.sequence = own.unwrap_or(expected);
        let anew = std::mem::take(&mut self.section) && self.sequence == 1;
        if self.sequence != expected && !anew {
            let message = format!("item {} stands where {expected} is expected", self.sequence);
            self.reader
                .found
                .push(self.reader.source.warning(offset, "number", message));
        }
        self.reader.place = self.sequence.to_string();
        if anew {
            self.hidden.clear();
        }
        let whom = self.whom_now();
        let unseen = self.counted(&whom);
        Item {
            number: Some(self.sequence),
            headline,
            offset,
            blocks: Vec::new(),
            whom,
            unseen,
        }
    }
}

/// Whether an item begins here.
pub(super) fn is_headline(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Start(Tag::Heading {
            level: HeadingLevel::H2,
            ..
        })
    )
}

/// Takes the number an author wrote before a headline, as in `3. headline` or `3) headline`.
fn own_number(headline: &mut Vec<Inline>) -> Option<usize> {
    let more = headline.len() > 1;
    let Some(Inline::Text(text)) = headline.first_mut() else {
        return None;
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || digits > 3 {
        return None;
    }
    let rest = text[digits..].strip_prefix(['.', ')', ':'])?;
    let rest = rest.strip_prefix(' ')?.trim_start();
    let number = text[..digits].parse().ok()?;
    match (rest.is_empty(), more) {
        (true, false) => return None,
        // A link, bold words or a slot begin right behind it.
        (true, true) => {
            headline.remove(0);
        }
        (false, _) => *text = rest.to_owned(),
    }
    Some(number)
}

/// Whether a headline begins with its own number, as in `3.Headline`; `3.x` may be one of versions.
fn touches_number(headline: &[Inline], number: usize) -> bool {
    let Some(Inline::Text(text)) = headline.first() else {
        return false;
    };
    let rest = text.strip_prefix(&number.to_string());
    let rest = rest.and_then(|rest| rest.strip_prefix(['.', ')', ':']));
    let mut words = rest.unwrap_or_default().chars();
    words.next().is_some_and(char::is_uppercase) && words.next().is_some_and(char::is_lowercase)
}
