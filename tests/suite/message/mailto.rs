//! Leaving by mail: an address beside the https link, where somebody reads that mail.

use pressrun::chance::Chance;
use pressrun::clock::Timestamp;
use pressrun::id::SubscriptionKey;
use pressrun::message::copy::CopyRecord;
use pressrun::token::{Claim, Purpose, verify_local_part};

use super::{Fixture, reader, values};

#[test]
fn a_mailto_stands_behind_the_https_link_and_is_folded_at_the_comma_only() {
    let mut fixture = Fixture::new();
    fixture.headers.mailto = true;
    let text = fixture.text(&reader());
    let field = values(&text, "List-Unsubscribe").remove(0);
    let ways: Vec<&str> = field.split(", ").collect();
    assert_eq!(ways.len(), 2, "{field}");
    assert!(
        ways[0].starts_with("<https://") && ways[0].ends_with('>'),
        "{field}"
    );
    let address = ways[1].strip_prefix("<mailto:leave+").expect("a mailto");
    let (token, domain) = address.split_once('@').expect("an address");
    assert_eq!(domain, "bounce.example.com>");
    assert!("leave+".len() + token.len() <= 64, "{token}");
    assert_eq!(
        verify_local_part(&fixture.keyring, Purpose::Leave, token),
        Some(Claim::Leave(SubscriptionKey(0x0123_4567_89ab_cdef)))
    );
    let lines = text
        .split("\r\n")
        .filter(|line| line.contains("/u/") && line.starts_with("List-"));
    assert!(
        lines
            .clone()
            .all(|line| line.ends_with(">,") && line.len() <= 998)
    );
    assert_eq!(lines.count(), 1);
    // A rotation does not change what a copy said.
    let stored = CopyRecord::from_json(&reader().to_json()).expect("a stored copy");
    fixture.keyring.rotate(&Chance::seeded(9), Timestamp(1));
    assert_eq!(fixture.text(&stored), text);
}
