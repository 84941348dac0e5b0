//! A folder with a configuration and the default emails, to compile in.

use std::path::PathBuf;
use std::process::Command;

use pressrun::config::Config;
use pressrun::diagnostic::Diagnostic;
use pressrun::issue::given::Titles;
use pressrun::publication::{Built, Publication, Rejected, compile_issue};

const CONFIG: &str = r#"
[publication]
name = "The Paper Trail"
url = "https://news.example.org"
postal_address = "1 Example Street\n12345 Sampletown"
list = "weekly"
language = "en"
description = "Eleven papers a week."
[from]
name = "The Paper Trail"
address = "news@example.org"
[database]
url = "sqlite:pressrun.db"
connections = 4
[http]
public = "127.0.0.1:8080"
admin = "127.0.0.1:8081"
admin_hosts = []
trusted_proxies = []
connections = 100
connections_per_address = 10
[relay.main]
kind = "smtp"
url = "smtp://127.0.0.1:2525"
tls = "none"
connections = 2
messages_per_connection = 100
connect_timeout = "10s"
command_timeout = "30s"
dot_timeout = "10m"
[send]
relay = "main"
retry = ["30s"]
jitter = 0.1
give_up = "1d"
uncertain = "hold"
linger = "0s"
lease = "30s"
probe = "1s"
drain = "10s"
[dkim]
selector = "a"
[tracking]
opens = true
clicks = true
[signup]
open = true
per_network_per_minute = 5
per_network_per_hour = 50
address_window = "1h"
confirms_per_hour = 100
form_max_age = "1d"
form_min_age = "2s"
confirm_window = "2d"
[paths]
keyring = "keyring"
emails = "emails"
state = "state"
[log]
level = "info"
format = "text"
"#;

/// A folder with a configuration and the default emails.
pub struct Desk {
    pub folder: tempfile::TempDir,
    pub config: Config,
}

impl Desk {
    pub fn new() -> Desk {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pressrun.toml");
        std::fs::write(&path, CONFIG).expect("a configuration");
        let config = Config::load(&path).expect("a configuration");
        let emails = folder.path().join("emails");
        Publication::write_defaults(&emails).expect("the defaults");
        Desk { folder, config }
    }

    pub fn emails(&self) -> PathBuf {
        self.folder.path().join("emails")
    }

    pub fn write(&self, path: &str, octets: impl AsRef<[u8]>) {
        let path = self.emails().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, octets).expect("a file");
    }

    pub fn compile(&self, issue: &str) -> anyhow::Result<Built> {
        compile_issue(&self.config, &self.emails(), issue, &Titles::default())
    }

    /// Compiles an issue of this body alone.
    pub fn body(&self, body: &str) -> Result<Built, Vec<String>> {
        self.write(
            "issues/one/issue.md",
            format!("---\ntitle: One\n---\n{body}\n"),
        );
        self.compile("one").map_err(|error| {
            let rejected = error.downcast::<Rejected>().expect("findings");
            rejected.found.iter().map(Diagnostic::to_string).collect()
        })
    }

    pub fn refused(&self, body: &str) -> String {
        self.body(body).expect_err("a refusal").join("\n")
    }

    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_pressrun"))
            .current_dir(self.folder.path())
            .args(arguments)
            .output()
            .expect("the program");
        let text = |octets: Vec<u8>| String::from_utf8(octets).expect("text");
        (
            output.status.code().expect("an exit code"),
            text(output.stdout),
            text(output.stderr),
        )
    }
}
