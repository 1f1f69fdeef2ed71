//! What the guest said: reports of steps on one serial port, the kernel's messages on the other.

use anyhow::{Context, Result, ensure};

/// Messages of the kernel after which nothing that a test saw can be trusted.
const ALARMS: [&str; 15] = [
    "BUG:",
    "Oops",
    "WARNING:",
    "Kernel panic",
    "general protection fault",
    "unable to handle",
    "rcu_sched self-detected stall",
    "rcu_preempt self-detected stall",
    "detected stalls on CPUs",
    "detected expedited stalls",
    "soft lockup",
    "hard LOCKUP",
    "blocked for more than",
    "unregister_netdevice: waiting",
    "kernel BUG at",
];

/// What a step came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Reads the reports of the second serial port (see `init`), and fails unless all `wanted` steps ended.
pub(super) fn outcomes(text: &str, wanted: usize) -> Result<Vec<Outcome>> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        let last = outcomes.last_mut();
        match (line.split_at_checked(1), last) {
            (Some(("s", rest)), _) => {
                let status = rest.rsplit(' ').next().unwrap_or_default();
                let status = status.parse().context("a step's status is no number")?;
                outcomes.push(Outcome {
                    status,
                    ..Outcome::default()
                });
            }
            (Some(("o", rest)), Some(last)) => add_line(&mut last.stdout, rest),
            (Some(("e", rest)), Some(last)) if line != "end" => add_line(&mut last.stderr, rest),
            _ => {}
        }
    }
    ensure!(
        text.lines().any(|line| line.trim_end() == "end") && outcomes.len() == wanted,
        "the machine ended after {} of {wanted} steps",
        outcomes.len()
    );
    Ok(outcomes)
}

fn add_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The first line of the kernel's log that says something is wrong with it, but for what is `expected`.
pub(super) fn alarm<'l>(log: &'l str, expected: &[String]) -> Option<&'l str> {
    log.lines().find(|line| {
        ALARMS.iter().any(|alarm| line.contains(alarm))
            && !expected.iter().any(|text| line.contains(text.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        let text = "step 000 0\r\nohello\r\noworld\r\nstep 001 4\r\nerefused\r\nend\r\n";
        let outcomes = outcomes(text, 2).expect("both ended");
        assert_eq!(outcomes[0].stdout, "hello\nworld\n");
        assert_eq!((outcomes[1].status, &*outcomes[1].stderr), (4, "refused\n"));
    }

    #[test]
    fn a_machine_that_stopped_early_is_no_success() {
        assert!(outcomes("step 000 0\n", 1).is_err());
        assert!(outcomes("step 000 0\nend\n", 2).is_err());
    }

    #[test]
    fn an_error_that_begins_like_the_end_is_kept() {
        let outcomes = outcomes("step 000 1\nend of file\nend\n", 1).expect("it ended");
        assert_eq!(outcomes[0].stderr, "nd of file\n");
    }

    #[test]
    fn warnings_are_alarms_unless_expected() {
        let log = "[ 1.0] fine\n[ 2.0] WARNING: CPU: 0 PID: 1 at x\n";
        assert!(alarm(log, &[]).is_some_and(|line| line.contains("PID: 1")));
        assert_eq!(alarm(log, &["CPU: 0".into()]), None);
    }
}
