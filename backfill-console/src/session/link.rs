//! Links that sign a person in once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use backfill_report::hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use qbo_auth::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};

use crate::session::person_name::PersonName;

/// How long a link works.
const VALID: Duration = Duration::minutes(2);

/// Separates these signatures from any other use of the key.
const PURPOSE: &[u8] = b"qbo-backfill console: sign-in link\n";

/// Makes the path of a link that signs a person in once, within two minutes of `now`. Any process that has the key can make
/// one for a console that runs elsewhere.
///
/// # Errors
///
/// The system's, if it has no random bytes.
pub fn sign_in_path(
    key: &SecretString,
    name: &PersonName,
    now: OffsetDateTime,
) -> Result<String, getrandom::Error> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)?;
    let expires = (now + VALID).unix_timestamp();
    let claims = format!("{expires}.{}.{}", hex(&nonce), hex(name.as_str().as_bytes()));
    let signature = signature(key, &claims);
    Ok(format!("/enter?link={claims}.{signature}"))
}

/// The links that were used and could still be used again.
#[derive(Debug, Default)]
pub(crate) struct Links {
    used: Mutex<HashMap<String, OffsetDateTime>>,
}

impl Links {
    /// Uses a link up. Returns whom it names, or `None` if it is forged, too old, or was used before.
    pub(crate) fn redeem(&self, key: &SecretString, link: &str, now: OffsetDateTime) -> Option<PersonName> {
        let (claims, sent) = link.rsplit_once('.')?;
        if !is_equal(key, &signature(key, claims), sent) {
            return None;
        }
        let mut parts = claims.split('.');
        let expires = OffsetDateTime::from_unix_timestamp(parts.next()?.parse().ok()?).ok()?;
        let (nonce, name) = (parts.next()?, parts.next()?);
        // The process that made the link may have a clock of its own, but not one that is far ahead.
        if now >= expires || expires > now + VALID * 2 {
            return None;
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, expires| now < *expires);
        if used.insert(nonce.to_owned(), expires).is_some() {
            return None;
        }
        String::from_utf8(bytes(name)?).ok()?.parse().ok()
    }
}

fn signature(key: &SecretString, claims: &str) -> String {
    mac(key, &[PURPOSE, claims.as_bytes()])
}

/// Compares two texts by their signatures, so that the time it takes says nothing about them.
pub(crate) fn is_equal(key: &SecretString, one: &str, other: &str) -> bool {
    mac(key, &[b"compare\n", one.as_bytes()]) == mac(key, &[b"compare\n", other.as_bytes()])
}

fn mac(key: &SecretString, parts: &[&[u8]]) -> String {
    // A key may have any length; this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else {
        return String::new();
    };
    for part in parts {
        mac.update(part);
    }
    hex(&mac.finalize().into_bytes())
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    if digits.len().is_multiple_of(2) { pairs.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-30 14:00 UTC);

    fn key(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    fn link(key: &SecretString) -> String {
        let path = sign_in_path(key, &"op1".parse().unwrap(), NOW).unwrap();
        path.strip_prefix("/enter?link=").unwrap().to_owned()
    }

    #[test]
    fn a_link_works_once_within_two_minutes() {
        let (key, links) = (key("false key one"), Links::default());
        let first = link(&key);
        assert_eq!(links.redeem(&key, &first, NOW + Duration::minutes(2)), None);
        assert_eq!(links.redeem(&key, &first, NOW).unwrap().as_str(), "op1");
        assert_eq!(links.redeem(&key, &first, NOW), None);
        assert!(links.redeem(&key, &link(&key), NOW + Duration::seconds(119)).is_some());
    }

    #[test]
    fn a_link_of_another_key_or_with_other_claims_is_refused() {
        let (own, links) = (key("false key one"), Links::default());
        assert_eq!(links.redeem(&own, &link(&key("false key two")), NOW), None);
        let sound = link(&own);
        let (claims, signature) = sound.rsplit_once('.').unwrap();
        let other = claims.replace(&hex(b"op1"), &hex(b"op2"));
        for forged in [format!("{other}.{signature}"), format!("{claims}."), claims.to_owned(), String::new()]
        {
            assert_eq!(links.redeem(&own, &forged, NOW), None, "{forged}");
        }
        assert!(links.redeem(&own, &sound, NOW).is_some());
    }
}
