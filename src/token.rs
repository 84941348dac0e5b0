//! Signed tokens: what stands behind every link and every envelope sender.
//!
//! Promises: fixed length per purpose, one encoding per claim, a purpose that cannot be taken for
//! another, a constant-time check, and a last character that auto-linkers keep. No address, list name
//! or URL inside: `version, key id, purpose, ids, HMAC-SHA-256 truncated to 128 bits`.
//! Leaves the keys to `keyring`, and what a claim is good for to whoever verified it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::id::{DeliveryKey, RunId, SubscriptionKey};
use crate::keyring::{Keyring, TAG};

const VERSION: u8 = 1;
const HEAD: usize = 3;
/// Octets of ids in the longest token: two keys and a sequence number, filled up.
const IDS: usize = 21;
const LONGEST: usize = HEAD + IDS + TAG;

/// What a token may be used for. The number goes on the wire and into the key derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Purpose {
    Open = 1,
    Click = 2,
    Unsubscribe = 3,
    Manage = 4,
    Confirm = 5,
    View = 6,
    Bounce = 7,
    Form = 8,
    Leave = 9,
}

impl Purpose {
    /// Every purpose, in the order of its number.
    pub const ALL: [Purpose; 9] = [
        Purpose::Open,
        Purpose::Click,
        Purpose::Unsubscribe,
        Purpose::Manage,
        Purpose::Confirm,
        Purpose::View,
        Purpose::Bounce,
        Purpose::Form,
        Purpose::Leave,
    ];

    /// The name that separates the derived keys.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Open => "open",
            Purpose::Click => "click",
            Purpose::Unsubscribe => "unsubscribe",
            Purpose::Manage => "manage",
            Purpose::Confirm => "confirm",
            Purpose::View => "view",
            Purpose::Bounce => "bounce",
            Purpose::Form => "form",
            Purpose::Leave => "leave",
        }
    }

    /// Octets of ids between the head and the tag.
    fn payload(self) -> usize {
        match self {
            Purpose::Open | Purpose::View | Purpose::Bounce => 12,
            Purpose::Click => 16,
            Purpose::Unsubscribe => IDS,
            Purpose::Manage | Purpose::Leave => 9,
            Purpose::Confirm => 12,
            Purpose::Form => 16,
        }
    }

    /// Characters of a token of this purpose as it stands in a URL.
    pub fn length(self) -> usize {
        let octets = HEAD + self.payload() + TAG;
        octets / 3 * 4 + [0, 2, 3][octets % 3]
    }
}

/// What a token says, once verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The pixel of one copy was loaded.
    Open(DeliveryKey),
    /// A link of one copy was followed: index into the run's frozen link table.
    Click(DeliveryKey, u32),
    /// One subscription may be ended; the copy that carried the link is named for the numbers.
    Unsubscribe(SubscriptionKey, DeliveryKey),
    /// One subscription may be managed.
    Manage(SubscriptionKey),
    /// A pending subscription may be confirmed; issued at this Unix second.
    Confirm(SubscriptionKey, u32),
    /// One copy may be read in the browser.
    View(DeliveryKey),
    /// A bounce belongs to this delivery (VERP).
    Bounce(DeliveryKey),
    /// A mail program may end one subscription by writing to an address.
    Leave(SubscriptionKey),
    /// The subscribe form was served: Unix second, nonce, keyed hash of the client's network.
    Form {
        issued: u32,
        nonce: u64,
        network: u32,
    },
}

impl Claim {
    /// The purpose this claim belongs to.
    pub fn purpose(&self) -> Purpose {
        match self {
            Claim::Open(_) => Purpose::Open,
            Claim::Click(..) => Purpose::Click,
            Claim::Unsubscribe(..) => Purpose::Unsubscribe,
            Claim::Manage(_) => Purpose::Manage,
            Claim::Confirm(..) => Purpose::Confirm,
            Claim::View(_) => Purpose::View,
            Claim::Bounce(_) => Purpose::Bounce,
            Claim::Form { .. } => Purpose::Form,
            Claim::Leave(_) => Purpose::Leave,
        }
    }

    fn write(&self, out: &mut Sealed) {
        match *self {
            Claim::Open(delivery) | Claim::View(delivery) | Claim::Bounce(delivery) => {
                write_delivery(out, delivery);
            }
            Claim::Click(delivery, link) => {
                write_delivery(out, delivery);
                out.push(&link.to_be_bytes());
            }
            Claim::Unsubscribe(subscription, delivery) => {
                out.push(&subscription.0.to_be_bytes());
                write_delivery(out, delivery);
            }
            Claim::Manage(subscription) | Claim::Leave(subscription) => {
                out.push(&subscription.0.to_be_bytes());
            }
            Claim::Confirm(subscription, issued) => {
                out.push(&subscription.0.to_be_bytes());
                out.push(&issued.to_be_bytes());
            }
            Claim::Form {
                issued,
                nonce,
                network,
            } => {
                out.push(&issued.to_be_bytes());
                out.push(&nonce.to_be_bytes());
                out.push(&network.to_be_bytes());
            }
        }
    }

    fn read(purpose: Purpose, payload: &[u8]) -> Option<Claim> {
        let mut rest = Reader(payload);
        let claim = match purpose {
            Purpose::Open => Claim::Open(rest.delivery()?),
            Purpose::View => Claim::View(rest.delivery()?),
            Purpose::Bounce => Claim::Bounce(rest.delivery()?),
            Purpose::Click => Claim::Click(rest.delivery()?, rest.u32()?),
            Purpose::Unsubscribe => Claim::Unsubscribe(rest.subscription()?, rest.delivery()?),
            Purpose::Manage => Claim::Manage(rest.subscription()?),
            Purpose::Leave => Claim::Leave(rest.subscription()?),
            Purpose::Confirm => Claim::Confirm(rest.subscription()?, rest.u32()?),
            Purpose::Form => Claim::Form {
                issued: rest.u32()?,
                nonce: u64::from_be_bytes(rest.take()?),
                network: rest.u32()?,
            },
        };
        rest.0.iter().all(|&byte| byte == 0).then_some(claim)
    }
}

/// Signs `claim` with the active key and writes it for a URL: base64url (RFC 4648, section 5) without padding, of the
/// [`Purpose::length`] of its purpose.
pub fn sign(keyring: &Keyring, claim: &Claim) -> String {
    sign_with(keyring, keyring.active(), claim)
}

/// As [`sign`], with a key that was active when the copy was first made, so that a copy comes out the
/// same after a rotation. The keyring must hold `kid` ([`Keyring::holds`]).
pub fn sign_with(keyring: &Keyring, kid: u8, claim: &Claim) -> String {
    let mut text = vec![0; claim.purpose().length()];
    write_token(&seal(keyring, kid, claim), &mut text);
    String::from_utf8(text).expect("base64 is ASCII")
}

/// Appends what [`sign_with`] gives.
pub fn append_with(keyring: &Keyring, kid: u8, claim: &Claim, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + claim.purpose().length(), 0);
    write_token(&seal(keyring, kid, claim), &mut out[start..]);
}

fn write_token(sealed: &Sealed, text: &mut [u8]) {
    let written = URL_SAFE_NO_PAD.encode_slice(sealed.octets(), text);
    written.expect("the text has the length of its purpose");
}

/// Signs `claim` for the local part of an envelope sender: lower-case base32 (RFC 4648, section 6)
/// without padding, because relays may change the case of a local part.
pub fn sign_local_part(keyring: &Keyring, claim: &Claim) -> String {
    sign_local_part_with(keyring, keyring.active(), claim)
}

/// As [`sign_local_part`], with a key that was active when the copy was first made.
pub fn sign_local_part_with(keyring: &Keyring, kid: u8, claim: &Claim) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &byte in seal(keyring, kid, claim).octets() {
        bits = bits << 8 | u32::from(byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(ALPHABET[(bits >> held & 31) as usize]));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        text.push(char::from(ALPHABET[(bits << (5 - held) & 31) as usize]));
    }
    text
}

/// The claim behind `text`, if it was signed for `purpose` by a key that still verifies.
/// Every other text gives the same `None`: malformed, foreign, forged and revoked look alike.
pub fn verify(keyring: &Keyring, purpose: Purpose, text: &str) -> Option<Claim> {
    if text.len() != purpose.length() {
        return None;
    }
    // The engine refuses padding and spare bits that are not zero: one encoding per token.
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    open(keyring, purpose, &bytes)
}

/// As [`verify`], for a local part in any case.
pub fn verify_local_part(keyring: &Keyring, purpose: Purpose, text: &str) -> Option<Claim> {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in text.bytes() {
        let value = match letter.to_ascii_lowercase() {
            letter @ b'a'..=b'z' => letter - b'a',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 255) as u8);
            bits &= (1 << held) - 1;
        }
    }
    if bits != 0 || held >= 5 || bytes.len() != HEAD + purpose.payload() + TAG {
        return None;
    }
    open(keyring, purpose, &bytes)
}

/// The octets of a token: no purpose has more than these.
struct Sealed {
    octets: [u8; LONGEST],
    length: usize,
}

impl Sealed {
    fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    fn push(&mut self, octets: &[u8]) {
        self.octets[self.length..][..octets.len()].copy_from_slice(octets);
        self.length += octets.len();
    }
}

fn seal(keyring: &Keyring, kid: u8, claim: &Claim) -> Sealed {
    let purpose = claim.purpose();
    let mut sealed = Sealed {
        octets: [0; LONGEST],
        length: 0,
    };
    sealed.push(&[VERSION, kid, purpose as u8]);
    claim.write(&mut sealed);
    // A length that is no multiple of three leaves spare bits in the last character, which is then
    // a letter or a digit: auto-linkers drop a trailing `-` or `_`.
    sealed.length = HEAD + purpose.payload();
    let tag = keyring.tag(kid, purpose, sealed.octets());
    sealed.push(&tag);
    sealed
}

fn open(keyring: &Keyring, purpose: Purpose, bytes: &[u8]) -> Option<Claim> {
    let (signed, tag) = bytes.split_at_checked(HEAD + purpose.payload())?;
    let &[version, kid, kind] = signed.first_chunk::<HEAD>()?;
    if !keyring.check(kid, purpose, signed, tag) || version != VERSION || kind != purpose as u8 {
        return None;
    }
    Claim::read(purpose, &signed[HEAD..])
}

fn write_delivery(out: &mut Sealed, delivery: DeliveryKey) {
    out.push(&delivery.run.0.to_be_bytes());
    out.push(&delivery.seq.to_be_bytes());
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn subscription(&mut self) -> Option<SubscriptionKey> {
        self.take().map(i64::from_be_bytes).map(SubscriptionKey)
    }

    fn delivery(&mut self) -> Option<DeliveryKey> {
        let run = RunId(self.take().map(i64::from_be_bytes)?);
        let seq = self.u32()?;
        Some(DeliveryKey { run, seq })
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, Purpose, sign, sign_local_part, verify, verify_local_part};
    use crate::chance::Chance;
    use crate::clock::Timestamp;
    use crate::id::{DeliveryKey, RunId, SubscriptionKey};
    use crate::keyring::Keyring;

    fn keyring() -> Keyring {
        Keyring::generate(&Chance::seeded(7), Timestamp(0))
    }

    fn claims() -> Vec<Claim> {
        let delivery = DeliveryKey {
            run: RunId(3),
            seq: 70_000,
        };
        let subscription = SubscriptionKey(0x0123_4567_89ab_cdef);
        vec![
            Claim::Open(delivery),
            Claim::Click(delivery, 12),
            Claim::Unsubscribe(subscription, delivery),
            Claim::Manage(subscription),
            Claim::Confirm(subscription, 1_700_000_000),
            Claim::View(delivery),
            Claim::Bounce(delivery),
            Claim::Form {
                issued: 1_700_000_000,
                nonce: 9,
                network: 5,
            },
            Claim::Leave(subscription),
        ]
    }

    #[test]
    fn a_token_gives_back_its_claim_and_ends_in_a_letter_or_digit() {
        let keyring = keyring();
        for claim in claims() {
            let text = sign(&keyring, &claim);
            assert_eq!(text.len(), claim.purpose().length());
            assert!(
                text.ends_with(|c: char| c.is_ascii_alphanumeric()),
                "{text}"
            );
            assert_eq!(verify(&keyring, claim.purpose(), &text), Some(claim));
        }
    }

    #[test]
    fn no_flipped_bit_no_other_purpose_and_no_other_spelling_is_accepted() {
        let keyring = keyring();
        for claim in claims() {
            let text = sign(&keyring, &claim);
            for purpose in Purpose::ALL {
                let expected = (purpose == claim.purpose()).then_some(claim);
                assert_eq!(verify(&keyring, purpose, &text), expected);
            }
            for place in 0..text.len() {
                for bit in 0..7 {
                    let mut bytes = text.clone().into_bytes();
                    bytes[place] ^= 1 << bit;
                    if let Ok(other) = String::from_utf8(bytes) {
                        assert_eq!(verify(&keyring, claim.purpose(), &other), None, "{other}");
                    }
                }
            }
            for other in [format!("{text}="), format!("{text}A"), text[1..].to_owned()] {
                assert_eq!(verify(&keyring, claim.purpose(), &other), None);
            }
        }
    }

    #[test]
    fn an_envelope_sender_survives_a_change_of_case_and_fits_sixty_four_octets() {
        let keyring = keyring();
        let leave = sign_local_part(&keyring, &claims()[8]);
        assert!("leave+".len() + leave.len() <= 64, "{leave}");
        let claim = claims()[6];
        let text = sign_local_part(&keyring, &claim);
        assert!("bounce+".len() + text.len() <= 64, "{text}");
        for spelling in [text.clone(), text.to_ascii_uppercase()] {
            assert_eq!(
                verify_local_part(&keyring, Purpose::Bounce, &spelling),
                Some(claim)
            );
        }
        for place in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[place] ^= 1 << bit;
                // The case is no part of it.
                if let Ok(other) = String::from_utf8(bytes)
                    && !other.eq_ignore_ascii_case(&text)
                {
                    assert_eq!(
                        verify_local_part(&keyring, Purpose::Bounce, &other),
                        None,
                        "{other}"
                    );
                }
            }
        }
        for purpose in Purpose::ALL {
            let expected = (purpose == Purpose::Bounce).then_some(claim);
            assert_eq!(verify_local_part(&keyring, purpose, &text), expected);
        }
        for other in [format!("{text}a"), text[1..].to_owned(), format!("{text}=")] {
            assert_eq!(
                verify_local_part(&keyring, Purpose::Bounce, &other),
                None,
                "{other}"
            );
        }
    }

    #[test]
    fn a_foreign_keyring_and_a_revoked_key_open_nothing() {
        let mut keyring = keyring();
        let claim = claims()[0];
        let text = sign(&keyring, &claim);
        let foreign = Keyring::generate(&Chance::seeded(8), Timestamp(0));
        assert_eq!(verify(&foreign, Purpose::Open, &text), None);
        keyring.rotate(&Chance::seeded(9), Timestamp(1));
        assert_eq!(verify(&keyring, Purpose::Open, &text), Some(claim));
        assert_ne!(sign(&keyring, &claim), text);
        keyring.revoke(1);
        assert_eq!(verify(&keyring, Purpose::Open, &text), None);
    }
}
