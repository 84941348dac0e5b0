//! What an import came to, as it is kept with it and told to people.
//!
//! Promises: an import that was broken off, or that an older program kept, is read as far as it says something.

use serde::Deserialize;

use crate::import::decide::Tally;
use crate::import::{Reject, Summary};

/// What is kept of an import.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Outcome {
    #[serde(flatten)]
    pub tally: Tally,
    pub rows: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub undated: u64,
    pub undated_as: String,
    pub cut: u64,
    pub cut_as: String,
    pub unfit: u64,
    pub unfit_as: String,
    /// The first rejected rows.
    pub rejects: Vec<Reject>,
    pub tables: Vec<String>,
    pub passed_over: Vec<String>,
    pub ignored_columns: Vec<String>,
    pub note: String,
}

impl Outcome {
    /// Reads what is kept; nothing where it says nothing yet.
    pub fn read(kept: &str) -> Outcome {
        serde_json::from_str(kept).unwrap_or_default()
    }

    /// What whoever imports must know of it: of the service, of times that nobody understands, of what is cut, and of
    /// what is no value of its field.
    pub fn notes(&self) -> Vec<String> {
        let undated = format!(
            "when a reader joined is not understood in {} rows (in the first of them, {}): they count as imported \
             today; `2024-03-04` is understood",
            self.undated, self.undated_as
        );
        let cut = format!(
            "of {} cells less is kept than they hold (the first is {}): what is longer is cut off",
            self.cut, self.cut_as
        );
        let unfit = format!(
            "{} cells are no value of their field and are left out (the first {})",
            self.unfit, self.unfit_as
        );
        let notes = [
            (!self.note.is_empty(), &self.note),
            (self.undated > 0, &undated),
            (self.cut > 0, &cut),
            (self.unfit > 0, &unfit),
        ];
        let said = notes.into_iter().filter(|(is_said, _)| *is_said);
        said.map(|(_, note)| note.clone()).collect()
    }

    /// What changed, in numbers and words: `+412 new`, `88 known`. What did not happen is not worth a word.
    pub fn parts(&self) -> Vec<(u64, &'static str)> {
        let Tally {
            confirmed,
            updated,
            known,
            left,
            taken_off,
            barred,
            unsubscribed,
            suppressed,
            ..
        } = self.tally;
        let parts = [
            (confirmed, "confirmed now"),
            (updated, "updated"),
            (known, "known"),
            (taken_off, "taken off this list, as the file says"),
            (left, "left there and so here"),
            (barred, "never to be mailed from now on"),
            (unsubscribed, "stay unsubscribed"),
            (suppressed, "stay suppressed"),
            (self.duplicates, "named twice"),
            (self.rejected, "rejected"),
        ];
        let happened = parts.into_iter().filter(|(count, _)| *count > 0);
        happened.collect()
    }
}

impl From<&Summary> for Outcome {
    fn from(summary: &Summary) -> Outcome {
        Outcome {
            tally: summary.tally,
            rows: summary.rows,
            duplicates: summary.duplicates,
            rejected: summary.rejected,
            undated: summary.undated,
            undated_as: summary.undated_as.clone(),
            cut: summary.cut,
            cut_as: summary.cut_as.clone(),
            unfit: summary.unfit,
            unfit_as: summary.unfit_as.clone(),
            rejects: summary.rejects.clone(),
            tables: summary.tables.clone(),
            passed_over: summary.passed_over.clone(),
            ignored_columns: summary.ignored_columns.clone(),
            note: summary.note.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;
    use crate::import::Summary;
    use crate::import::decide::Tally;

    #[test]
    fn a_summary_is_read_back_as_it_was_kept() {
        let summary = Summary {
            tally: Tally {
                added: 412,
                known: 88,
                unsubscribed: 19,
                ..Tally::default()
            },
            rejected: 6,
            ..Summary::default()
        };
        let kept = serde_json::to_string(&summary).expect("JSON");
        for outcome in [Outcome::read(&kept), Outcome::from(&summary)] {
            assert_eq!(outcome.tally, summary.tally);
            let parts = [(88, "known"), (19, "stay unsubscribed"), (6, "rejected")];
            assert_eq!(outcome.parts(), parts);
        }
        // What a batch notes of an import under way.
        let kept = serde_json::to_string(&summary.tally).expect("JSON");
        assert_eq!(Outcome::read(&kept).tally.added, 412);
        assert_eq!(Outcome::read("").parts(), []);
    }
}
