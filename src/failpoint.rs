//! Points at which this process can be made to fail: before and after each commit, write and read.
//!
//! Promises: a release build has none of it. In a debug build `PRESSRUN_FAILPOINT=store::ledger/before@3=abort`
//! makes the third passing of that point `abort`, `panic`, an `error`, or a wait such as `250ms`. `tests/faults`
//! goes through all of them.

use std::io;

/// Before or after the thing that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
    /// As `Before` and `After`, where a module both writes and reads.
    BeforeRead,
    AfterRead,
}

/// Passes the point `when` of `module`; an error is to be treated as the thing's own.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn pass(_: &str, _: When) -> io::Result<()> {
    Ok(())
}

/// Passes the point `when` of `module`; an error is to be treated as the thing's own.
#[cfg(debug_assertions)]
pub fn pass(module: &str, when: When) -> io::Result<()> {
    match wired::PLAN.as_ref() {
        None => Ok(()),
        Some(plan) => plan.pass(module, when),
    }
}

#[cfg(debug_assertions)]
mod wired {
    use std::io;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::When;

    pub(super) static PLAN: LazyLock<Option<Plan>> = LazyLock::new(|| {
        let text = std::env::var("PRESSRUN_FAILPOINT").ok()?;
        // A point that nobody understands would make its test pass for nothing.
        Some(Plan::parse(&text).unwrap_or_else(|| panic!("`{text}` is no failpoint")))
    });

    pub(super) struct Plan {
        module: String,
        when: When,
        at: u64,
        action: Action,
        passed: AtomicU64,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Action {
        Abort,
        Panic,
        Error,
        Wait(Duration),
    }

    impl Plan {
        fn parse(text: &str) -> Option<Plan> {
            let (point, action) = text.split_once('=')?;
            let (point, at) = point.split_once('@').unwrap_or((point, "1"));
            let (module, when) = point.split_once('/')?;
            Some(Plan {
                module: format!("pressrun::{module}"),
                when: match when {
                    "before" => When::Before,
                    "after" => When::After,
                    "before-read" => When::BeforeRead,
                    "after-read" => When::AfterRead,
                    _ => return None,
                },
                at: at.parse().ok()?,
                action: match action {
                    "abort" => Action::Abort,
                    "panic" => Action::Panic,
                    "error" => Action::Error,
                    wait => Action::Wait(Duration::from_millis(
                        wait.strip_suffix("ms")?.parse().ok()?,
                    )),
                },
                passed: AtomicU64::new(0),
            })
        }

        pub(super) fn pass(&self, module: &str, when: When) -> io::Result<()> {
            if self.when != when || self.module != module {
                return Ok(());
            }
            if self.passed.fetch_add(1, Ordering::SeqCst) + 1 != self.at {
                return Ok(());
            }
            eprintln!("failpoint: {:?} {when:?} of {module}", self.action);
            match self.action {
                Action::Abort => std::process::abort(),
                Action::Panic => panic!("failpoint"),
                Action::Error => Err(io::Error::other("failpoint")),
                Action::Wait(wait) => {
                    // The whole thread stands still, as it does when the disk does.
                    std::thread::sleep(wait);
                    Ok(())
                }
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::Plan;
        use crate::failpoint::When;

        #[test]
        fn a_point_fails_at_the_passing_it_is_told() {
            let plan = Plan::parse("store::ledger/after@3=error").expect("a plan");
            let pass = |module, when| plan.pass(module, when).is_err();
            assert!(!pass("pressrun::store::ledger", When::Before));
            assert!(!pass("pressrun::store::leases", When::After));
            let passings = [1, 2, 3, 4].map(|_| pass("pressrun::store::ledger", When::After));
            assert_eq!(passings, [false, false, true, false]);
        }

        #[test]
        fn what_is_no_point_is_no_plan() {
            for text in [
                "",
                "a/b",
                "a/before",
                "a=abort",
                "a/before=stop",
                "a/before@x=abort",
            ] {
                assert!(Plan::parse(text).is_none(), "{text}");
            }
        }
    }
}
