//! Octets that have arrived and are not consumed yet: the buffer under the line reader, the record reader and the
//! handshake reader. It never looks at what the octets mean, and sets no limit: its owners do both.

/// A queue of octets: pushed at the back, read and consumed at the front.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    octets: Vec<u8>,
    /// Everything before this index is consumed.
    start: usize,
}

impl Pending {
    pub(crate) fn push(&mut self, octets: &[u8]) {
        // Moving the rest to the front only when at least as much is consumed keeps the cost of each octet constant.
        if self.start >= self.octets.len() - self.start {
            self.octets.drain(..self.start);
            self.start = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    /// What is not consumed yet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.octets[self.start..]
    }

    /// Takes at most `count` octets from the front.
    pub(crate) fn consume(&mut self, count: usize) -> Vec<u8> {
        let end = self.octets.len().min(self.start + count);
        let taken = self.octets[self.start..end].to_vec();
        self.start = end;
        taken
    }

    /// Takes everything that is not consumed, and is empty afterwards.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut octets = std::mem::take(&mut self.octets);
        octets.drain(..self.start);
        self.start = 0;
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::Pending;

    #[test]
    fn consumed_octets_are_gone_and_the_others_stay_in_order() {
        let mut pending = Pending::default();
        pending.push(b"abcdef");
        assert_eq!(pending.consume(2), b"ab");
        pending.push(b"gh");
        assert_eq!(pending.rest(), b"cdefgh");
        assert_eq!(pending.consume(5), b"cdefg");
        pending.push(b"i");
        assert_eq!(pending.consume(99), b"hi");
        assert_eq!(pending.take(), b"");
    }

    #[test]
    fn what_was_consumed_is_not_kept() {
        let mut pending = Pending::default();
        for _ in 0..1000 {
            pending.push(&[7; 100]);
            pending.consume(100);
        }
        assert!(pending.octets.capacity() < 1000, "capacity {}", pending.octets.capacity());
    }
}
