//! Check of the memory that a job needs, before it starts.

use crate::error::{Error, Result};

/// Whether `bytes` for `what` are within the free memory; always where the system does not report it.
///
/// # Errors
/// [`Error::Value`] with both figures if they are not.
pub fn check(bytes: u64, what: &str, advice: &str) -> Result<()> {
    within(bytes, free(), what, advice)
}

fn within(bytes: u64, free: Option<u64>, what: &str, advice: &str) -> Result<()> {
    match free {
        Some(free) if bytes > free => {
            let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
            let expected = format!("at most the {} that are free", gigabytes(free));
            Err(Error::value("memory", expected, format!("about {} for {what}", gigabytes(bytes)), advice))
        }
        _ => Ok(()),
    }
}

/// Free memory in bytes: the least of the system's available memory, the limit of the control group, and the rest of
/// the limit on the address space; `None` if none is known.
pub fn free() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let available = read("/proc/meminfo").and_then(|text| kilobytes(&text, "MemAvailable:"));
    let group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    let used = read("/proc/self/status").and_then(|text| kilobytes(&text, "VmSize:")).unwrap_or(0);
    let limit = read("/proc/self/limits").and_then(|text| address_space(&text));
    [available, group, limit.map(|limit| limit.saturating_sub(used))].into_iter().flatten().min()
}

/// The bytes of a line such as `MemAvailable:   20481000 kB`.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The soft limit in a line such as `Max address space  3072000000  unlimited  bytes`; none where there is none.
fn address_space(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let meminfo = "MemTotal:       24000 kB\nMemAvailable:   20481 kB\n";
        assert_eq!(kilobytes(meminfo, "MemAvailable:"), Some(20481 * 1024));
        assert_eq!(kilobytes(meminfo, "VmSize:"), None);
        let limits = "Limit        Soft Limit  Hard Limit  Units\nMax address space     3072000000  unlimited  bytes\n";
        assert_eq!(address_space(limits), Some(3_072_000_000));
        assert_eq!(address_space(&limits.replace("3072000000", "unlimited")), None);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_figures() {
        assert!(within(1 << 40, None, "a volume", "").is_ok() && within(5, Some(5), "a volume", "").is_ok());
        let refused =
            within(12_300_000_000, Some(3_000_000_000), "2 x 3 voxels", "crop").unwrap_err().to_string();
        assert!(refused.contains("12.3 GB for 2 x 3 voxels") && refused.contains("3.0 GB"), "{refused}");
    }
}
