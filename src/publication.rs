//! The author's folder: issues, themes, fields, images.
