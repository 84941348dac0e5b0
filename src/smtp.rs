//! SMTP: session, TLS and the scripted sink.
