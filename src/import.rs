//! Importing and exporting readers as CSV.
