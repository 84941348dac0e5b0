//! Cells that a spreadsheet would take for a formula.
//!
//! Promises: what is neutralised is text in a spreadsheet, and comes back as it was.

/// A cell that a spreadsheet would take for a formula, made plain text by a leading apostrophe;
/// [`restored`] undoes it.
pub fn neutralised(cell: &str) -> std::borrow::Cow<'_, str> {
    if is_formula(cell.as_bytes()) {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

/// The cell as it was before [`neutralised`].
pub fn restored(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest.as_bytes()) => rest,
        _ => cell,
    }
}

/// Whether a spreadsheet would take the cell for a formula. Apostrophes in front are passed over, so that neutralising
/// twice is undone twice.
pub fn is_formula(cell: &[u8]) -> bool {
    let first = cell.iter().find(|octet| **octet != b'\'');
    first.is_some_and(|octet| b"=+-@\t\r".contains(octet))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{neutralised, restored};

    #[test]
    fn a_cell_that_begins_like_a_formula_is_plain_text() {
        for cell in ["=1+1", "+49 30", "-1", "@x", "\tx", "\rx", "'=1"] {
            assert_eq!(neutralised(cell), format!("'{cell}"));
        }
        for cell in ["", "Ada", "O'Hara", "'tis", "a=b"] {
            assert_eq!(neutralised(cell), cell);
        }
    }

    proptest! {
        #[test]
        fn what_is_neutralised_comes_back(cell in "['=+@a-]{0,6}", any in any::<String>()) {
            assert_eq!(restored(&neutralised(&cell)), cell);
            assert_eq!(restored(&neutralised(&any)), any);
        }
    }
}
