//! The public site and the admin site.
