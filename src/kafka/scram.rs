//! The client's half of SCRAM (RFC 5802, RFC 7677), for the few questions that librdkafka does not ask.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

use crate::config::SaslConfig;

/// Most rounds that a broker may ask for; Kafka's own limit is 16,384.
const MAX_SCRAM_ROUNDS: u32 = 1 << 20;

/// One hash function in its three uses.
struct ScramHash {
    stretch: pbkdf2::Algorithm,
    sign: hmac::Algorithm,
    digest: &'static digest::Algorithm,
}

/// A log-in of which nothing was sent yet.
pub(super) struct ScramLogin<'a> {
    sasl: &'a SaslConfig,
    hash: ScramHash,
    nonce: String,
}

/// What answers the broker's challenge.
pub(super) struct ScramProof {
    /// The message to send.
    pub(super) message: String,
    /// How the broker's answer begins if it knows the password too.
    pub(super) expected: String,
}

impl<'a> ScramLogin<'a> {
    /// `None`: the mechanism is not SCRAM. The nonce has to be a new one, without commas.
    pub(super) fn new(sasl: &'a SaslConfig, nonce: String) -> Option<ScramLogin<'a>> {
        let hash = match sasl.mechanism.as_str() {
            "SCRAM-SHA-256" => ScramHash {
                stretch: pbkdf2::PBKDF2_HMAC_SHA256,
                sign: hmac::HMAC_SHA256,
                digest: &digest::SHA256,
            },
            "SCRAM-SHA-512" => ScramHash {
                stretch: pbkdf2::PBKDF2_HMAC_SHA512,
                sign: hmac::HMAC_SHA512,
                digest: &digest::SHA512,
            },
            _ => return None,
        };
        Some(ScramLogin { sasl, hash, nonce })
    }

    fn first_bare(&self) -> String {
        let name = self.sasl.username.replace('=', "=3D").replace(',', "=2C");
        format!("n={name},r={}", self.nonce)
    }

    /// The first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare())
    }

    /// Answers the broker's challenge; `None`: it is none.
    pub(super) fn prove(&self, challenge: &str) -> Option<ScramProof> {
        let part = |name: &str| challenge.split(',').find_map(|it| it.strip_prefix(name));
        let nonce = part("r=").filter(|nonce| nonce.starts_with(&self.nonce))?;
        let salt = BASE64_STANDARD.decode(part("s=")?).ok()?;
        let rounds: u32 = part("i=")?.parse().ok()?;
        let rounds = NonZeroU32::new(rounds).filter(|it| it.get() <= MAX_SCRAM_ROUNDS)?;
        let mut salted = Zeroizing::new(vec![0; self.hash.digest.output_len()]);
        let password = self.sasl.password.expose().as_bytes();
        pbkdf2::derive(self.hash.stretch, rounds, &salt, password, &mut salted);
        let sign = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(self.hash.sign, key), text.as_bytes())
        };
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{without_proof}", self.first_bare());
        let client_key = sign(&salted, "Client Key");
        let stored_key = digest::digest(self.hash.digest, client_key.as_ref());
        let signature = sign(stored_key.as_ref(), &signed);
        let pairs = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = pairs.map(|(key, signature)| key ^ signature).collect();
        let server_key = sign(&salted, "Server Key");
        let server_signature = sign(server_key.as_ref(), &signed);
        Some(ScramProof {
            message: format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)),
            expected: format!("v={}", BASE64_STANDARD.encode(server_signature)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    /// The example of RFC 7677 section 3.
    #[test]
    fn the_example_of_the_standard() {
        let sasl = SaslConfig {
            mechanism: "SCRAM-SHA-256".to_owned(),
            username: "user".to_owned(),
            password: Secret::new("pencil"),
        };
        let nonce = "rOprNGfwEbeRWgbNEkqO";
        let login = ScramLogin::new(&sasl, nonce.to_owned()).unwrap();
        assert_eq!(login.first(), format!("n,,n=user,r={nonce}"));
        let whole = format!("{nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        let challenge = format!("r={whole},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let proof = login.prove(&challenge).unwrap();
        let expected = format!("c=biws,r={whole},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        assert_eq!(proof.message, expected);
        let expected = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(proof.expected, expected);
        // Not an answer to this nonce, no salt, too many rounds.
        for challenge in [
            "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".to_owned(),
            format!("r={whole},i=4096"),
            format!("r={whole},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4294967295"),
        ] {
            assert!(login.prove(&challenge).is_none(), "{challenge}");
        }
    }
}
