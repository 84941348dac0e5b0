//! Signing up: the form, its limits, and the confirm link.
//!
//! Promises: whoever asks about an address gets the same answer after the same work, whether it is
//! known, new, suppressed or over a limit; a form is bound to a time and a network and works once; a
//! stranger can cause one mail to an address within the window. Leaves pages to `http`, rows to `store`, and
//! what is asked besides the address to `offer`.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::Clock as LimitClock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep_until};

use crate::address::{AddressError, EmailAddress};
use crate::app::App;
use crate::clock::{Clock, Timestamp};
use crate::dns::Dns;
use crate::event::Evidence;
use crate::id::{ListId, SubscriptionKey};
use crate::lock::lock;
use crate::network;
use crate::notice;
use crate::publication;
use crate::run;
use crate::signup::guard::{Guard, Lost};
use crate::signup::offer::{Asked, Offer, Typed, Wrong};
use crate::store::moves::Move;
use crate::store::signup::{Confirm, Confirmed, SignUp, SignedUp};
use crate::token::{Claim, Purpose, sign, verify};

pub mod about;
mod again;
pub mod guard;
pub mod house;
pub mod offer;
pub mod pending;

/// A neighbourhood (/24 or /48) gets this many times what one client gets in an hour.
const WIDE: u32 = 5;
/// Checks between two clearings of clients that have been quiet.
const CLEAR_EVERY: u32 = 1_000;
/// How long a look at the instance's numbers is believed.
const LOOK: Duration = Duration::from_secs(1);
/// How long the DNS may take to say that a domain takes no mail; without a word, it does.
const DNS_WAIT: Duration = Duration::from_millis(1_500);
/// Answers to a form leave at multiples of this: several times what the work takes.
const BEAT: Duration = Duration::from_millis(25);
/// A clock may be this far ahead of the one that signed: several nodes sign.
const SKEW: Duration = Duration::from_secs(60);

/// What came back in the form.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    pub address: String,
    /// The signed form token.
    pub form: String,
    /// The work that the form asked for, when it asked for any.
    pub proof: String,
    /// A field that people do not see; whatever fills it is no person.
    pub trap: String,
    /// The lists that were chosen, by their short names, and whether the form asked for them.
    pub lists: Vec<String>,
    pub asked_lists: bool,
    /// What was typed into the other fields, by their names.
    pub values: Vec<(String, String)>,
    /// The tags that were chosen.
    pub tags: Vec<String>,
}

/// What the page says next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// "Look into your inbox": for every address alike.
    Received,
    /// More sign up than usually, and this form came without its work: here is one with.
    Unproven,
    /// The form is too old, too young or from elsewhere: here is a fresh one.
    Stale,
    /// That is no address.
    BadAddress(AddressError),
    /// No list was chosen, or a field holds what it cannot.
    BadValue(Wrong),
    /// The site takes no signups, or its list is missing.
    Closed,
}

/// The front door.
#[derive(Debug)]
pub struct Signups {
    app: App,
    minute: Limiter,
    hour: Limiter,
    wide: Limiter,
    checks: AtomicU32,
    /// How the door stood at the last look.
    door: Mutex<Option<(Timestamp, Guard)>>,
    /// How it stood when the author was told last.
    told: Mutex<Guard>,
    /// What the form asks besides the address.
    asked: Asked,
    lost: Lost,
    /// None where the domains of addresses are not looked up.
    dns: Option<Dns>,
    /// Revision of the mail to whoever is a reader already, once it was needed; none sends none.
    known: OnceCell<Option<String>>,
}

/// A fresh form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshForm {
    pub token: String,
    /// Zero bits that its work must show; none asks for no work.
    pub bits: Option<u32>,
    /// False while no form is taken, or no list is offered.
    pub open: bool,
    pub offer: Offer,
}

type Limiter = RateLimiter<IpAddr, DashMapStateStore<IpAddr>, WallClock, NoOpMiddleware<Duration>>;

/// Our clock, for the limiter: so that a test can let an hour pass.
#[derive(Clone, Debug)]
struct WallClock(Clock);

impl LimitClock for WallClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now().0).unwrap_or(0))
    }
}

impl Signups {
    /// Limits as the configuration says.
    pub fn new(app: App) -> Signups {
        let clock = WallClock(app.clock.clone());
        let limiter = |quota| RateLimiter::dashmap_with_clock(quota, clock.clone());
        let at_least_one = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let signup = &app.config.signup;
        let (minute, hour) = (signup.per_network_per_minute, signup.per_network_per_hour);
        Signups {
            minute: limiter(Quota::per_minute(at_least_one(minute))),
            hour: limiter(Quota::per_hour(at_least_one(hour))),
            wide: limiter(Quota::per_hour(at_least_one(hour.saturating_mul(WIDE)))),
            checks: AtomicU32::new(0),
            door: Mutex::new(None),
            told: Mutex::new(Guard::Calm),
            lost: Lost::default(),
            asked: Asked::of(&app),
            dns: signup
                .check_mx
                .then(|| Dns::new(&app.config.dns).ok())
                .flatten(),
            known: OnceCell::new(),
            app,
        }
    }

    /// A fresh form for `client`.
    pub async fn form(&self, client: IpAddr) -> anyhow::Result<FreshForm> {
        let guard = self.guard().await?;
        let offer = self.asked.offer(&self.app).await?;
        let open = self.app.config.signup.open && guard != Guard::Shut;
        Ok(FreshForm {
            token: self.form_token(client),
            bits: (guard == Guard::Proof).then_some(self.app.config.signup.proof_bits),
            open: open && !offer.lists.is_empty(),
            offer,
        })
    }

    /// How the door stands, looked at once a second and after each form.
    async fn guard(&self) -> anyhow::Result<Guard> {
        let now = self.app.clock.now();
        let known = *lock(&self.door);
        if let Some((at, guard)) = known
            && now.since(at) < LOOK
            && at <= now
        {
            return Ok(guard);
        }
        let guard = guard::look(&self.app).await?;
        *lock(&self.door) = Some((now, guard));
        self.tell(guard);
        Ok(guard)
    }

    /// Tells the author when the door comes to stand otherwise; no visitor waits for it.
    fn tell(&self, guard: Guard) {
        let mut told = lock(&self.told);
        let before = std::mem::replace(&mut *told, guard);
        let Some(notice) = guard.notice().filter(|_| guard != before) else {
            return;
        };
        tracing::warn!("{notice}");
        let app = self.app.clone();
        tokio::spawn(async move {
            if let Err(error) = notice::tell_signups(&app, guard.name(), notice).await {
                tracing::error!("the author could not be told: {error:#}");
            }
        });
    }

    fn look_again(&self) {
        *lock(&self.door) = None;
    }

    /// The token of a fresh form for `client`.
    fn form_token(&self, client: IpAddr) -> String {
        let now = self.app.clock.now();
        let mut nonce = [0; 8];
        self.app.chance.fill(&mut nonce);
        let issued = u32::try_from(now.seconds()).unwrap_or(u32::MAX);
        let claim = Claim::Form {
            issued,
            nonce: u64::from_be_bytes(nonce),
            network: self.network_mark(issued, client),
        };
        sign(&self.app.keyring, &claim)
    }

    /// Takes a form that came back from `client`. `revision` is the compiled confirm mail's. The answer is given at
    /// the next beat after the work: a row written more or less is no time that anybody could measure.
    pub async fn submit(
        &self,
        client: IpAddr,
        form: &Submission,
        revision: &str,
    ) -> anyhow::Result<Answer> {
        let begun = Instant::now();
        let answer = self.take(client, form, revision).await;
        let beats = begun.elapsed().as_millis() / BEAT.as_millis() + 1;
        let beats = u32::try_from(beats).unwrap_or(u32::MAX);
        sleep_until(begun + BEAT.saturating_mul(beats)).await;
        answer
    }

    async fn take(
        &self,
        client: IpAddr,
        form: &Submission,
        revision: &str,
    ) -> anyhow::Result<Answer> {
        let signup = &self.app.config.signup;
        if !signup.open {
            return Ok(Answer::Closed);
        }
        if !form.trap.is_empty() {
            return Ok(Answer::Received);
        }
        let now = self.app.clock.now();
        let guard = self.guard().await?;
        if guard == Guard::Shut {
            return Ok(Answer::Closed);
        }
        let Some((nonce, served)) = self.nonce(client, &form.form, now) else {
            return Ok(Answer::Stale);
        };
        let proven = guard::is_fresh(served, now)
            && guard::is_proven(&form.form, &form.proof, signup.proof_bits);
        if guard == Guard::Proof && !proven {
            return Ok(Answer::Unproven);
        }
        let address = match EmailAddress::parse(&form.address) {
            Ok(address) => address,
            Err(error) => return Ok(Answer::BadAddress(error)),
        };
        let offer = self.asked.offer(&self.app).await?;
        if offer.lists.is_empty() {
            return Ok(Answer::Closed);
        }
        let typed = match self.asked.read(&offer, form) {
            Ok(typed) => typed,
            Err(wrong) => return Ok(Answer::BadValue(wrong)),
        };
        if !self.within_limits(client) {
            self.lost.tell(now);
            return Ok(Answer::Received);
        }
        if !self.takes_mail(&address).await {
            return Ok(Answer::Received);
        }
        let done = self.enter(&address, &typed, nonce, revision, now).await?;
        // Whatever came of it: the next page's time and words tell nobody whether this address was mailed.
        self.look_again();
        tracing::debug!(outcome = ?done, "signup");
        Ok(Answer::Received)
    }

    /// Writes down what nothing speaks against, with the mail that it asks for, if any.
    async fn enter(
        &self,
        address: &EmailAddress,
        typed: &Typed,
        nonce: i64,
        revision: &str,
        now: Timestamp,
    ) -> anyhow::Result<SignedUp> {
        let signup = &self.app.config.signup;
        let draw = |list: ListId| (list, self.app.chance.key());
        let lists: Vec<(ListId, i64)> = typed.lists.iter().copied().map(draw).collect();
        let canonical = address.canonical();
        let folded = address.mailbox();
        let keyring = &self.app.keyring;
        let known = self.known.get_or_init(|| known_mail(&self.app)).await;
        let form = SignUp {
            lists: &lists,
            address: address.as_str(),
            canonical: &canonical,
            hash: keyring.address_hash(&canonical),
            mailbox: keyring.address_hash(&folded),
            // No address holds a NUL, so no folded address is ever taken for a suppressed one.
            limit: keyring.address_hash(&format!("limit\0{folded}")),
            name: &typed.name,
            fields: &typed.fields,
            tags: &typed.tags,
            subscriber: self.app.chance.key(),
            nonce,
            nonces_before: now.before(signup.form_max_age + SKEW),
            mailed_after: now.before(signup.address_window),
            per_hour: signup.confirms_per_hour,
            revision,
            known: known.as_deref(),
            reminded: keyring.address_hash(&format!("known\0{folded}")),
            at: now,
        };
        Ok(self.app.store.sign_up(&form).await?)
    }

    /// Whether mail to the address's domain is worth a try: not when it states that it takes none (RFC 7505). Asked
    /// for every address alike, before anything is known of it. A DNS that does not answer in time, or that knows of
    /// no such name (as one without a way out may say of all), is no reason to turn anybody away.
    async fn takes_mail(&self, address: &EmailAddress) -> bool {
        let Some(dns) = &self.dns else {
            return true;
        };
        let domain = address.domain();
        match tokio::time::timeout(DNS_WAIT, dns.mx(domain)).await {
            Ok(Ok(answer)) => !matches!(&answer.records[..], [mx] if mx.host.is_empty()),
            Ok(Err(_)) | Err(_) => true,
        }
    }

    /// Takes a reader's wish for another address. `revision` is the compiled mail's.
    pub async fn request_move(
        &self,
        reader: SubscriptionKey,
        address: &EmailAddress,
        revision: &str,
    ) -> anyhow::Result<()> {
        let now = self.app.clock.now();
        let signup = &self.app.config.signup;
        let canonical = address.canonical();
        let keyring = &self.app.keyring;
        let wish = Move {
            subscription: reader,
            key: self.app.chance.key(),
            address: address.as_str(),
            canonical: &canonical,
            hash: keyring.address_hash(&canonical),
            mailbox: keyring.address_hash(&address.mailbox()),
            limit: keyring.address_hash(&format!("limit\0{}", address.mailbox())),
            mailed_after: now.before(signup.address_window),
            per_hour: signup.confirms_per_hour,
            revision,
            at: now,
        };
        let mailed = self.app.store.request_move(&wish).await?;
        tracing::debug!(mailed, "a wish for another address");
        Ok(())
    }

    /// The subscription behind a confirm link that still works.
    pub fn confirm_claim(&self, token: &str) -> Option<(SubscriptionKey, Timestamp)> {
        let claim = verify(&self.app.keyring, Purpose::Confirm, token)?;
        let Claim::Confirm(subscription, issued) = claim else {
            return None;
        };
        let issued = Timestamp(i64::from(issued) * 1000);
        let now = self.app.clock.now();
        let window = self.app.config.signup.confirm_window;
        (now.since(issued) <= window && issued.since(now) <= SKEW).then_some((subscription, issued))
    }

    /// Confirms, by the button on the page. `welcome` is the compiled welcome mail's revision.
    pub async fn confirm(
        &self,
        (subscription, issued): (SubscriptionKey, Timestamp),
        evidence: &Evidence,
        welcome: Option<&str>,
    ) -> anyhow::Result<Confirmed> {
        let at = self.app.clock.now();
        let evidence = serde_json::to_string(evidence)?;
        let confirm = Confirm {
            subscription,
            issued,
            at,
            welcome,
            evidence: &evidence,
        };
        Ok(self.app.store.confirm(&confirm).await?)
    }

    fn nonce(&self, client: IpAddr, token: &str, now: Timestamp) -> Option<(i64, Timestamp)> {
        let claim = verify(&self.app.keyring, Purpose::Form, token)?;
        let Claim::Form {
            issued,
            nonce,
            network,
        } = claim
        else {
            return None;
        };
        let served = Timestamp(i64::from(issued) * 1000);
        let signup = &self.app.config.signup;
        let age = now.since(served);
        let fits = age >= signup.form_min_age
            && age <= signup.form_max_age
            && network == self.network_mark(issued, client);
        fits.then_some((nonce.cast_signed(), served))
    }

    fn network_mark(&self, issued: u32, client: IpAddr) -> u32 {
        let day = i64::from(issued / 86_400);
        let hash = self.app.keyring.network_hash(day, network::wide(client));
        u32::from_be_bytes(*hash.first_chunk().expect("a hash has 32 octets"))
    }

    fn within_limits(&self, client: IpAddr) -> bool {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CLEAR_EVERY == CLEAR_EVERY - 1 {
            for limiter in [&self.minute, &self.hour, &self.wide] {
                limiter.retain_recent();
            }
        }
        let (near, wide) = (network::client(client), network::wide(client));
        self.minute.check_key(&near).is_ok()
            && self.hour.check_key(&near).is_ok()
            && self.wide.check_key(&wide).is_ok()
    }
}

/// The mail to whoever is a reader already; none where the author wants none, or wrote one that does not compile.
async fn known_mail(app: &App) -> Option<String> {
    if !app.config.signup.remind {
        return None;
    }
    let made = async {
        let mail = publication::compile_system(&app.config, &app.emails(), "known")?;
        run::keep_revision(app, &mail, &[]).await
    };
    let made = made.await.inspect_err(|error| {
        let error = format!("{error:#}");
        tracing::warn!(
            error,
            "no reader is told that she is one: the mail `known` does not compile"
        );
    });
    made.ok()
}
