//! SPF, as a receiver checks it (RFC 7208): does the record of a domain allow an address, and how many
//! questions does that cost?

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use crate::dns::Dns;
use crate::spf::{Client, LOOKUPS, Lengths, Mechanism, Record, Verdict, expand, is_in, is_record};

/// Hosts asked for one `mx` (section 4.6.4).
const HOSTS: usize = 10;
/// Names that may be asked for and not be there (section 4.6.4).
pub(super) const VOID: usize = 2;
/// Records read before a circle is called one; more than the lookups allow.
const RECORDS: usize = 40;

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no record.
    None,
    /// A receiver calls the record wrong, with the reason.
    Permanent(String),
    /// The DNS did not answer.
    Temporary(String),
}

/// Every record that one check may come to read.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    /// Terms that ask the DNS when none of them matches.
    pub lookups: u32,
    /// The domains of all records read, the first one's own too.
    pub domains: Vec<String>,
    /// Names that are asked for and are not there.
    pub void: Vec<String>,
    /// What becomes of those whom no term names.
    pub rest: Verdict,
    /// Whether any of them goes by `ptr`.
    pub ptr: bool,
}

/// The one record of `domain`.
pub(super) async fn record(dns: &Dns, domain: &str) -> Result<Record, Trouble> {
    let texts = dns.txt(domain).await;
    let texts = texts.map_err(|error| Trouble::Temporary(error.to_string()))?;
    let mut found = texts.records.iter().filter(|text| is_record(text));
    let first = found.next().ok_or(Trouble::None)?;
    if found.next().is_some() {
        let why = format!("`{domain}` has several SPF records, which counts as none");
        return Err(Trouble::Permanent(why));
    }
    Record::parse(first)
        .map_err(|why| Trouble::Permanent(format!("in the record of `{domain}`, {why}")))
}

/// Reads the record of `domain` and all that it leads to.
pub(super) async fn survey(dns: &Dns, domain: &str) -> Result<Survey, Trouble> {
    let mut survey = Survey {
        lookups: 0,
        domains: Vec::new(),
        void: Vec::new(),
        rest: Verdict::Neutral,
        ptr: false,
    };
    // Of the first record and what it is redirected to.
    let mut own = domain.to_ascii_lowercase();
    let mut open = vec![domain.to_ascii_lowercase()];
    while let Some(domain) = open.pop() {
        // Each time anew: a receiver counts a record that is included twice twice.
        if survey.domains.len() >= RECORDS {
            return Err(Trouble::Permanent(format!(
                "`{domain}` is included in a circle"
            )));
        }
        let found = match record(dns, &domain).await {
            Err(Trouble::None) if !survey.domains.is_empty() => {
                let why = format!("`{domain}` is included and has no SPF record");
                return Err(Trouble::Permanent(why));
            }
            found => found?,
        };
        let all = found.terms.iter();
        let all = all.filter(|term| term.mechanism == Mechanism::All);
        let all = all.map(|term| term.verdict).next();
        let has_all = all.is_some();
        match all {
            // An `include` of everybody is everybody, too.
            Some(Verdict::Pass) => survey.rest = Verdict::Pass,
            Some(verdict) if domain == own && survey.rest != Verdict::Pass => survey.rest = verdict,
            Some(_) | None => {}
        }
        for term in &found.terms {
            survey.lookups += u32::from(term.mechanism.asks());
            survey.ptr |= matches!(term.mechanism, Mechanism::Ptr(_));
            survey
                .void
                .extend(void(dns, &term.mechanism, &domain).await);
            // A macro makes another domain for each message: nothing to read beforehand.
            if let Mechanism::Include(name) = &term.mechanism
                && !name.contains('%')
            {
                open.push(name.to_ascii_lowercase());
            }
        }
        if let Some(name) = found
            .redirect
            .filter(|name| !has_all && !name.contains('%'))
        {
            survey.lookups += 1;
            if domain == own {
                own = name.to_ascii_lowercase();
            }
            open.push(name.to_ascii_lowercase());
        }
        survey.domains.push(domain);
    }
    Ok(survey)
}

/// The name that a term asks for, if it is known beforehand and the DNS says that nothing is there.
async fn void(dns: &Dns, mechanism: &Mechanism, domain: &str) -> Option<String> {
    let known = |name: &Option<String>| {
        let name = name.clone().unwrap_or_else(|| domain.to_owned());
        (!name.contains('%')).then_some(name)
    };
    let (name, void) = match mechanism {
        Mechanism::A(name, _) => {
            let name = known(name)?;
            let found = dns.addresses(&name).await;
            (name, found.is_ok_and(|found| found.records.is_empty()))
        }
        Mechanism::Mx(name, _) => {
            let name = known(name)?;
            let found = dns.mx(&name).await;
            (name, found.is_ok_and(|found| found.records.is_empty()))
        }
        _ => return None,
    };
    void.then_some(name)
}

/// What the record of `domain` says of a client (section 4.6).
pub(super) async fn check(
    dns: &Dns,
    domain: &str,
    client: &Client<'_>,
) -> Result<Verdict, Trouble> {
    let (mut left, mut void) = (LOOKUPS, VOID);
    Check {
        dns,
        client,
        left: &mut left,
        void: &mut void,
    }
    .domain(domain.to_owned())
    .await
}

struct Check<'a, 'b> {
    dns: &'a Dns,
    client: &'a Client<'a>,
    left: &'b mut u32,
    /// Names that may still be asked for and not be there.
    void: &'b mut usize,
}

type Checked<'a> = Pin<Box<dyn Future<Output = Result<Verdict, Trouble>> + Send + 'a>>;

impl Check<'_, '_> {
    fn domain(&mut self, domain: String) -> Checked<'_> {
        Box::pin(async move {
            let record = record(self.dns, &domain).await?;
            for term in &record.terms {
                if self.matches(&term.mechanism, &domain).await? {
                    return Ok(term.verdict);
                }
            }
            let has_all = record
                .terms
                .iter()
                .any(|term| term.mechanism == Mechanism::All);
            match record.redirect.filter(|_| !has_all) {
                None => Ok(Verdict::Neutral),
                Some(next) => {
                    self.ask()?;
                    let next = self.fill(&next, &domain)?;
                    match self.domain(next.clone()).await {
                        Err(Trouble::None) => Err(Trouble::Permanent(format!(
                            "the record is redirected to `{next}`, which has none"
                        ))),
                        checked => checked,
                    }
                }
            }
        })
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Trouble> {
        if mechanism.asks() {
            self.ask()?;
        }
        let address = self.client.address;
        Ok(match mechanism {
            Mechanism::All => true,
            Mechanism::Ip(network, bits) => is_in(address, *network, *bits),
            Mechanism::Include(name) => {
                let name = self.fill(name, domain)?;
                match self.domain(name.clone()).await {
                    Ok(verdict) => verdict == Verdict::Pass,
                    Err(Trouble::None) => {
                        let why = format!("`{name}` is included and has no SPF record");
                        return Err(Trouble::Permanent(why));
                    }
                    Err(trouble) => return Err(trouble),
                }
            }
            Mechanism::A(name, lengths) => {
                let name = self.named(name.as_deref(), domain)?;
                let found = self.addresses(&name).await?;
                self.found(!found.is_empty())?;
                self.is_among(&found, *lengths)
            }
            Mechanism::Mx(name, lengths) => {
                let name = self.named(name.as_deref(), domain)?;
                let hosts = self.dns.mx(&name).await.map_err(temporary)?.records;
                self.found(!hosts.is_empty())?;
                for mx in hosts.iter().take(HOSTS) {
                    if self.has_address(&mx.host, *lengths).await? {
                        return Ok(true);
                    }
                }
                false
            }
            Mechanism::Exists(name) => {
                let name = self.fill(name, domain)?;
                let found = self.dns.ipv4(&name).await.map_err(temporary)?;
                self.found(!found.records.is_empty())?;
                !found.records.is_empty()
            }
            Mechanism::Ptr(name) => {
                let name = self.named(name.as_deref(), domain)?;
                // Section 5.5: a name that cannot be looked up does not match.
                let names = self.dns.ptr(address).await.map(|found| found.records);
                let mut names = names.unwrap_or_default();
                names.retain(|one| *one == name || one.ends_with(&format!(".{name}")));
                let exact = Lengths { four: 32, six: 128 };
                for one in names.iter().take(HOSTS) {
                    if self.has_address(one, exact).await? {
                        return Ok(true);
                    }
                }
                false
            }
        })
    }

    async fn has_address(&self, host: &str, lengths: Lengths) -> Result<bool, Trouble> {
        Ok(self.is_among(&self.addresses(host).await?, lengths))
    }

    /// Those of the client's own kind.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Trouble> {
        let found = match self.client.address {
            IpAddr::V4(_) => self.dns.ipv4(host).await,
            IpAddr::V6(_) => self.dns.ipv6(host).await,
        };
        Ok(found.map_err(temporary)?.records)
    }

    fn is_among(&self, addresses: &[IpAddr], lengths: Lengths) -> bool {
        let bits = match self.client.address {
            IpAddr::V4(_) => lengths.four,
            IpAddr::V6(_) => lengths.six,
        };
        let mut addresses = addresses.iter();
        addresses.any(|one| is_in(self.client.address, *one, bits))
    }

    /// Counts a name that was asked for and is not there.
    fn found(&mut self, found: bool) -> Result<(), Trouble> {
        if found {
            return Ok(());
        }
        *self.void = self.void.checked_sub(1).ok_or_else(|| {
            Trouble::Permanent(format!(
                "the record asks for more than {VOID} names that are not there"
            ))
        })?;
        Ok(())
    }

    fn named(&self, name: Option<&str>, domain: &str) -> Result<String, Trouble> {
        match name {
            None => Ok(domain.to_owned()),
            Some(name) => self.fill(name, domain),
        }
    }

    fn fill(&self, name: &str, domain: &str) -> Result<String, Trouble> {
        let filled = expand(name, domain, self.client);
        filled.ok_or_else(|| Trouble::Permanent(format!("`{name}` holds a macro that is none")))
    }

    fn ask(&mut self) -> Result<(), Trouble> {
        match self.left.checked_sub(1) {
            Some(left) => {
                *self.left = left;
                Ok(())
            }
            None => Err(Trouble::Permanent(format!(
                "the record asks the DNS more than {LOOKUPS} times"
            ))),
        }
    }
}

fn temporary(error: crate::dns::LookupError) -> Trouble {
    Trouble::Temporary(error.to_string())
}
