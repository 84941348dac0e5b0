//! DKIM signatures (RFC 6376) by aws-lc-rs.
