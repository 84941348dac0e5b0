//! Mail that comes back to us.

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    /// Whether mail to the bounce domain is piped into `pressrun inbound`, so that issues offer a mailto, too.
    pub mailto: bool,
}
