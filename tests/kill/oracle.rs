//! The judge: what the sink accepted against what the ledger says.

use std::collections::{BTreeMap, BTreeSet};

/// What one run came to. Addresses, so that a fault can be followed in the logs.
#[derive(Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Different readers whose message the sink accepted.
    pub accepted: usize,
    /// Neither accepted by the sink nor named as uncertain.
    pub lost: Vec<String>,
    /// Accepted more than once.
    pub doubled: Vec<String>,
    /// The ledger says sent, the sink knows nothing.
    pub false_sent: Vec<String>,
    pub uncertain: usize,
    /// Uncertain ones that the sink did accept: the doubt was right either way.
    pub uncertain_accepted: usize,
}

/// Judges by `accepted`, the recipients of the sink's log, one entry per message.
pub fn judge(
    everyone: &BTreeSet<String>,
    accepted: &[String],
    sent: &BTreeSet<String>,
    uncertain: &BTreeSet<String>,
) -> Judgement {
    let mut times: BTreeMap<&String, usize> = BTreeMap::new();
    for reader in accepted {
        *times.entry(reader).or_default() += 1;
    }
    let missing = |reader: &&String| !times.contains_key(*reader);
    let doubled = times.iter().filter(|&(_, &times)| times > 1);
    Judgement {
        accepted: times.len(),
        lost: everyone
            .difference(uncertain)
            .filter(missing)
            .cloned()
            .collect(),
        doubled: doubled.map(|(reader, _)| (*reader).clone()).collect(),
        false_sent: sent.iter().filter(missing).cloned().collect(),
        uncertain: uncertain.len(),
        uncertain_accepted: uncertain.iter().filter(|reader| !missing(reader)).count(),
    }
}

#[test]
fn the_judge_sees_each_kind_of_fault() {
    let set = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<BTreeSet<_>>();
    let list = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
    let everyone = set(&["ann", "bob", "cyd", "dan", "eve"]);
    let log = list(&["ann", "bob", "bob", "dan"]);
    // Bob was mailed twice, Cyd is said to be sent and was not, Dan's doubt was unfounded, Eve's not.
    let sent = set(&["ann", "bob", "cyd"]);
    let uncertain = set(&["dan", "eve"]);
    let expected = Judgement {
        accepted: 3,
        lost: list(&["cyd"]),
        doubled: list(&["bob"]),
        false_sent: list(&["cyd"]),
        uncertain: 2,
        uncertain_accepted: 1,
    };
    assert_eq!(judge(&everyone, &log, &sent, &uncertain), expected);
}
