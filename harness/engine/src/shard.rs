//! A part of a run, for machines that share one: which variants are whose is decided by their names alone, so that it is
//! the same on every machine, and stays so when others are added.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::run::Scheduled;

/// One of so many parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 0.
    index: u64,
    count: u64,
}

/// A text is no shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a shard is written K/N, with K from 1 to N")]
pub struct WrongShard;

impl Shard {
    /// Those of the variants that belong to this part. What the two engines make of one thing stays together: they are
    /// compared with each other.
    #[must_use]
    pub fn of(self, variants: Vec<Scheduled>) -> Vec<Scheduled> {
        variants.into_iter().filter(|scheduled| self.has(&scheduled.twin())).collect()
    }

    fn has(self, (id, choices): &(String, Vec<(String, String)>)) -> bool {
        let mut name = id.clone();
        for (axis, word) in choices {
            name.push_str(&format!("\n{axis}={word}"));
        }
        let digest = Sha256::digest(name);
        let (first, _) = digest.split_first_chunk::<8>().expect("a digest has 32 octets");
        u64::from_be_bytes(*first) % self.count == self.index
    }
}

impl FromStr for Shard {
    type Err = WrongShard;

    fn from_str(text: &str) -> Result<Self, WrongShard> {
        let (which, count) = text.split_once('/').ok_or(WrongShard)?;
        let number = |text: &str| text.parse::<u32>().map(u64::from).map_err(|_| WrongShard);
        let (which, count) = (number(which)?, number(count)?);
        if which == 0 || which > count {
            return Err(WrongShard);
        }
        Ok(Self { index: which - 1, count })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Catalogue, schedule};

    fn shard(text: &str) -> Shard {
        text.parse().expect("it is written well")
    }

    #[test]
    fn each_variant_is_in_one_shard_and_the_engines_stay_together() {
        let catalogue = Catalogue::embedded().expect("the embedded scenarios are sound");
        let all = schedule(&catalogue, &[]).expect("everything is selected");
        let mut seen = BTreeSet::new();
        let mut count = 0;
        for part in ["1/3", "2/3", "3/3"] {
            let mine = shard(part).of(all.clone());
            assert!(mine.len() > all.len() / 6, "{part} has {} of {}", mine.len(), all.len());
            count += mine.len();
            let twins: BTreeSet<_> = mine.iter().map(Scheduled::twin).collect();
            assert!(seen.is_disjoint(&twins), "{part} shares a pair with another");
            seen.extend(twins);
        }
        assert_eq!(count, all.len());
    }

    #[test]
    fn what_is_no_part_is_refused() {
        assert_eq!(shard("2/5").to_string(), "2/5");
        for wrong in ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b"] {
            assert_eq!(wrong.parse::<Shard>(), Err(WrongShard), "{wrong}");
        }
    }
}
