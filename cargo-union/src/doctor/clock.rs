//! The clock of this machine: with a wrong clock, tokens and certificates are rejected.

use super::check::Check;

const AREA: &str = "clock";
/// Seconds above which a difference is a warning, and above which it is an error.
const LIMITS: (u64, u64) = (60, 300);

/// Compares the clock with those of the servers that have responded; `differences` are seconds by which it is ahead.
pub(super) fn check(differences: impl Iterator<Item = i64>) -> Check {
    let name = "difference";
    let Some(difference) = differences.max_by_key(|difference| difference.unsigned_abs()) else {
        return Check::skipped(AREA, name, "no server has told its time");
    };
    let seconds = difference.unsigned_abs();
    let side = if difference > 0 { "ahead of" } else { "behind" };
    let detail = format!("{seconds} s {side} the server's");
    let help =
        "Set the clock of this machine, for example by NTP: logins and certificates depend on it.";
    match seconds {
        0..=1 => Check::ok(AREA, name, "equal to the server's"),
        _ if seconds > LIMITS.1 => Check::error(AREA, name, detail, help),
        _ if seconds > LIMITS.0 => Check::warning(AREA, name, detail, help),
        _ => Check::ok(AREA, name, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::CheckStatus;
    use super::*;

    #[test]
    fn largest_clock_difference_decides() {
        for (differences, status) in [
            (&[][..], CheckStatus::Skipped),
            (&[0], CheckStatus::Ok),
            (&[60, -60], CheckStatus::Ok),
            (&[0, -61], CheckStatus::Warning),
            (&[300, 0], CheckStatus::Warning),
            (&[0, 301], CheckStatus::Error),
            (&[i64::MIN], CheckStatus::Error),
        ] {
            assert_eq!(
                check(differences.iter().copied()).status,
                status,
                "{differences:?}"
            );
        }
    }
}
