//! A question to which the nameserver adds whether DNSSEC proves the answer.
//!
//! Promises: the mark is believed only from a nameserver on this machine, for it travels unprotected
//! (RFC 4035, section 4.9.3). One question over UDP, and over TCP when the answer does not fit.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{Dns, LookupError, SILENCE, absolute};

/// Octets of an answer over UDP at most: what passes every network in one piece.
const UDP: u16 = 1232;

/// What a nameserver said, and whether it vouches for it.
pub(super) struct Validated {
    pub(super) records: Vec<Record>,
    pub(super) exists: bool,
    pub(super) is_validated: bool,
    pub(super) ttl: Duration,
}

impl Dns {
    pub(super) async fn validated(
        &self,
        name: &str,
        kind: RecordType,
    ) -> Result<Validated, LookupError> {
        let fail = |why: String| LookupError {
            name: name.to_owned(),
            why,
        };
        let query = Query::query(absolute(name)?, kind);
        let mut last = fail("there is no nameserver".to_owned());
        // RFC 7672, section 2.2: a mark from another machine could be anybody's.
        let trusted = self.can_vouch();
        for &server in &self.servers {
            let message = match timeout(self.timeout, exchange(server, &query)).await {
                Ok(Ok(message)) => message,
                Ok(Err(error)) => {
                    last = fail(error.to_string());
                    continue;
                }
                Err(_) => {
                    last = fail("request timed out".to_owned());
                    continue;
                }
            };
            let code = message.metadata.response_code;
            if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
                // A validating nameserver says so of a forged answer, too.
                last = fail(format!("error response: {code}"));
                continue;
            }
            let records: Vec<Record> = message.answers;
            let shortest = records.iter().map(|record| record.ttl).min();
            return Ok(Validated {
                exists: code == ResponseCode::NoError,
                is_validated: trusted && message.metadata.authentic_data,
                ttl: shortest.map_or(SILENCE, |ttl| Duration::from_secs(u64::from(ttl))),
                records,
            });
        }
        Err(last)
    }
}

async fn exchange(server: SocketAddr, query: &Query) -> io::Result<Message> {
    let mut question = Message::query();
    question.add_query(query.clone());
    question.metadata.recursion_desired = true;
    // RFC 6840, section 5.7: asks for the mark; DO for resolvers that know only that.
    question.metadata.authentic_data = true;
    let mut edns = Edns::new();
    edns.set_max_payload(UDP).set_dnssec_ok(true);
    question.set_edns(edns);
    let octets = question.to_vec().map_err(io::Error::other)?;
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&octets).await?;
    let mut buffer = vec![0; usize::from(UDP)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What does not answer this question is somebody else's.
        let Ok(answer) = Message::from_vec(&buffer[..length]) else {
            continue;
        };
        if answers(&answer, &question) {
            if !answer.metadata.truncation {
                return Ok(answer);
            }
            break;
        }
    }
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&octets).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    let answer = Message::from_vec(&buffer).map_err(io::Error::other)?;
    if !answers(&answer, &question) {
        return Err(io::Error::other("the answer is to another question"));
    }
    Ok(answer)
}

fn answers(answer: &Message, question: &Message) -> bool {
    answer.metadata.id == question.metadata.id && answer.queries == question.queries
}
