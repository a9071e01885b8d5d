//! The machine under the figures, in one line: a figure without it means nothing.

/// Processor, cores, memory, kernel; what the system does not tell is left out.
pub(super) fn describe() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut parts = Vec::new();
    parts.extend(field(&read("/proc/cpuinfo"), "model name"));
    if let Ok(cores) = std::thread::available_parallelism() {
        parts.push(format!("{cores} cores"));
    }
    parts.extend(field(&read("/proc/meminfo"), "MemTotal").as_deref().and_then(gibibytes));
    let kernel = read("/proc/sys/kernel/osrelease");
    parts.push(format!("{} {}", std::env::consts::OS, kernel.trim()).trim().to_owned());
    parts.join(", ")
}

/// The value after `name :`.
fn field(text: &str, name: &str) -> Option<String> {
    let (_, value) = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}

/// `16384000 kB` in GiB.
fn gibibytes(kilobytes: &str) -> Option<String> {
    let kib: f64 = kilobytes.strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{:.0} GiB", kib / 1_048_576.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_read() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Other\n";
        assert_eq!(field(info, "model name").as_deref(), Some("Some CPU @ 2 GHz"));
        assert_eq!(field(info, "MemTotal"), None);
        assert_eq!(gibibytes("16384000 kB").as_deref(), Some("16 GiB"));
        assert!(describe().contains("cores"), "{}", describe());
    }
}
