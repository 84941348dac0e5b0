//! An envelope sender tried on a relay before any mail: MAIL, its answer, and RSET.
//!
//! Promises: no recipient is named and no message offered, so that nobody is probed and nothing can be sent by it.

use crate::reply::{Reply, Stage};
use crate::smtp::error::SessionError;
use crate::smtp::session::{RSET, Session, Step, misused};
use crate::smtp::wire::deadline;

impl Session {
    /// What the relay says to `sender` of a message of `size` octets; RFC 1870 lets it refuse the size here, too. Only
    /// with nothing outstanding; a transaction may follow.
    pub async fn try_sender(&mut self, sender: &str, size: usize) -> Result<Reply, SessionError> {
        self.enter()?;
        let result = self.sender_answer(sender, size).await;
        self.leave(result)
    }

    async fn sender_answer(&mut self, sender: &str, size: usize) -> Result<Reply, SessionError> {
        let idle = self.expected.is_empty() && self.offered.is_none() && !self.open;
        if !idle || self.dot.is_some() || !self.window.is_empty() {
            return Err(misused("a sender was tried in the middle of a transaction"));
        }
        self.until = deadline(self.message_timeout);
        let mail = match self.capabilities.size {
            Some(_) => format!("MAIL FROM:<{sender}> SIZE={size}\r\n"),
            None => format!("MAIL FROM:<{sender}>\r\n"),
        };
        let step = Step::Ask(Stage::Mail);
        self.queue(step, mail.as_bytes());
        let reply = self.exchange(step).await?;
        if !matches!(reply.code, 250 | 400..=599) {
            return Err(self.out_of_step(step, reply));
        }
        self.queue(Step::Reset, RSET);
        let reset = self.exchange(Step::Reset).await?;
        match reset.code {
            250 => Ok(reply),
            _ => Err(self.out_of_step(Step::Reset, reset)),
        }
    }
}
