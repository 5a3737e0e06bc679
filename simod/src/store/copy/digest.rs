//! Digest by which both sides of a table are compared.

use std::ops::AddAssign;

use aws_lc_rs::digest::{SHA256, digest};

/// The number of rows and the sum of their hashes, which do not depend on the order of rows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: u128,
}

impl Digest {
    /// Adds a row, given as its line without the line end.
    pub(super) fn add(&mut self, line: &[u8]) {
        let hash = digest(&SHA256, line);
        let half = hash.as_ref().first_chunk().copied().unwrap_or_default();
        self.rows += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(half));
    }

    pub(super) fn add_lines(&mut self, mut lines: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', lines) {
            self.add(&lines[..end]);
            lines = &lines[end + 1..];
        }
    }
}

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &str) -> Digest {
        let mut digest = Digest::default();
        digest.add_lines(lines.as_bytes());
        digest
    }

    #[test]
    fn the_order_makes_no_difference_and_everything_else_does() {
        assert_eq!(of("a\nb\n"), of("b\na\n"));
        for other in ["a\n", "a\na\n", "a\nb\nb\n", "a\tb\n", "ab\n", ""] {
            assert_ne!(of("a\nb\n"), of(other), "{other:?}");
        }
        let mut sum = of("a\n");
        sum += of("b\n");
        assert_eq!(sum, of("a\nb\n"));
    }
}
