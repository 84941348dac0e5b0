//! How a sink misbehaves, written as words joined by `+`: in a recipient's local part, or for all.
//!
//! Promises: one grammar for both; [`HELP`] documents it. Leaves acting it out to the conversation.

use std::time::Duration;

use crate::config::parse_duration;

/// The grammar, for people.
pub const HELP: &str = "\
Scripts: words after a `+` in a recipient's local part, for example `ann+450@example.com`
or `bob+grey-2+slow-500ms@example.com`; the same words for all mail by --script.
  450, 550-5.1.1         answer RCPT so (code, then perhaps an enhanced status)
  mail-451, data-421-4.7.28, dot-554
                         answer MAIL, DATA or the final dot so; MAIL comes before the recipient
                         is known, so without pipelining its word is read from the sender;
                         where a message comes by BDAT, the words of DATA and the dot are for it
  grey-2                 450 to the first two tries of this recipient
  cut-before-dot         354, then the connection is cut
  cut-after-dot          the message is taken, then the connection is cut without an answer
  drop-after-dot         the connection is cut after the dot, and the message is not taken
  slow-500ms, drip-10ms  answer the dot late, or one octet at a time
  latin1, longline, multi, garbage
                         answer the dot with octets that are no UTF-8, with a line that never
                         ends, with several lines (all three take the message), or with no reply
                         at all (which does not)
  early                  answer the dot together with DATA, and again when it comes
  twice-dot              answer the dot (or twice-mail, -rcpt, -data) twice
For all mail only:
  greeting-554, ehlo-502, starttls-454, auth-535
                         answer the opening so
  inject                 clear text behind the answer to STARTTLS
  hide-starttls          do not offer STARTTLS
  no-plain               offer AUTH LOGIN only
  after-100              421 to MAIL after 100 messages of a connection
  again-2s               scripted refusals ask to come again in 2 seconds
";

/// A point of the conversation that can be answered by script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    Greeting,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Dot,
}

/// A scripted reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: u16,
    pub enhanced: Option<String>,
}

/// Where the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    BeforeDot,
    /// The message is taken, and nobody is told.
    AfterDot,
    /// The message is not taken, and nobody is told.
    Dropped,
}

/// How the answer to a dot looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Plain,
    Latin1,
    LongLine,
    Multi,
    Garbage,
}

/// Faults to act out; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    answers: Vec<(Point, Answer)>,
    twice: Vec<Point>,
    pub grey: u32,
    pub cut: Option<Cut>,
    pub slow: Duration,
    pub drip: Duration,
    pub manner: Manner,
    pub early: bool,
    pub inject: bool,
    pub hide_starttls: bool,
    pub no_plain: bool,
    pub after: Option<u32>,
    /// What scripted refusals ask us to wait.
    pub again: Option<Duration>,
}

impl Script {
    /// Reads words joined by `+`; an unknown word is an error.
    pub fn parse(text: &str) -> Result<Script, String> {
        let mut script = Script::default();
        for word in text.split('+').filter(|word| !word.is_empty()) {
            if !script.add(word) {
                return Err(format!(
                    "`{word}` is no word of a script; `pressrun sink --help` lists them"
                ));
            }
        }
        Ok(script)
    }

    /// What the local part of `address` asks for: words behind its first `+` that are known.
    pub fn of_address(address: &str) -> Script {
        let mut script = Script::default();
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        for word in local.split('+').skip(1) {
            script.add(word);
        }
        script
    }

    /// The scripted answer at `point`.
    pub fn answer(&self, point: Point) -> Option<&Answer> {
        let mut answers = self.answers.iter();
        let found = answers.find(|(at, _)| *at == point);
        found.map(|(_, answer)| answer)
    }

    /// Whether the answer at `point` is given twice.
    pub fn is_twice(&self, point: Point) -> bool {
        self.twice.contains(&point)
    }

    /// This script, and where it says nothing, `other`.
    pub fn or(mut self, other: &Script) -> Script {
        self.answers.extend(other.answers.iter().cloned());
        self.twice.extend(&other.twice);
        Script {
            grey: self.grey.max(other.grey),
            cut: self.cut.or(other.cut),
            slow: self.slow.max(other.slow),
            drip: self.drip.max(other.drip),
            manner: match self.manner {
                Manner::Plain => other.manner,
                manner => manner,
            },
            early: self.early || other.early,
            inject: self.inject || other.inject,
            hide_starttls: self.hide_starttls || other.hide_starttls,
            no_plain: self.no_plain || other.no_plain,
            after: self.after.or(other.after),
            again: self.again.or(other.again),
            ..self
        }
    }

    fn add(&mut self, word: &str) -> bool {
        match word {
            "cut-before-dot" => self.cut = Some(Cut::BeforeDot),
            "cut-after-dot" => self.cut = Some(Cut::AfterDot),
            "drop-after-dot" => self.cut = Some(Cut::Dropped),
            "latin1" => self.manner = Manner::Latin1,
            "longline" => self.manner = Manner::LongLine,
            "multi" => self.manner = Manner::Multi,
            "garbage" => self.manner = Manner::Garbage,
            "early" => self.early = true,
            "inject" => self.inject = true,
            "hide-starttls" => self.hide_starttls = true,
            "no-plain" => self.no_plain = true,
            _ => return self.add_valued(word).is_some(),
        }
        true
    }

    fn add_valued(&mut self, word: &str) -> Option<()> {
        if let Some(answer) = Answer::parse(word) {
            self.answers.push((Point::Rcpt, answer));
            return Some(());
        }
        let (name, value) = word.split_once('-')?;
        match name {
            "grey" => self.grey = value.parse().ok()?,
            "after" => self.after = Some(value.parse().ok()?),
            "again" => self.again = Some(parse_duration(value).ok()?),
            "slow" => self.slow = parse_duration(value).ok()?,
            "drip" => self.drip = parse_duration(value).ok()?,
            "twice" => self.twice.push(Point::parse(value)?),
            _ => {
                let point = Point::parse(name)?;
                self.answers.push((point, Answer::parse(value)?));
            }
        }
        Some(())
    }
}

impl Point {
    fn parse(name: &str) -> Option<Point> {
        Some(match name {
            "greeting" => Point::Greeting,
            "ehlo" => Point::Ehlo,
            "starttls" => Point::StartTls,
            "auth" => Point::Auth,
            "mail" => Point::Mail,
            "rcpt" => Point::Rcpt,
            "data" => Point::Data,
            "dot" => Point::Dot,
            _ => return None,
        })
    }
}

impl Answer {
    /// Reads `450` or `450-4.7.1`.
    fn parse(text: &str) -> Option<Answer> {
        let (code, enhanced) = match text.split_once('-') {
            Some((code, enhanced)) => (code, Some(enhanced)),
            None => (text, None),
        };
        let digits = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        let code: u16 = code.parse().ok()?;
        let status = enhanced.is_none_or(|status| {
            status.split('.').count() == 3
                && status.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        });
        (digits && (200..600).contains(&code) && status).then(|| Answer {
            code,
            enhanced: enhanced.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, Cut, Point, Script};

    #[test]
    fn a_local_part_is_a_script() {
        let script = Script::of_address("ann+grey-2+data-421-4.7.28+slow-500ms+news@example.com");
        assert_eq!(script.grey, 2);
        assert_eq!(script.slow, Duration::from_millis(500));
        let expected = Answer {
            code: 421,
            enhanced: Some("4.7.28".into()),
        };
        assert_eq!(script.answer(Point::Data), Some(&expected));
        assert_eq!(script.answer(Point::Rcpt), None);
        assert_eq!(Script::of_address("450@example.com"), Script::default());
        assert!(
            Script::of_address("a+550@example.com")
                .answer(Point::Rcpt)
                .is_some()
        );
    }

    #[test]
    fn an_unknown_word_is_an_error_where_a_person_wrote_it() {
        for text in [
            "nonsense",
            "dot-99",
            "dot-7000",
            "grey-x",
            "mail-450-x",
            "twice-quit",
        ] {
            assert!(Script::parse(text).is_err(), "{text}");
        }
        assert!(Script::parse("auth-535+after-100").is_ok());
    }

    #[test]
    fn a_recipient_is_heard_before_the_rule_for_all() {
        let all = Script::parse("dot-554+cut-after-dot").expect("a script");
        let one = Script::parse("dot-250").expect("a script").or(&all);
        assert_eq!(one.answer(Point::Dot).map(|answer| answer.code), Some(250));
        assert_eq!(one.cut, Some(Cut::AfterDot));
    }
}
