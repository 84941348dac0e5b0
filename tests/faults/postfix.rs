//! A relay that we did not write: Postfix takes a run by DATA, and another by windows of BDAT, each copy once.
//!
//! An instance of its own in a temporary folder, on loopback, that discards what it takes. Its log is the judge.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::Port;
use crate::processes::PATIENCE;
use crate::world::World;
use crate::{size, skip, tell};

const POSTFIX: &str = "/usr/sbin/postfix";

/// What Postfix needs to take mail and to discard it.
const SERVICES: &str = "\
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
anvil     unix  -       -       n       -       1       anvil
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
postlog   unix-dgram n  -       n       -       1       postlogd
";

/// A running Postfix; it ends with the test.
struct Postfix {
    folder: tempfile::TempDir,
    /// Without and with BDAT.
    ports: [Port; 2],
}

impl Postfix {
    fn start() -> Result<Postfix, String> {
        if !Path::new(POSTFIX).exists() {
            return Err("Postfix is not installed".into());
        }
        if !rustix::process::geteuid().is_root() {
            return Err("Postfix has to be started by root".into());
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        // Its processes run as another user.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
        let ports = [Port::free(), Port::free()];
        for name in ["etc", "queue", "data"] {
            fs::create_dir(path.join(name)).expect("a folder");
        }
        let shown = path.display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {shown}/queue\ndata_directory = {shown}/data\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\n\
             mail_owner = postfix\nsetgid_group = postdrop\nmyhostname = relay.invalid\n\
             maillog_file = {shown}/mail.log\nmaillog_file_prefixes = {shown}\n\
             inet_protocols = ipv4\ninet_interfaces = 127.0.0.1\nmydestination =\nlocal_recipient_maps =\n\
             mynetworks = 127.0.0.0/8\nsmtpd_relay_restrictions = permit_mynetworks, reject\n\
             default_transport = discard\nrelay_transport = discard\nalias_maps =\n\
             smtpd_client_connection_rate_limit = 0\nsmtpd_tls_security_level = none\n"
        );
        fs::write(path.join("etc/main.cf"), main).expect("a file");
        let [plain, chunked] = ports.each_ref().map(|port| port.number);
        let services = format!(
            "127.0.0.1:{plain} inet n - n - - smtpd -o smtpd_discard_ehlo_keywords=chunking\n\
             127.0.0.1:{chunked} inet n - n - - smtpd\n{SERVICES}"
        );
        fs::write(path.join("etc/master.cf"), services).expect("a file");
        let data = Command::new("chown")
            .arg("postfix")
            .arg(path.join("data"))
            .output();
        data.map_err(|error| error.to_string())?;
        let postfix = Postfix { folder, ports };
        let started = postfix.command("start");
        let output = started.map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!(
                "Postfix does not start: {}{}",
                String::from_utf8_lossy(&output.stderr),
                fs::read_to_string(postfix.log()).unwrap_or_default()
            ));
        }
        Ok(postfix)
    }

    fn command(&self, word: &str) -> std::io::Result<std::process::Output> {
        let etc = self.folder.path().join("etc");
        Command::new(POSTFIX).arg("-c").arg(etc).arg(word).output()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("mail.log")
    }

    /// How often each reader's message was taken and handed on, by the log.
    fn taken(&self) -> BTreeMap<String, usize> {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let mut taken = BTreeMap::new();
        for line in log.lines().filter(|line| line.contains("status=sent")) {
            let to = line
                .split_once("to=<")
                .and_then(|(_, rest)| rest.split_once('>'));
            let (reader, _) = to.expect("a recipient");
            *taken.entry(reader.to_owned()).or_default() += 1;
        }
        taken
    }

    /// Which verbs the clients used, from the lines that sum up each connection.
    fn verbs(&self, verb: &str) -> usize {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let counts = log
            .split_whitespace()
            .filter_map(|word| word.strip_prefix(verb));
        let counts = counts.filter_map(|count| count.split('/').next()?.parse::<usize>().ok());
        counts.sum()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.command("stop").ok();
    }
}

#[test]
fn postfix_takes_each_copy_once_with_and_without_chunks() {
    let postfix = match Postfix::start() {
        Ok(postfix) => postfix,
        Err(why) => return skip("POST", &why),
    };
    let recipients = size(200, 2_000);
    let mut verbs = Vec::new();
    let ports = postfix.ports.each_ref().map(|port| port.number);
    for (index, port) in ports.into_iter().enumerate() {
        let mut world = World::new(recipients, 5, Duration::ZERO);
        world.window = 4;
        let url = format!("smtp://127.0.0.1:{port}");
        let sender = world.start_any(&[("PRESSRUN_RELAY__MAIN__URL", &url)]);
        sender.finish(PATIENCE);
        let counts = world.verify();
        assert_eq!(
            (counts.sent, counts.uncertain),
            (recipients, 0),
            "{}",
            world.said()
        );
        let until = Instant::now() + PATIENCE;
        let taken = loop {
            let taken = postfix.taken();
            if taken.values().sum::<usize>() >= recipients * (index + 1) {
                break taken;
            }
            assert!(
                Instant::now() < until,
                "Postfix knows of {} only",
                taken.len()
            );
            std::thread::sleep(Duration::from_millis(100));
        };
        assert_eq!(taken.len(), recipients);
        assert!(taken.values().all(|&times| times == index + 1), "{taken:?}");
        verbs.push(format!(
            "{} DATA, {} BDAT",
            postfix.verbs("data="),
            postfix.verbs("bdat=")
        ));
        let chunked = postfix.verbs("bdat=");
        assert_eq!(chunked > 0, index == 1, "{chunked} by BDAT");
    }
    tell(
        "POST",
        "sqlite",
        &format!(
            "Postfix took {recipients} messages without CHUNKING and {recipients} with it, each once ({}; then {})",
            verbs[0], verbs[1]
        ),
    );
}
