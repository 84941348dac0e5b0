//! The sink's side of AUTH PLAIN and AUTH LOGIN (RFC 4954).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Conversation, Mode};
use crate::smtp::sink::script::Point;

impl Conversation {
    /// Begins an exchange, or finishes it where the answer came along.
    pub(super) fn auth(&mut self, rest: &str) {
        if self.shared.options.auth.is_none() {
            return self.say("503 5.5.1 no authentication here");
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        match (mechanism.to_ascii_uppercase().as_str(), initial) {
            ("PLAIN", "") => {
                self.expect(Mode::AuthPlain);
                self.say("334 ");
            }
            ("PLAIN", response) => self.plain(response),
            ("LOGIN", _) => {
                self.expect(Mode::LoginUser);
                self.say("334 VXNlcm5hbWU6");
            }
            _ => self.say("504 5.5.4 unknown mechanism"),
        }
    }

    /// The next line of an exchange.
    pub(super) fn go_on_with_auth(&mut self, line: &str) {
        match self.expected() {
            Mode::AuthPlain => self.plain(line),
            Mode::LoginUser => {
                self.expect(Mode::LoginPassword(decode(line)));
                self.say("334 UGFzc3dvcmQ6");
            }
            Mode::LoginPassword(user) => self.judge(&user, &decode(line)),
            Mode::Command | Mode::Message { .. } | Mode::Chunk(_) => {}
        }
    }

    fn plain(&mut self, response: &str) {
        let response = decode(response);
        let mut parts = response.split('\0').skip(1);
        let user = parts.next().unwrap_or_default().to_owned();
        let password = parts.next().unwrap_or_default().to_owned();
        self.judge(&user, &password);
    }

    fn judge(&mut self, user: &str, password: &str) {
        let expected = self.shared.options.auth.as_ref();
        let right = expected.is_some_and(|(name, secret)| name == user && secret == password);
        let default = match right {
            true => "235 2.7.0 welcome",
            false => "535 5.7.8 wrong user or password",
        };
        let script = self.shared.script();
        self.authenticated = self.answer(Point::Auth, &script, default) == 235;
    }
}

fn decode(text: &str) -> String {
    let bytes = STANDARD.decode(text.trim()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
