//! A nameserver with a zone of the test's own, and the resolver held against it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, SOA, TLSA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use pressrun::config;
use pressrun::dns::{Dns, Mx};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use crate::harness::block_on;

/// Octets of an answer over UDP; more is cut off and asked for over TCP.
const UDP: usize = 1232;

/// A nameserver on a loopback port, over UDP and TCP, that knows a zone and nothing else.
///
/// A line of the zone is `NAME TYPE VALUE`: `A`, `AAAA`, `CNAME`, `PTR` (the name may be an address), `MX`
/// (`10 host`), `TLSA` (`3 1 1 hex`), `TXT` (the rest of the line, in strings of 255 octets). Each name of two labels
/// that has anything at it or below it is a zone, but for `NAME NO-ZONE`. `NAME SIGNED`
/// vouches for the name as DNSSEC would, `NAME SIGNED-ALIAS` for the alias alone that it is; `NAME FAIL` answers
/// SERVFAIL; `NAME SILENT` never answers.
pub struct Nameserver {
    pub address: SocketAddr,
    zone: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Nameserver {
    pub async fn start(zone: &str) -> Nameserver {
        let (udp, tcp, address) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
            let address = udp.local_addr().expect("an address");
            // Another test may listen at that port over TCP.
            if let Ok(tcp) = TcpListener::bind(address).await {
                break (udp, tcp, address);
            }
        };
        let zone = Arc::new(Mutex::new(zone.to_owned()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let known = (zone.clone(), asked.clone());
        tasks.spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                let Some(mut answer) = reply(&known, &buffer[..length]) else {
                    continue;
                };
                if answer.to_vec().expect("an answer").len() > UDP {
                    answer = answer.truncate();
                }
                udp.send_to(&answer.to_vec().expect("an answer"), from)
                    .await
                    .ok();
            }
        });
        let known = (zone.clone(), asked.clone());
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                while let Ok(length) = stream.read_u16().await {
                    let mut question = vec![0; usize::from(length)];
                    if stream.read_exact(&mut question).await.is_err() {
                        break;
                    }
                    let Some(answer) = reply(&known, &question) else {
                        break;
                    };
                    let octets = answer.to_vec().expect("an answer");
                    let length = u16::try_from(octets.len()).expect("a short answer");
                    stream.write_all(&length.to_be_bytes()).await.ok();
                    stream.write_all(&octets).await.ok();
                }
            }
        });
        Nameserver {
            address,
            zone,
            asked,
            _tasks: tasks,
        }
    }

    /// Changes the zone; a resolver may still know what stood there before.
    pub fn set(&self, zone: &str) {
        *self.zone.lock().expect("no panic") = zone.to_owned();
    }

    /// `NAME TYPE` of every question so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    /// A resolver that asks this server alone.
    pub fn resolver(&self) -> Dns {
        let config = config::Dns {
            nameserver: Some(self.address),
            timeout: Duration::from_secs(3),
        };
        Dns::new(&config).expect("a resolver")
    }
}

type Known = (Arc<Mutex<String>>, Arc<Mutex<Vec<String>>>);

fn reply((zone, asked): &Known, octets: &[u8]) -> Option<Message> {
    let question = Message::from_vec(octets).expect("a question");
    let query = question.queries[0].clone();
    let name = plain(&query.name);
    asked
        .lock()
        .expect("no panic")
        .push(format!("{name} {}", query.query_type));
    let zone = zone.lock().expect("no panic").clone();
    let lines: Vec<Vec<&str>> = zone
        .lines()
        .map(|line| line.trim().splitn(3, ' ').collect::<Vec<_>>())
        .filter(|line| line.len() > 1 && owner(line[0]) == name)
        .collect();
    let says = |word: &str| lines.iter().any(|line| line[1] == word);
    if says("SILENT") {
        return None;
    }
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.add_query(query.clone());
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    let alias_alone = says("SIGNED-ALIAS") && query.query_type == RecordType::CNAME;
    answer.metadata.authentic_data = says("SIGNED") || alias_alone;
    if says("FAIL") {
        answer.metadata.response_code = ResponseCode::ServFail;
        return Some(answer);
    }
    let below = |line: &str| {
        let first = line.trim().split(' ').next().unwrap_or_default();
        owner(first).ends_with(&format!(".{name}"))
    };
    if lines.is_empty() && !zone.lines().any(below) {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    let is_zone = name.matches('.').count() == 1 && !says("NO-ZONE");
    let is_there = !lines.is_empty() || zone.lines().any(below);
    if query.query_type == RecordType::SOA && is_zone && is_there {
        let data = data("SOA", "");
        answer.add_answer(Record::from_rdata(query.name.clone(), 300, data));
    }
    for line in lines.iter().filter(|line| line.len() == 3) {
        let data = data(line[1], line[2]);
        let alias = matches!(data, RData::CNAME(_));
        if data.record_type() == query.query_type || alias {
            answer.add_answer(Record::from_rdata(query.name.clone(), 300, data));
        }
    }
    // As a resolver does it: what stands behind an alias comes along.
    let alias = answer.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(to) => Some(to.0.clone()),
        _ => None,
    });
    if let Some(to) = alias.filter(|_| query.query_type != RecordType::CNAME) {
        for line in zone.lines() {
            let line: Vec<&str> = line.trim().splitn(3, ' ').collect();
            if line.len() == 3 && owner(line[0]) == plain(&to) {
                let data = data(line[1], line[2]);
                if data.record_type() == query.query_type {
                    answer.add_answer(Record::from_rdata(to.clone(), 300, data));
                }
            }
        }
    }
    Some(answer)
}

fn plain(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.trim_end_matches('.').to_owned()
}

/// The name that a line is about; an address stands for its name in the reverse tree.
fn owner(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(address) => plain(&Name::from(address)),
        Err(_) => text.to_ascii_lowercase(),
    }
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text.trim_end_matches('.')).expect("a name");
    name.set_fqdn(true);
    name
}

fn data(kind: &str, value: &str) -> RData {
    let words: Vec<&str> = value.split(' ').collect();
    let number = |word: &str| word.parse::<u8>().expect("a number");
    match kind {
        "A" => RData::A(A(value.parse().expect("IPv4"))),
        "AAAA" => RData::AAAA(AAAA(value.parse().expect("IPv6"))),
        "CNAME" => RData::CNAME(CNAME(name(value))),
        "SOA" => {
            let root = Name::root();
            RData::SOA(SOA::new(root.clone(), root, 1, 3600, 600, 86400, 300))
        }
        "PTR" => RData::PTR(PTR(name(value))),
        "MX" => RData::MX(MX::new(words[0].parse().expect("a number"), name(words[1]))),
        "TXT" => RData::TXT(TXT::from_bytes(value.as_bytes().chunks(255).collect())),
        "TLSA" => {
            let octets = words[3].as_bytes().chunks(2);
            let octet = |pair: &[u8]| {
                let pair = std::str::from_utf8(pair).expect("hex");
                u8::from_str_radix(pair, 16).expect("hex")
            };
            RData::TLSA(TLSA::new(
                number(words[0]).into(),
                number(words[1]).into(),
                number(words[2]).into(),
                octets.map(octet).collect(),
            ))
        }
        other => panic!("the nameserver knows no {other}"),
    }
}

#[test]
fn every_type_is_read_and_kept_as_long_as_it_says() {
    block_on(async {
        let long = "k".repeat(1500);
        let server = Nameserver::start(&format!(
            "news.example TXT v=spf1 -all
             long.example TXT {long}
             news.example MX 20 b.example
             news.example MX 10 A.example
             none.example MX 0 .
             a.example A 192.0.2.7
             a.example AAAA 2001:db8::7
             www.example CNAME a.example
             192.0.2.7 PTR a.example"
        ))
        .await;
        let dns = server.resolver();
        let text = dns.txt("news.example").await.expect("an answer");
        assert_eq!(text.records, ["v=spf1 -all"]);
        assert!(text.ttl > Duration::from_secs(200) && text.ttl <= Duration::from_secs(300));
        let text = dns.txt("long.example.").await.expect("an answer over TCP");
        assert_eq!(text.records, [long]);
        let mx = dns.mx("news.example").await.expect("an answer").records;
        let hosts: Vec<(u16, &str)> = mx.iter().map(|mx| (mx.preference, &*mx.host)).collect();
        assert_eq!(hosts, [(10, "a.example"), (20, "b.example")]);
        let null = dns.mx("none.example").await.expect("an answer").records;
        let expected = Mx {
            preference: 0,
            host: String::new(),
        };
        assert_eq!(null, [expected]);
        for host in ["a.example", "www.example"] {
            let found = dns.addresses(host).await.expect("an answer").records;
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, ["2001:db8::7", "192.0.2.7"], "{host}");
        }
        let names = dns.ptr("192.0.2.7".parse().expect("an address")).await;
        assert_eq!(names.expect("an answer").records, ["a.example"]);
        let before = server.asked().len();
        server.set("");
        let again = dns.mx("news.example").await.expect("an answer").records;
        assert_eq!(
            (again, server.asked().len()),
            (mx, before),
            "it was known already"
        );
    });
}

#[test]
fn a_name_without_records_is_an_answer_and_a_silent_server_is_none() {
    block_on(async {
        let server = Nameserver::start(
            "news.example A 192.0.2.7
             bad.example FAIL
             mute.example SILENT",
        )
        .await;
        let dns = server.resolver();
        let found = dns.txt("news.example").await.expect("an answer");
        assert_eq!((found.records.len(), found.exists), (0, true));
        let found = dns.txt("gone.example").await.expect("an answer");
        assert_eq!((found.records.len(), found.exists), (0, false));
        let found = dns.txt("example").await.expect("an answer");
        assert!(found.exists, "a name that others stand below exists");
        for name in ["bad.example", "mute.example"] {
            let error = dns.mx(name).await.expect_err("no answer").to_string();
            assert!(error.contains(&format!("about `{name}` (")), "{error}");
        }
        assert!(dns.txt("a..example").await.is_err());
    });
}

#[test]
fn tlsa_records_count_only_where_the_nameserver_vouches_for_them() {
    block_on(async {
        let server = Nameserver::start(
            "_25._tcp.mx.example TLSA 3 1 1 00ff
             _25._tcp.mx.example SIGNED
             _25._tcp.open.example TLSA 3 1 1 00ff
             mx.example A 192.0.2.7
             mx.example SIGNED
             open.example A 192.0.2.7
             alias.example CNAME mx.example
             alias.example SIGNED
             news.example MX 10 mx.example
             news.example SIGNED
             _25._tcp.forged.example FAIL",
        )
        .await;
        let dns = server.resolver();
        let found = dns.tlsa("mx.example", 25).await.expect("an answer").records;
        let [one] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((one.usage, one.selector, one.matching), (3, 1, 1));
        assert_eq!(one.data, [0, 255]);
        let found = dns.tlsa("open.example", 25).await.expect("an answer");
        assert!(found.records.is_empty() && found.exists);
        assert!(dns.tlsa("forged.example", 25).await.is_err());
        let host = async |name: &str| dns.host_proof(name).await.expect("an answer");
        assert!(host("mx.example").await.is_validated);
        assert!(!host("open.example").await.is_validated);
        let alias = host("alias.example").await;
        assert_eq!(
            (alias.is_validated, &*alias.canonical),
            (true, "mx.example")
        );
        let alias = dns.is_alias_validated("alias.example").await;
        assert!(alias.expect("an answer"));
        let alias = dns.is_alias_validated("mx.example").await;
        assert!(!alias.expect("an answer"));
        let news = dns.mx_proof("news.example").await.expect("an answer");
        assert_eq!(
            (news.is_validated, &*news.canonical),
            (true, "news.example")
        );
    });
}
