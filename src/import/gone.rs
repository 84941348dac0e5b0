//! Whose mailbox a file says to be gone, whichever row says it and under whichever spelling of the mailbox.
//!
//! Promises: what a row means does not hang on its place in the file, nor on which rows are taken together; twelve octets
//! of each who is gone at most, and none where no row can say it. Leaves who is kept out to `decide`.

use anyhow::Context;

use crate::address::EmailAddress;
use crate::import::parse::Parser;
use crate::import::seen::Seen;
use crate::import::services::Standing;
use crate::store::import::Wanted;

/// Mailboxes that a file says to be gone.
pub(super) struct Gone {
    left: Seen,
    /// Complained, or kept out.
    refused: Seen,
    any: bool,
}

impl Gone {
    pub(super) fn nobody() -> Gone {
        Gone {
            left: Seen::new(),
            refused: Seen::new(),
            any: false,
        }
    }

    fn note(&mut self, mailbox: &[u8; 32], standing: Standing) {
        self.any = true;
        match standing {
            Standing::Left => self.left.insert(mailbox),
            _ => self.refused.insert(mailbox),
        };
    }

    /// How the mailbox of this address stands: left, blocked, or joined where the file says nothing of it.
    pub(super) fn standing(&self, wanted: &Wanted) -> Standing {
        if !self.any {
            return Standing::Joined;
        }
        let mailbox = wanted.mailbox.as_ref();
        let hash = mailbox.map_or(&wanted.hash, |(_, hash)| hash);
        match (self.refused.holds(hash), self.left.holds(hash)) {
            (true, _) => Standing::Blocked,
            (false, true) => Standing::Left,
            (false, false) => Standing::Joined,
        }
    }
}

/// The parser again, knowing whom its file says to be gone.
pub(super) async fn look(parser: Parser) -> anyhow::Result<Parser> {
    let mut parser = parser;
    let look = move || -> anyhow::Result<Parser> {
        parser.gone = found(&parser)?;
        Ok(parser)
    };
    let looked = tokio::task::spawn_blocking(look).await;
    looked.context("the reading thread")?
}

fn found(parser: &Parser) -> anyhow::Result<Gone> {
    let mut gone = Gone::nobody();
    let tables = &parser.source.tables;
    // Where all are gone, nobody is to be kept out.
    if tables.iter().all(|table| table.columns.standing().ends()) {
        return Ok(gone);
    }
    for table in tables.iter().filter(|table| table.columns.may_end()) {
        parser.source.read(table, |records| {
            while let Some(record) = records.read()? {
                if let Some((address, standing)) = table.columns.gone(record) {
                    gone.note(&parser.mailbox(&address), standing);
                }
            }
            Ok(())
        })?;
    }
    Ok(gone)
}

impl Parser {
    fn mailbox(&self, address: &EmailAddress) -> [u8; 32] {
        self.keyring.address_hash(&address.mailbox())
    }
}
