//! The catalogue of lints: what is worth knowing of an issue before anybody gets it.

pub mod contrast;
